import type { Config } from "../config.ts";
import { CliError } from "../keys_cli/cli_error.ts";
import { followLink } from "../kv/follow_link.ts";
import {
  copyStore,
  NotAStoreError,
  removeSideFiles,
  replaceStore,
  StoreBusyError,
} from "../kv/store_copy.ts";
import { STORE_MODE } from "../kv/store_mode.ts";

interface BackupOptions {
  /** Where to put the backup. */
  readonly file: string;
  /** The part that is done, from 0 to 1, of so many bytes. */
  readonly onProgress: (share: number, bytes: number) => void;
}

/**
 * Copies the store that `kv` names to a file, also while servers use it. The file appears when it is
 * complete, in place of an earlier backup. A symbolic link stays, and its target is the backup.
 * Returns its bytes.
 *
 * @throws {CliError}
 */
export async function backupStore(
  kv: Config["kv"],
  { file, onProgress }: BackupOptions,
): Promise<number> {
  const source = requireFile(kv, "backed up");
  const found = await Deno.stat(source).catch(() => undefined);
  if (found?.isFile !== true) throw new CliError(`There is no store at ${source}. Check WEIR_KV.`);
  const existing = await Deno.stat(file).catch(() => undefined);
  if (existing?.isDirectory === true) throw new CliError(`${file} is a folder. Name a file.`);
  if (existing !== undefined && existing.ino === found.ino && existing.dev === found.dev) {
    throw new CliError(`${file} is the store itself. Name another file.`);
  }
  try {
    const target = await followLink(file);
    const draft = `${target}.part`;
    using lock = await Deno.open(draft, { create: true, write: true, mode: STORE_MODE });
    if (!await lock.tryLock(true)) throw new CliError(`Another backup to ${file} is under way.`);
    try {
      // What an interrupted backup has left.
      await lock.truncate();
      await removeSideFiles(draft);
      await copyStore(source, draft, (share) => onProgress(share, found.size));
      await replaceStore(draft, target);
    } catch (cause) {
      await Deno.remove(draft).catch(() => {}); // it may be in place already
      throw cause;
    }
  } catch (cause) {
    throw asCliError(cause, `Cannot write the backup ${file}`);
  }
  return (await Deno.stat(file)).size;
}

/**
 * Returns the path of the store's file.
 *
 * @throws {CliError} for other stores.
 */
export function requireFile(kv: Config["kv"], done: "backed up" | "restored"): string {
  if (kv !== undefined && !/^(https?:|:memory:)/.test(kv)) return kv;
  const what = kv === ":memory:" ? "A store in memory" : "The store of a KV server";
  throw new CliError(
    `${what} cannot be ${done}, only a file. For denokv run this on its machine, with the file of its --sqlite-path as WEIR_KV.`,
  );
}

/** Makes a message for the user of a failure that one can do something about. */
export function asCliError(cause: unknown, prefix: string): unknown {
  if (cause instanceof NotAStoreError || cause instanceof StoreBusyError) {
    return new CliError(cause.message, { cause });
  }
  const isSystem = cause instanceof Deno.errors.NotCapable ||
    cause instanceof Error && /os error|disk|unable to open/i.test(cause.message);
  return isSystem ? new CliError(`${prefix}: ${cause.message}.`, { cause }) : cause;
}
