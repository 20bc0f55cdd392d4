import { Bitmap } from "./bitmap.ts";
import { HashTree } from "./hash.ts";
import { chunkCount } from "./layout.ts";
import type { Chunk } from "./protocol.ts";
import type { FileRecord, PartialFile } from "./storage.ts";

/**
 * Stores a file where the user wants it. Its content appears once all of it is there; a page that
 * closes before that leaves it as it was.
 */
export async function createInHandle(
  handle: FileSystemFileHandle,
  record: FileRecord,
): Promise<PartialFile> {
  const writable = await handle.createWritable();
  try {
    await writable.truncate(record.size); // chunks come in any order
  } catch (cause) {
    await writable.abort();
    throw cause;
  }
  return new FileInHandle(handle, writable, chunkCount(record), record.chunkBytes);
}

class FileInHandle implements PartialFile {
  readonly have: Bitmap;
  readonly hashes: HashTree;
  readonly #handle: FileSystemFileHandle;
  readonly #writable: FileSystemWritableFileStream;
  readonly #chunkBytes: number;
  #isClosed = false;

  constructor(
    handle: FileSystemFileHandle,
    writable: FileSystemWritableFileStream,
    chunks: number,
    chunkBytes: number,
  ) {
    this.#handle = handle;
    this.#writable = writable;
    this.#chunkBytes = chunkBytes;
    this.have = new Bitmap(chunks);
    this.hashes = new HashTree(chunks);
  }

  async write({ index, hash, bytes }: Chunk): Promise<void> {
    const position = index * this.#chunkBytes;
    await this.#writable.write({ type: "write", position, data: bytes });
    this.have.add(index);
    this.hashes.set(index, hash);
  }

  /** Later pages cannot continue: what a stream has written is lost with its page. */
  save(): Promise<void> {
    return Promise.resolve();
  }

  async finish(): Promise<Blob> {
    this.#isClosed = true;
    await this.#writable.close();
    return await this.#handle.getFile();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writable.abort();
  }

  /** A file that is complete is the user's: it stays. */
  remove(): Promise<void> {
    return this.close();
  }
}
