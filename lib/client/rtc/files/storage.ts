import type { Bitmap } from "./bitmap.ts";
import type { HashTree } from "./hash.ts";
import type { Layout } from "./layout.ts";
import type { Chunk } from "./protocol.ts";

/** What a partly received file is known by. */
export interface FileRecord extends Layout {
  readonly id: string;
  readonly secret: string;
  /** The sender's member. */
  readonly member: string;
  readonly name: string;
  readonly type: string;
}

/** Where received files are kept, whole and in part. */
export interface FileStorage {
  create(record: FileRecord): Promise<PartialFile>;
  /** Finds what a page before this one has received, unless another page uses it. */
  find(record: FileRecord): Promise<PartialFile | undefined>;
}

/** A file that is being received. Its methods throw what the platform throws, on a full disk. */
export interface PartialFile {
  /** The chunks that are stored. */
  readonly have: Bitmap;
  /** Their hashes, and those of no others. */
  readonly hashes: HashTree;
  /** Stores a chunk. Once it resolves, this page can read it; a later one after `save()`. */
  write(chunk: Chunk): Promise<void>;
  save(): Promise<void>;
  /** Returns all bytes. Called once, after the last `write()`. */
  finish(): Promise<Blob>;
  /** Lets other pages use what is stored. */
  close(): Promise<void>;
  /** Deletes it, also after `finish()`. */
  remove(): Promise<void>;
}
