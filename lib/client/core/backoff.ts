/** Upper bound of the first wait; each failure doubles it. */
const BASE_DELAY_MS = 500;
/** Upper bound of every wait. */
const MAX_DELAY_MS = 30_000;

/**
 * Returns how many milliseconds to wait before the next try: a random time up to a bound that
 * doubles with each failure (full jitter), so that clients that lost a server together do not
 * return together.
 *
 * @param failures how many tries have failed before the last one.
 * @param random returns 0 ≤ random < 1.
 */
export function fullJitter(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** failures);
}
