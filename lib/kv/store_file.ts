/** What has happened to a file that is open. */
export type FileLoss = "removed" | "replaced" | "truncated";

/** The parts of `Deno.FileInfo` that tell files apart. Some platforms have no `dev` and `ino`. */
export type FileStat = Pick<Deno.FileInfo, "dev" | "ino" | "size">;

/** A file as it was when it was opened. */
interface OpenedFile extends FileStat {
  readonly path: string;
}

/** The files of a store that an isolate has open. The other isolates of its process get it as JSON. */
export interface OpenedFiles {
  /** The store's path without symbolic links: the write-ahead log is next to it. */
  readonly realPath: string;
  readonly store: OpenedFile;
  /** Undefined if the file system does not support a write-ahead log. */
  readonly log: OpenedFile | undefined;
}

/** Returns the file at `path`, or undefined if there is none. */
type ReadStat = (path: string) => FileStat | undefined;

/**
 * Finds the files of a store that was opened just now.
 *
 * @throws {Error} if there is no file at `path`.
 */
export function findOpenedFiles(
  path: string,
  realPath: string,
  readStat: ReadStat = statOf,
): OpenedFiles {
  const store = readStat(path);
  if (store === undefined) throw new Error(`Cannot find ${path}, which was opened just now.`);
  const logPath = `${realPath}-wal`;
  const log = readStat(logPath);
  return {
    realPath,
    store: openedFile(path, store),
    log: log === undefined ? undefined : openedFile(logPath, log),
  };
}

function openedFile(path: string, { dev, ino, size }: FileStat): OpenedFile {
  return { path, dev, ino, size };
}

/**
 * The SQLite file of a store and its write-ahead log, as they were when they were opened. Finds out
 * whether their paths still lead to them: SQLite continues with files that nobody can open again.
 *
 * It must not open the files: closing one would end the locks that SQLite has on it in this process.
 */
export class StoreFile {
  readonly #readStat: ReadStat;
  readonly #opened: readonly OpenedFile[];
  /** Bytes of the store's file, which never shrinks by itself. */
  #size: number;
  #isTruncated = false;

  constructor({ store, log }: OpenedFiles, readStat: ReadStat = statOf) {
    this.#readStat = readStat;
    this.#opened = log === undefined ? [store] : [store, log];
    this.#size = store.size;
  }

  /**
   * Returns what has happened to the files, or undefined if their paths lead to them. A file that
   * was removed or replaced may come back; a truncated one remains lost.
   */
  loss(): FileLoss | undefined {
    for (const [i, opened] of this.#opened.entries()) {
      const found = this.#readStat(opened.path);
      if (found === undefined) return "removed";
      if (found.ino !== opened.ino || found.dev !== opened.dev) return "replaced";
      if (i > 0) continue; // other programs may shorten the write-ahead log, such as backups
      if (found.size < this.#size) this.#isTruncated = true;
      else this.#size = found.size;
    }
    return this.#isTruncated ? "truncated" : undefined;
  }
}

function statOf(path: string): FileStat | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined; // for whichever reason: nobody can open it
  }
}
