import { channelNameError } from "./channel_name.ts";

/**
 * Encodes a channel's name as a segment of a URL's path.
 *
 * @throws {WeirError} `bad_channel`
 */
export function channelPathSegment(channel: string): string {
  const error = channelNameError(channel);
  if (error !== undefined) throw error;
  return encodeURIComponent(channel);
}
