import { followLink } from "./follow_link.ts";

/** The mode of stores and backups. They hold every event, and hashes of keys. */
export const STORE_MODE = 0o600;

/**
 * Creates the file of a new store, empty; everyone could read one that SQLite creates. The files
 * that SQLite has next to it get the same mode. Leaves a file that is there as it is, and does not
 * open it: closing it would end the locks that SQLite has on it in this process.
 */
export async function createStoreFile(path: string): Promise<void> {
  try {
    const options = { createNew: true, write: true, mode: STORE_MODE } as const;
    using _file = await Deno.open(await followLink(path), options);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
  }
}
