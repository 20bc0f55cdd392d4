/** Digits of the id of a page: two pages never meet. */
const ID_DIGITS = 12;

/**
 * Returns the channel in which the two peers of one page meet.
 *
 * @param id random, in hexadecimal
 */
export function peerChannel(channel: string, id: string): string {
  return `${channel}/peers/${id.slice(0, ID_DIGITS)}`;
}
