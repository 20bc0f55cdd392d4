/** How long a condition may take before the test fails with its words, in ms. */
const LIMIT = 20_000;

/** Once `isMet` holds. It is looked at again after each turn of the event loop. */
export async function until(what: string, isMet: () => boolean | Promise<boolean>): Promise<void> {
  const start = performance.now();
  while (!await isMet()) {
    if (performance.now() - start > LIMIT) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
