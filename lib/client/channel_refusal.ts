import type { WeirError } from "./weir_error.ts";

const CHANNEL =
  /^(forbidden|bad_(channel|cursor|parameter)|channel_\w+|cursor_\w+|too_many_channels)$/;

/** Whether it is about the channel: others can be read. */
export function isChannelRefusal({ code }: WeirError): boolean {
  return CHANNEL.test(code);
}
