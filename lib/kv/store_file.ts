/** What has happened to a file that is open. */
export type FileLoss = "removed" | "replaced" | "truncated";

/** The parts of `Deno.FileInfo` that tell files apart. Some platforms have no `dev` and `ino`. */
export type FileStat = Pick<Deno.FileInfo, "dev" | "ino" | "size">;

/** Returns the file at `path`, or undefined if there is none. */
type ReadStat = (path: string) => FileStat | undefined;

/**
 * The SQLite file of a store and its write-ahead log, as they were when they were opened. Finds out
 * whether their paths still lead to them: SQLite continues with files that nobody can open again.
 *
 * It must not open the files: closing one would end the locks that SQLite has on it in this process.
 */
export class StoreFile {
  readonly #readStat: ReadStat;
  readonly #opened: readonly (readonly [path: string, stat: FileStat])[];
  /** Bytes of the store's file, which never shrinks by itself. */
  #size = 0;
  #isTruncated = false;

  /**
   * @param path of a store that is open.
   * @param realPath the same without symbolic links: the write-ahead log is next to it.
   * @throws {Error} if there is no file.
   */
  constructor(path: string, realPath: string, readStat: ReadStat = statOf) {
    this.#readStat = readStat;
    const stat = readStat(path);
    if (stat === undefined) throw new Error(`Cannot find ${path}, which was opened just now.`);
    const logPath = `${realPath}-wal`;
    const logStat = readStat(logPath); // some file systems support no write-ahead log
    this.#opened = logStat === undefined ? [[path, stat]] : [[path, stat], [logPath, logStat]];
  }

  /**
   * Returns what has happened to the files, or undefined if their paths lead to them. A file that
   * was removed or replaced may come back; a truncated one remains lost.
   */
  loss(): FileLoss | undefined {
    for (const [i, [path, opened]] of this.#opened.entries()) {
      const found = this.#readStat(path);
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
