/**
 * Bytes that are read at once: a few messages. Deno allocates a buffer for each pending read, and
 * most streams are quiet.
 */
const MIN_READ_BYTES = 2_048;
/** The same while the buffers are full. */
const MAX_READ_BYTES = 65_536;

/**
 * Reads a byte stream until it ends, is reset or lost. A chunk is valid until the next one is asked
 * for, since they share a buffer.
 */
export async function* chunksOf(
  readable: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array> {
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(MIN_READ_BYTES);
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return;
      yield value;
      const isFull = value.length === value.buffer.byteLength;
      const bytes = isFull ? Math.min(2 * value.length, MAX_READ_BYTES) : MIN_READ_BYTES;
      buffer = bytes === value.buffer.byteLength ? value.buffer : new ArrayBuffer(bytes);
    }
  } catch {
    // The client has reset the stream, or is gone.
  }
}
