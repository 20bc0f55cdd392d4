const MAX_TRIES = 20;

/**
 * The outcome of `work`, which is done again while the commit of another isolate holds the SQLite
 * file (SQLITE_BUSY): a commit that was turned away so has done nothing.
 */
export async function untilUnlocked<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await work();
    } catch (cause) {
      if (tries === MAX_TRIES || !/database is locked/.test(String(cause))) throw cause;
    }
    const delay = Math.random() * 2 ** Math.min(tries, 6);
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}
