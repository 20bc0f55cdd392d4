import { WeirError } from "../../core/weir_error.ts";
import { Bitmap } from "./bitmap.ts";
import { equalBytes, HashTree, sha256 } from "./hash.ts";
import { bytesOfChunk, chunkCount, HASH_BYTES } from "./layout.ts";
import { MEMORY_STORAGE } from "./memory_storage.ts";
import type { Chunk } from "./protocol.ts";
import type { FileRecord, FileStorage, PartialFile } from "./storage.ts";

const FOLDER = "weir-files";
/** Describes a file that is not complete. It is deleted once the file is. */
const RECORD_FILE = "record.json";

/** A file is stored in segments of about this size, so that a change rewrites no more. */
const SEGMENT_BYTES = 2 ** 22;

/** Segments with bytes that are not on the disk yet, before the oldest one is written. */
const MAX_OPEN_SEGMENTS = 3;

/** A reload loses at most what was received in this time. */
const SAVE_INTERVAL_MS = 2_000;

/** Guards against partly received files that fill the disk for good. */
const MAX_AGE_MS = 7 * 24 * 60 * 60 * 1_000;

/** How long to wait for a page that is being closed. */
const LOCK_TIMEOUT_MS = 2_000;

/** Returns the origin private file system, or memory where there is none. */
export async function openStorage(): Promise<FileStorage> {
  try {
    if (!("createWritable" in FileSystemFileHandle.prototype)) return MEMORY_STORAGE;
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(FOLDER, { create: true });
    await removeOldFiles(folder);
    return new OpfsStorage(folder);
  } catch {
    return MEMORY_STORAGE; // no such API, or the browser's settings forbid it
  }
}

class OpfsStorage implements FileStorage {
  readonly #folder: FileSystemDirectoryHandle;

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  async create(record: FileRecord): Promise<PartialFile> {
    const { quota = Infinity, usage = 0 } = await navigator.storage.estimate();
    if (quota - usage < record.size) {
      const detail = `The browser has room for ${quota - usage} more bytes. Free some disk space.`;
      throw new WeirError("quota_exceeded", detail);
    }
    const release = await takeLock(record.id);
    if (release === undefined) throw new WeirError("bad_peer", "Another page receives this file.");
    const folder = await this.#folder.getDirectoryHandle(record.id, { create: true });
    await writeFile(folder, RECORD_FILE, [{ position: 0, data: encodeRecord(record) }], false);
    return new FileOnDisk(record, this.#folder, folder, release);
  }

  async find(record: FileRecord): Promise<PartialFile | undefined> {
    const release = await takeLock(record.id);
    if (release === undefined) return undefined;
    try {
      const folder = await this.#folder.getDirectoryHandle(record.id);
      const stored = await (await folder.getFileHandle(RECORD_FILE)).getFile();
      const bytes = new Uint8Array(await stored.arrayBuffer());
      if (equalBytes(bytes, encodeRecord(record))) {
        const file = new FileOnDisk(record, this.#folder, folder, release);
        await file.load();
        return file;
      }
    } catch (cause) {
      if (!(cause instanceof DOMException && cause.name === "NotFoundError")) {
        release();
        throw cause;
      }
    }
    release();
    return undefined;
  }
}

/** A segment some of whose chunks are not on the disk yet. */
interface OpenSegment {
  /** The bytes of its chunks, then their hashes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The chunks that are not on the disk yet, from 0 for the first of the segment. */
  readonly chunks: Set<number>;
}

/**
 * A file in segments. The file of a segment has the bytes of its chunks, then their hashes, and is
 * replaced as a whole, so that a chunk whose hash is right was stored.
 */
class FileOnDisk implements PartialFile {
  readonly have: Bitmap;
  readonly hashes: HashTree;
  readonly #record: FileRecord;
  readonly #parent: FileSystemDirectoryHandle;
  readonly #folder: FileSystemDirectoryHandle;
  readonly #release: () => void;
  readonly #perSegment: number;
  /** Segments that have a file. */
  readonly #saved = new Set<number>();
  readonly #open = new Map<number, OpenSegment>();
  /** Memory of segments that were written. Fresh memory costs more than the copies into it. */
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #savedAt = Date.now();
  /** Writes one after another. */
  #writing: Promise<void> = Promise.resolve();
  #queued = 0;

  constructor(
    record: FileRecord,
    parent: FileSystemDirectoryHandle,
    folder: FileSystemDirectoryHandle,
    release: () => void,
  ) {
    this.#record = record;
    this.#parent = parent;
    this.#folder = folder;
    this.#release = release;
    this.#perSegment = Math.max(1, Math.floor(SEGMENT_BYTES / record.chunkBytes));
    const count = chunkCount(record);
    this.have = new Bitmap(count);
    this.hashes = new HashTree(count);
  }

  /** Reads what an earlier page has stored, and leaves out what is damaged. */
  async load(): Promise<void> {
    for await (const name of this.#folder.keys()) {
      if (name === RECORD_FILE) continue;
      const segment = Number(name);
      const file = await (await this.#folder.getFileHandle(name)).getFile();
      const { first, count, bytes } = this.#segment(segment);
      const hashes = new Uint8Array(await file.slice(bytes).arrayBuffer());
      this.#saved.add(segment);
      for (let i = 0; i < count; i++) {
        const hash = hashes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES);
        if (hash.every((byte) => byte === 0)) continue;
        const start = i * this.#record.chunkBytes;
        const end = start + bytesOfChunk(this.#record, first + i);
        const chunk = new Uint8Array(await file.slice(start, end).arrayBuffer());
        if (!equalBytes(await sha256(chunk), hash)) continue;
        this.have.add(first + i);
        this.hashes.set(first + i, hash);
      }
    }
  }

  async write({ index, hash, bytes }: Chunk): Promise<void> {
    const segment = Math.floor(index / this.#perSegment);
    const open = this.#open.get(segment) ?? this.#openSegment(segment);
    const chunk = index - segment * this.#perSegment;
    open.bytes.set(bytes, chunk * this.#record.chunkBytes);
    open.chunks.add(chunk);
    this.have.add(index);
    this.hashes.set(index, hash);
    const [oldest = segment] = this.#open.keys();
    if (this.#isComplete(segment)) this.#flush(segment);
    else if (this.#open.size > MAX_OPEN_SEGMENTS) this.#flush(oldest);
    if (Date.now() - this.#savedAt > SAVE_INTERVAL_MS) this.#flushAll();
    // One write may be under way while chunks for the next come.
    if (this.#queued > 1) await this.#writing;
  }

  #openSegment(segment: number): OpenSegment {
    const { count, bytes } = this.#segment(segment);
    const length = bytes + count * HASH_BYTES;
    const spare = this.#spare.pop();
    const open = {
      bytes: spare === undefined || spare.length < length ? new Uint8Array(length) : spare,
      chunks: new Set<number>(),
    };
    this.#open.set(segment, open);
    return open;
  }

  #segment(segment: number): { first: number; count: number; bytes: number } {
    const first = segment * this.#perSegment;
    const count = Math.min(this.#perSegment, this.have.length - first);
    const { size, chunkBytes } = this.#record;
    return { first, count, bytes: Math.min(count * chunkBytes, size - first * chunkBytes) };
  }

  #isComplete(segment: number): boolean {
    const { first, count } = this.#segment(segment);
    for (let i = 0; i < count; i++) if (!this.have.has(first + i)) return false;
    return true;
  }

  #flushAll(): void {
    this.#savedAt = Date.now();
    for (const segment of [...this.#open.keys()]) this.#flush(segment);
  }

  #flush(segment: number): void {
    const open = this.#open.get(segment);
    if (open === undefined) return;
    this.#open.delete(segment);
    this.#queued++;
    this.#writing = this.#writing.then(async () => {
      await this.#write(segment, open);
      this.#saved.add(segment);
      this.#spare.push(open.bytes);
      this.#queued--;
    });
    // A later write() or save() throws it.
    this.#writing.catch(() => {});
  }

  async #write(segment: number, { bytes, chunks }: OpenSegment): Promise<void> {
    const { first, count, bytes: end } = this.#segment(segment);
    const hashes = bytes.subarray(end, end + count * HASH_BYTES);
    hashes.fill(0);
    for (let i = 0; i < count; i++) {
      if (this.have.has(first + i)) hashes.set(this.hashes.at(first + i), i * HASH_BYTES);
    }
    const parts: Part[] = [];
    for (let i = 0; i < count; i++) {
      if (!chunks.has(i)) continue;
      const position = i * this.#record.chunkBytes;
      while (chunks.has(i + 1)) i++;
      const data = bytes.subarray(position, Math.min(end, (i + 1) * this.#record.chunkBytes));
      parts.push({ position, data });
    }
    parts.push({ position: end, data: hashes });
    await writeFile(this.#folder, String(segment), parts, this.#saved.has(segment));
  }

  async save(): Promise<void> {
    this.#flushAll();
    await this.#writing;
  }

  async finish(): Promise<Blob> {
    await this.save();
    const parts: Blob[] = [];
    for (let segment = 0; segment * this.#perSegment < this.have.length; segment++) {
      const file = await (await this.#folder.getFileHandle(String(segment))).getFile();
      parts.push(file.slice(0, this.#segment(segment).bytes));
    }
    await this.#folder.removeEntry(RECORD_FILE);
    return new Blob(parts);
  }

  async close(): Promise<void> {
    try {
      await this.save();
    } finally {
      this.#release();
    }
  }

  async remove(): Promise<void> {
    this.#open.clear();
    await this.#writing.catch(() => {}); // it has failed for the one who wrote
    await this.#parent.removeEntry(this.#record.id, { recursive: true });
    this.#release();
  }
}

/** Bytes and where they belong in a file. */
interface Part {
  readonly position: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Writes into a file, which changes when all is written. */
async function writeFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  parts: readonly Part[],
  keepExistingData: boolean,
): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const writable = await handle.createWritable({ keepExistingData });
  try {
    for (const { position, data } of parts) await writable.write({ type: "write", position, data });
  } catch (cause) {
    await writable.abort();
    throw cause;
  }
  await writable.close();
}

/** Deletes files that a page has received completely and closed, and old parts of files. */
async function removeOldFiles(folder: FileSystemDirectoryHandle): Promise<void> {
  for await (const name of folder.keys()) {
    await navigator.locks.request(`${FOLDER}/${name}`, { ifAvailable: true }, async (lock) => {
      if (lock === null) return; // a page uses it
      const child = await folder.getDirectoryHandle(name);
      const record = await child.getFileHandle(RECORD_FILE).catch(() => undefined);
      const writtenAt = (await record?.getFile())?.lastModified ?? 0;
      if (Date.now() - writtenAt > MAX_AGE_MS) await folder.removeEntry(name, { recursive: true });
    });
  }
}

/** Keeps other pages away from a file, until the result is called or the page closes. */
function takeLock(id: string): Promise<(() => void) | undefined> {
  const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>();
  const signal = AbortSignal.timeout(LOCK_TIMEOUT_MS);
  const held = navigator.locks.request(
    `${FOLDER}/${id}`,
    { signal },
    () => new Promise<void>((release) => resolve(release)),
  );
  held.catch(() => resolve(undefined)); // the time is over: another page holds it
  return promise;
}

function encodeRecord(
  { id, secret, member, name, type, size, chunkBytes }: FileRecord,
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(
    JSON.stringify([id, secret, member, name, type, size, chunkBytes]),
  );
}
