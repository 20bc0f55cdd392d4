/** How long a test waits before it fails, in ms. */
export const LIMIT = 60_000;

/** Resolves once `isMet` holds, which is checked after each turn of the event loop. */
export async function until(
  what: string,
  isMet: () => boolean | Promise<boolean>,
  limit = LIMIT,
): Promise<void> {
  const start = performance.now();
  while (!await isMet()) {
    if (performance.now() - start > limit) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
