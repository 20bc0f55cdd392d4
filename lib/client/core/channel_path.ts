import { channelNameError } from "./channel_name.ts";
import { WeirError } from "./weir_error.ts";

/**
 * Encodes a channel's name as a segment of a URL's path.
 *
 * @throws {WeirError} `bad_channel`
 */
export function channelPathSegment(channel: string): string {
  const error = channelNameError(channel);
  if (error !== undefined) throw error;
  // URL parsers remove these segments, even as `%2e` (WHATWG URL, "double-dot URL path segment").
  if (/^\.\.?$/.test(channel)) {
    throw new WeirError("bad_channel", `${JSON.stringify(channel)} cannot be used in a URL path.`);
  }
  return encodeURIComponent(channel);
}
