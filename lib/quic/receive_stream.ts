/** What comes of a read: bytes, the end of the stream (FIN), or that it was reset or lost. */
type ReadResult = Uint8Array<ArrayBuffer> | "end" | "reset";

/**
 * Reads a stream into small buffers: Deno allocates 64 KiB for each pending read otherwise, and
 * nothing comes for hours on most streams of a session.
 */
export class StreamReader {
  readonly #reader: ReadableStreamBYOBReader;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader({ mode: "byob" });
  }

  /** Reads what has arrived, at most `maxBytes`. */
  async read(maxBytes: number): Promise<ReadResult> {
    try {
      const { done, value } = await this.#reader.read(new Uint8Array(maxBytes));
      return done ? "end" : value;
    } catch {
      return "reset"; // by the client, or with the connection
    }
  }

  /** Leaves the rest of the stream to another reader. */
  release(): void {
    this.#reader.releaseLock();
  }

  /** Tells the client to stop sending. */
  stop(): void {
    this.#reader.cancel().catch(() => {}); // the connection is gone
  }
}
