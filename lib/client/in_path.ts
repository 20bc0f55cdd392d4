import { nameError } from "./name_error.ts";

/**
 * The channel's name as a part of a path.
 *
 * @throws {WeirError} `bad_channel`
 */
export function inPath(channel: string): string {
  const error = nameError(channel);
  if (error !== undefined) throw error;
  return encodeURIComponent(channel);
}
