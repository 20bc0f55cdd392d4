import { backup, DatabaseSync } from "node:sqlite";
import { pause } from "../shared/async/delay.ts";

/** Pages in one step of a copy: few enough for a progress that moves. */
const STEP_PAGES = 2_000;

/** Between two attempts to be the only one that has a file open. */
const RETRY_MS = 20;

/** A file is no SQLite database of Deno KV, or is damaged. */
export class NotAStoreError extends Error {
  override readonly name = "NotAStoreError";
}

/** Another program has the file open. */
export class StoreBusyError extends Error {
  override readonly name = "StoreBusyError";
}

/**
 * Copies the store in the file `source` to `target`, as it is at one moment. Others may write to it
 * meanwhile: their commits are in the copy as a whole or not at all. The copy is one file, without a
 * write-ahead log, and is on the disk when the result resolves.
 *
 * Blocks the isolate while it copies, except for `onProgress`, whose argument is the part that is
 * done, from 0 to 1.
 *
 * @throws {NotAStoreError}
 */
export async function copyStore(
  source: string,
  target: string,
  onProgress: (share: number) => void,
): Promise<void> {
  using from = openSqlite(source, { readOnly: true });
  // The transaction keeps the copy at one moment. Without it, SQLite would begin again after each
  // commit of another process.
  from.exec("BEGIN");
  requireStore(from, source);
  await backup(from, target, {
    rate: STEP_PAGES,
    progress: ({ totalPages, remainingPages }) => onProgress(1 - remainingPages / totalPages),
  });
  from.exec("COMMIT");
  await settleStore(target);
  await syncFile(target);
}

/**
 * Moves the write-ahead log of the store in the file `path` into the file, which is then complete
 * without other files. Tries for `waitMs`, until nobody else has the file open.
 *
 * @throws {StoreBusyError} @throws {NotAStoreError}
 */
export async function settleStore(path: string, waitMs = 0): Promise<void> {
  const end = performance.now() + waitMs;
  while (true) {
    try {
      using database = openSqlite(path);
      attempt(path, () => database.exec("PRAGMA journal_mode = DELETE"));
      return;
    } catch (cause) {
      if (!(cause instanceof StoreBusyError) || performance.now() >= end) throw cause;
    }
    await pause(RETRY_MS);
  }
}

/**
 * Checks every page of the store in the file `path`, and that its rows are readable.
 *
 * @throws {NotAStoreError} with what is wrong.
 */
export function checkStore(path: string): void {
  using database = openSqlite(path, { readOnly: true });
  requireStore(database, path);
  const [row] = attempt(path, () => database.prepare("PRAGMA quick_check(1)").all());
  const found = String(row?.["quick_check"]);
  if (found !== "ok") {
    const [what] = found.split("\n").slice(-1);
    throw new NotAStoreError(`Cannot use ${path}, since it is damaged: ${what}.`);
  }
}

/** Removes the files that SQLite has next to the store in the file `path`. */
export async function removeSideFiles(path: string): Promise<void> {
  for (const suffix of ["-wal", "-shm", "-journal"]) await removeIfExists(`${path}${suffix}`);
}

/** Removes the file of a store and the files that SQLite has next to it. */
export async function removeStore(path: string): Promise<void> {
  await removeIfExists(path);
  await removeSideFiles(path);
}

/** Puts the file `draft` in the place of `path`, at once and lastingly. */
export async function replaceStore(draft: string, path: string): Promise<void> {
  await syncFile(draft);
  await Deno.rename(draft, path);
  if (Deno.build.os !== "windows") await syncFile(path.replace(/[^/]*$/, "") || ".");
}

function openSqlite(path: string, options: { readonly readOnly?: boolean } = {}): DatabaseSync {
  return attempt(path, () => new DatabaseSync(path, options));
}

/** @throws {NotAStoreError} unless the database has the table of Deno KV. */
function requireStore(database: DatabaseSync, path: string): void {
  const tables = attempt(
    path,
    () =>
      database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'kv'").all(),
  );
  if (tables.length === 0) throw new NotAStoreError(`Cannot use ${path}: it holds no store.`);
}

/** @throws {StoreBusyError} @throws {NotAStoreError} for errors of SQLite that mean these. */
function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "";
    if (/locked|busy/i.test(message)) {
      throw new StoreBusyError(`Cannot change ${path}: another program has it open.`, { cause });
    }
    if (/not a database|malformed/i.test(message)) {
      throw new NotAStoreError(`Cannot use ${path}: ${message}.`, { cause });
    }
    throw cause;
  }
}

async function syncFile(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

async function removeIfExists(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
