import { WeirError } from "../../core/weir_error.ts";
import { HashTree, sha256 } from "./hash.ts";
import { bytesOfChunk, chunkCount, HEADER_BYTES, type Layout } from "./layout.ts";
import { writeHeader } from "./protocol.ts";

/**
 * Bytes that are read as one stream. Browsers notice a changed file when they open it, so it is
 * opened again for each stream. Opening costs a call between processes, which takes milliseconds.
 */
const BLOCK_BYTES = 2 ** 23;

/** Consecutive chunks. */
interface Block {
  readonly first: number;
  readonly count: number;
}

/** Groups ascending indexes of chunks into blocks of about 8 MiB. */
function* toBlocks(indexes: Iterable<number>, chunkBytes: number): Generator<Block> {
  const max = Math.max(1, Math.floor(BLOCK_BYTES / chunkBytes));
  let block: Block | undefined;
  for (const index of indexes) {
    if (block !== undefined && (index !== block.first + block.count || block.count === max)) {
      yield block;
      block = undefined;
    }
    block = { first: block?.first ?? index, count: (block?.count ?? 0) + 1 };
  }
  if (block !== undefined) yield block;
}

interface Frame {
  readonly index: number;
  /** Valid until the next frame is asked for. */
  readonly message: Uint8Array<ArrayBuffer>;
}

/** Reads chunks of a file and notices if it changes. */
export class ChunkReader {
  readonly hashes: HashTree;
  readonly #source: Blob;
  readonly #layout: Layout;

  constructor(source: Blob, layout: Layout) {
    this.#source = source;
    this.#layout = layout;
    this.hashes = new HashTree(chunkCount(layout));
  }

  /**
   * Yields the message of each chunk, all in the same memory: fresh memory for each costs several
   * times as much as the copy.
   *
   * @throws {WeirError} `file_changed`
   */
  async *read(indexes: Iterable<number>): AsyncGenerator<Frame, void> {
    const { size, chunkBytes } = this.#layout;
    const frame = new Uint8Array(HEADER_BYTES + Math.min(chunkBytes, size));
    for (const { first, count } of toBlocks(indexes, chunkBytes)) {
      const start = first * chunkBytes;
      const end = Math.min(size, start + count * chunkBytes);
      const bytes = new ByteReader(this.#source.slice(start, end));
      try {
        for (let index = first; index < first + count; index++) {
          const message = frame.subarray(0, HEADER_BYTES + bytesOfChunk(this.#layout, index));
          await this.#readChunk(bytes, index, message);
          yield { index, message };
        }
      } finally {
        bytes.close();
      }
    }
  }

  async #readChunk(
    bytes: ByteReader,
    index: number,
    message: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    try {
      const chunk = message.subarray(HEADER_BYTES);
      await bytes.fill(chunk);
      const hash = await sha256(chunk);
      if (!this.hashes.set(index, hash)) throw new Error("Some bytes are others now.");
      writeHeader(message, index, hash);
    } catch (cause) {
      const detail = "The file was changed, moved or deleted since it was offered. Send it again.";
      throw new WeirError("file_changed", detail, { cause });
    }
  }
}

/** Reads the bytes of a blob in order. */
class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #rest = new Uint8Array(0);

  constructor(blob: Blob) {
    this.#reader = blob.stream().getReader();
  }

  /** Fills `target` with the next bytes. @throws {Error} if there are fewer. */
  async fill(target: Uint8Array): Promise<void> {
    for (let filled = 0; filled < target.length;) {
      if (this.#rest.length === 0) {
        const { value } = await this.#reader.read();
        if (value === undefined) throw new Error("The file is shorter now.");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
  }

  close(): void {
    this.#reader.cancel().catch(() => {}); // fill() has thrown the same
  }
}
