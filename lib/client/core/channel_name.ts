import { WeirError } from "./weir_error.ts";

/** Of the server, where one is a byte. Met: a name that no frame and no URL has room for. */
const NAME = /^\P{Surrogate}{1,256}$/u;

/** Why `channel` can't be sent as the name of one; what else is wrong with it the server says. */
export function channelNameError(channel: string): WeirError | undefined {
  if (NAME.test(channel)) return undefined;
  return new WeirError("bad_channel", `${JSON.stringify(channel)} is no name of a channel.`);
}
