/** The most that the first wait takes, in ms; each failure doubles it. */
const BASE_MS = 500;
/** The most that any wait takes, in ms. */
const CAP_MS = 30_000;

/**
 * Milliseconds before the next try after so many `failures` (from 0): full jitter, evenly between
 * nothing and a bound that doubles, so that clients that lost a server together don't come back
 * together.
 *
 * @param random 0 ≤ random < 1.
 */
export function fullJitter(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}
