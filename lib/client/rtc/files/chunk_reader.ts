import { WeirError } from "../../core/weir_error.ts";
import { HashTree, sha256 } from "./hash.ts";
import { chunkCount, type Layout } from "./layout.ts";
import { encodeChunk } from "./protocol.ts";

/** Bytes that are read at once: a read of a file costs as much as a message between processes. */
const BLOCK_BYTES = 2 ** 20;

/** Consecutive chunks. */
export interface Block {
  readonly first: number;
  readonly count: number;
}

/** Groups ascending indexes of chunks into blocks of about 1 MiB. */
export function* toBlocks(indexes: Iterable<number>, chunkBytes: number): Generator<Block> {
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

  /** Resolves with the messages of the block's chunks, or with the error `file_changed`. */
  async read({ first, count }: Block): Promise<readonly Frame[] | WeirError> {
    const { size, chunkBytes } = this.#layout;
    const [start, end] = [first * chunkBytes, Math.min(size, (first + count) * chunkBytes)];
    try {
      const block = new Uint8Array(await this.#source.slice(start, end).arrayBuffer());
      if (block.length !== end - start) throw new Error("The file is shorter now.");
      const indexes = Array.from({ length: count }, (_, i) => i);
      return await Promise.all(indexes.map(async (i) => {
        const bytes = block.subarray(i * chunkBytes, (i + 1) * chunkBytes);
        const hash = await sha256(bytes);
        const index = first + i;
        if (!this.hashes.set(index, hash)) throw new Error("Some bytes are others now.");
        return { index, message: encodeChunk({ index, hash, bytes }) };
      }));
    } catch (cause) {
      const detail = "The file was changed, moved or deleted since it was offered. Send it again.";
      return new WeirError("file_changed", detail, { cause });
    }
  }
}
