const MAX_TRIES = 20;

/**
 * The outcome of `work`, a commit or the opening of the store, which is done again while another
 * isolate's holds the SQLite file (SQLITE_BUSY): what was turned away so has done nothing.
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
