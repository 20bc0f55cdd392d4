import { WeirError } from "../../core/weir_error.ts";
import { Bitmap } from "./bitmap.ts";
import { HashTree } from "./hash.ts";
import { chunkCount } from "./layout.ts";
import type { Chunk } from "./protocol.ts";
import type { FileRecord, FileStorage, PartialFile } from "./storage.ts";

/** Guards the tab's memory: browsers keep small blobs there. */
const MAX_BYTES_IN_MEMORY = 2 ** 30;

/** Keeps received files in blobs, until the page closes. */
export const MEMORY_STORAGE: FileStorage = {
  create(record) {
    if (record.size > MAX_BYTES_IN_MEMORY) {
      const detail = "Without the origin private file system, a file has at most 1 GiB.";
      return Promise.reject(new WeirError("quota_exceeded", detail));
    }
    return Promise.resolve(new FileInMemory(record));
  },
  find: () => Promise.resolve(undefined),
};

class FileInMemory implements PartialFile {
  readonly have: Bitmap;
  readonly hashes: HashTree;
  #parts: Blob[] = [];

  constructor(record: FileRecord) {
    const count = chunkCount(record);
    this.have = new Bitmap(count);
    this.hashes = new HashTree(count);
  }

  write({ index, hash, bytes }: Chunk): Promise<void> {
    this.#parts[index] = new Blob([bytes]);
    this.have.add(index);
    this.hashes.set(index, hash);
    return Promise.resolve();
  }

  save(): Promise<void> {
    return Promise.resolve();
  }

  finish(): Promise<Blob> {
    return Promise.resolve(new Blob(this.#parts));
  }

  close(): Promise<void> {
    this.#parts = [];
    return Promise.resolve();
  }

  remove(): Promise<void> {
    return this.close();
  }
}
