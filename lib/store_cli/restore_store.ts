import { dirname } from "node:path";
import type { Config } from "../config.ts";
import { CliError } from "../keys_cli/cli_error.ts";
import { FileLock, StoreInUseError } from "../kv/file_lock.ts";
import { followLink } from "../kv/follow_link.ts";
import {
  checkStore,
  copyStore,
  NotAStoreError,
  removeSideFiles,
  removeStore,
  replaceStore,
  settleStore,
} from "../kv/store_copy.ts";
import { createStoreFile } from "../kv/store_mode.ts";
import { startRestoredEpochs } from "../log/restored_epochs.ts";
import { asCliError, requireFile } from "./backup_store.ts";
import { storeInUse } from "./store_in_use.ts";

/** How long the runtime may take to close a store. */
const CLOSE_MS = 10_000;

interface RestoreOptions {
  /** The backup. */
  readonly file: string;
  /** Replaces a store that is there. */
  readonly isForced: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The part of the copy that is done, from 0 to 1, of so many bytes. */
  readonly onCopied: (share: number, bytes: number) => void;
  /** How many events have a new epoch so far. */
  readonly onEvents: (events: number) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Puts a backup in the place that `kv` names, where no server may run. Every channel begins a new
 * epoch: {@link startRestoredEpochs}. The store appears when it is complete: an interrupted restore
 * leaves what was there before. A symbolic link stays, and its target is replaced.
 *
 * @throws {CliError}
 */
export async function restoreStore(kv: Config["kv"], options: RestoreOptions): Promise<void> {
  const { file } = options;
  const path = requireFile(kv, "restored");
  const found = await Deno.stat(file).catch(() => undefined);
  if (found?.isFile !== true) throw new CliError(`There is no backup at ${file}.`);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    const target = await followLink(path);
    using undo = new DisposableStack();
    const locks: FileLock[] = [];
    // A server has locked the path that it was given: the link, or its target.
    for (const each of new Set([path, target])) {
      const lock = await FileLock.take(each);
      if (lock === undefined) throw new Error("unreachable: this process opens no other store");
      locks.push(undo.adopt(lock, (lock) => lock.close()));
    }
    await replaceBy(target, found.size, options);
    for (const lock of locks) await lock.recordOpened();
  } catch (cause) {
    if (cause instanceof StoreInUseError) throw storeInUse(cause);
    throw asCliError(cause, `Cannot restore ${file} to ${path}`);
  }
}

async function replaceBy(
  target: string,
  bytes: number,
  { file, isForced, now, onCopied, onEvents, onWarning }: RestoreOptions,
): Promise<void> {
  const replaced = await Deno.stat(target).catch(() => undefined);
  const size = replaced?.size ?? 0;
  if (size > 0 && !isForced) {
    throw new CliError(
      `There is a store at ${target} already. --force replaces it: its events are lost.`,
    );
  }
  const draft = `${target}.restoring`;
  await removeStore(draft); // what an interrupted restore has left
  try {
    await createStoreFile(draft);
    await copyStore(file, draft, (share) => onCopied(share, bytes));
    checkStore(draft);
    const kv = await Deno.openKv(draft);
    try {
      await startRestoredEpochs(kv, {
        now,
        onProgress: onEvents,
        onUnreadable: (key) => onWarning(`A row cannot be read and is left out: ${key.join("/")}`),
      });
    } finally {
      kv.close();
    }
    await settleStore(draft, CLOSE_MS);
    if (size > 0) await settleOld(target);
    // SQLite would take the files of another store for those of this one.
    await removeSideFiles(target);
    // The rights that others have, such as a group that makes backups. Windows has no modes.
    if (typeof replaced?.mode === "number") await Deno.chmod(draft, replaced.mode & 0o777);
    await replaceStore(draft, target);
  } catch (cause) {
    await removeStore(draft);
    throw cause;
  }
}

/**
 * Makes the store that is replaced complete without other files, so that until the replacement it
 * can still be opened.
 *
 * @throws {import("../kv/store_copy.ts").StoreBusyError} if another program, such as denokv, has it
 * open.
 */
async function settleOld(target: string): Promise<void> {
  try {
    await settleStore(target);
  } catch (cause) {
    if (!(cause instanceof NotAStoreError)) throw cause; // a damaged store is replaced as it is
  }
}
