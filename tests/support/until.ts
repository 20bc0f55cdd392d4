/** How long a test waits before it fails, in ms. */
export const LIMIT = 60_000;

/**
 * Resolves once `isMet` holds.
 *
 * @param intervalMs between two checks. Longer if a check takes time of what is measured.
 */
export async function until(
  what: string,
  isMet: () => boolean | Promise<boolean>,
  limit = LIMIT,
  intervalMs = 1,
): Promise<void> {
  const start = performance.now();
  while (!await isMet()) {
    if (performance.now() - start > limit) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
