/** How long what a test waits for may take before the test fails, in ms. */
export const LIMIT = 60_000;

/** Once `isMet` holds. It is looked at again after each turn of the event loop. */
export async function until(
  what: string,
  isMet: () => boolean | Promise<boolean>,
  limit = LIMIT,
): Promise<void> {
  const start = performance.now();
  while (!await isMet()) {
    if (performance.now() - start > limit) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
