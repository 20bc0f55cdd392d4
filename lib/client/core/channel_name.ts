import { WeirError } from "./weir_error.ts";

/**
 * The server allows 256 bytes. Guards against names that no frame and no URL has room for, and
 * against `.` and `..`, which URL parsers remove from a path, even as `%2e`.
 */
const CHANNEL_NAME = /^(?!\.\.?$)\P{Surrogate}{1,256}$/u;

/** Returns why `channel` cannot be sent as a name. The server checks everything else. */
export function channelNameError(channel: string): WeirError | undefined {
  if (CHANNEL_NAME.test(channel)) return undefined;
  return new WeirError("bad_channel", `${JSON.stringify(channel)} is not a channel name.`);
}
