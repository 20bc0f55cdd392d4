/** How a file is cut into chunks. */

/** Before the bytes of a chunk: its index (4 bytes, big-endian) and its SHA-256. */
export const HEADER_BYTES = 36;
export const HASH_BYTES = 32;

/**
 * Chunks of a file. Guards against offers that would take much memory: a bitmap then has at most
 * 32 KiB, and the hashes of all chunks 8 MiB.
 */
export const MAX_CHUNKS = 2 ** 18;

/** Bytes of a message with a chunk. All browsers take messages of this size. */
export const MAX_MESSAGE_BYTES = 262_144;

const MESSAGE_BYTES = { reliable: 65_536, partial: 16_384 } as const;

/** 64 GiB. */
export const MAX_FILE_BYTES = MAX_CHUNKS * (MAX_MESSAGE_BYTES - HEADER_BYTES);

/**
 * Bytes of a file through the server. Guards the server's log, and the user's patience: an inbox
 * takes about 2 MB a minute.
 */
export const MAX_SERVER_FILE_BYTES = 10 * 2 ** 20;

/**
 * Returns the bytes of all chunks but the last. With its header, a chunk is a message of 64 or 16
 * KiB, or of twice as much, or four times …, if the file had too many chunks otherwise.
 */
export function chunkBytesFor(size: number, mode: "reliable" | "partial"): number {
  let messageBytes: number = MESSAGE_BYTES[mode];
  while (messageBytes < MAX_MESSAGE_BYTES && size > MAX_CHUNKS * (messageBytes - HEADER_BYTES)) {
    messageBytes *= 2;
  }
  return messageBytes - HEADER_BYTES;
}

/** A size and where its chunks begin. */
export interface Layout {
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes of each chunk but the last. */
  readonly chunkBytes: number;
}

export function chunkCount({ size, chunkBytes }: Layout): number {
  return Math.ceil(size / chunkBytes);
}

/** Returns the bytes of one chunk. `index` is below the count. */
export function bytesOfChunk({ size, chunkBytes }: Layout, index: number): number {
  return Math.min(chunkBytes, size - index * chunkBytes);
}

/** Returns how many bytes these chunks of the file have. */
export function bytesOf(
  layout: Layout,
  set: { readonly count: number; has(index: number): boolean },
): number {
  const last = chunkCount(layout) - 1;
  if (!set.has(last)) return set.count * layout.chunkBytes;
  return (set.count - 1) * layout.chunkBytes + bytesOfChunk(layout, last);
}
