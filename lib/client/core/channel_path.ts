import { channelNameError } from "./channel_name.ts";
import { WeirError } from "./weir_error.ts";

/**
 * The channel's name as a part of a path.
 *
 * @throws {WeirError} `bad_channel`
 */
export function channelPathSegment(channel: string): string {
  const error = channelNameError(channel);
  if (error !== undefined) throw error;
  // Not even `%2e` is left alone (WHATWG URL, "double-dot URL path segment").
  if (/^\.\.?$/.test(channel)) {
    throw new WeirError(
      "bad_channel",
      `${JSON.stringify(channel)} can't be a part of a URL's path.`,
    );
  }
  return encodeURIComponent(channel);
}
