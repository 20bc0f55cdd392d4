const MIB = 1024 * 1024;

/** Bytes of a complete reserve. */
const RESERVE_BYTES = 32 * MIB;
/**
 * Bytes without which a reserve is of no use. Guards against a full disk that cannot be freed: its
 * write-ahead log may hold 9 MiB of new rows, which must reach the store's file before rows can be
 * deleted.
 */
const MIN_RESERVE_BYTES = 12 * MIB;
/** Bytes of disk space that the runtime needs to open a store. Without, it ends the process. */
const OPENING_BYTES = MIB;
/** Bytes of one `crypto.getRandomValues()`. */
const MAX_RANDOM_BYTES = 65_536;

/** What became of the attempt to fill a reserve. */
export type FillResult =
  | "filled"
  /** The disk has no room for it, or another isolate is at it. */
  | "no_room"
  /** This file system has another reason. */
  | "failed";

/**
 * A file next to the store that keeps disk space free. Once the disk is full it is removed, so that
 * SQLite has room for the commits that delete rows.
 */
export class DiskReserve {
  readonly #path: string;
  /** Where it is filled: others see the reserve when it is complete. */
  readonly #newPath: string;

  /** @param storePath of the store that it is for. */
  constructor(storePath: string) {
    this.#path = `${storePath}.reserve`;
    this.#newPath = `${this.#path}.new`;
  }

  /** Releases what an earlier process has left, unless the disk has room to open the store. */
  async releaseIfFull(): Promise<void> {
    const { written } = await this.#writeNew(OPENING_BYTES);
    if (written < OPENING_BYTES) await this.release();
    await removeIfExists(this.#newPath);
  }

  /** Returns whether there is a reserve of a useful size. */
  async exists(): Promise<boolean> {
    const size = await Deno.stat(this.#path).then(({ size }) => size, () => 0);
    return size >= MIN_RESERVE_BYTES;
  }

  /**
   * Takes disk space for the reserve: all of it, or what the disk has if `isPartOk`. Takes nothing
   * if that is too little.
   */
  async fill(isPartOk: boolean): Promise<FillResult> {
    const { written, cause } = await this.#writeNew(RESERVE_BYTES);
    if (cause instanceof Deno.errors.WouldBlock) return "no_room";
    const isEnough = written >= (isPartOk ? MIN_RESERVE_BYTES : RESERVE_BYTES);
    if (isEnough && await this.#takeNew()) return "filled";
    await removeIfExists(this.#newPath);
    return isNoRoom(cause) ? "no_room" : "failed";
  }

  /** Gives the space back. */
  async release(): Promise<void> {
    await removeIfExists(this.#path); // another isolate may have removed it
  }

  /** Makes the new file the reserve. Returns false if that failed. */
  #takeNew(): Promise<boolean> {
    return Deno.rename(this.#newPath, this.#path).then(() => true, () => false);
  }

  /** Writes so many bytes to the new file, as far as there is room. Never rejects. */
  async #writeNew(bytes: number): Promise<{ written: number; cause?: unknown }> {
    let written = 0;
    try {
      using file = await Deno.open(this.#newPath, { create: true, write: true });
      if (!await file.tryLock(true)) throw new Deno.errors.WouldBlock("Another isolate fills it.");
      await file.truncate();
      const piece = incompressible(MIB);
      while (written < bytes) written += await file.write(piece);
      return { written };
    } catch (cause) {
      return { written, cause };
    }
  }
}

function removeIfExists(path: string): Promise<void> {
  return Deno.remove(path).catch(() => {});
}

/** Returns random bytes: some file systems compress others. */
function incompressible(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += MAX_RANDOM_BYTES) {
    crypto.getRandomValues(bytes.subarray(at, at + MAX_RANDOM_BYTES));
  }
  return bytes;
}

function isNoRoom(cause: unknown): boolean {
  const message = cause instanceof Error ? cause.message : "";
  return /no space left|quota exceeded/i.test(message);
}
