import { WeirError } from "./weir_error.ts";

/** Why `channel` can't be sent as the name of one; what else is wrong with it the server says. */
export function nameError(channel: string): WeirError | undefined {
  if (channel !== "" && channel.isWellFormed()) return undefined;
  return new WeirError("bad_channel", `${JSON.stringify(channel)} is no name of a channel.`);
}
