import { concat } from "./bytes.ts";

/**
 * Writes that wait are given to QUIC together, up to this many bytes. Each write is a call into the
 * runtime; joining larger ones would cost more for the copy than it saves.
 */
const MAX_JOINED_BYTES = 65_536;

/** Chunks that are written together once the writes before have been taken. */
interface Batch {
  readonly chunks: Uint8Array[];
  bytes: number;
  readonly taken: PromiseWithResolvers<void>;
}

/**
 * The sending side of a stream. Its errors show as the end of the session. It must be referred to
 * until its end: the runtime ends streams (FIN) that it collects as garbage.
 */
export class SendStream {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #waiting: Batch[] = [];
  #isWriting = false;
  #isEnded = false;

  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {}); // the connection is gone
  }

  /**
   * Queues a chunk, which must not change until then. Resolves once QUIC has taken it, or the stream
   * has ended. Never rejects.
   */
  write(chunk: Uint8Array): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    if (!this.#isWriting) return this.#start(chunk);
    let last = this.#waiting.at(-1);
    if (last === undefined || last.bytes + chunk.length > MAX_JOINED_BYTES) {
      last = { chunks: [], bytes: 0, taken: Promise.withResolvers() };
      this.#waiting.push(last);
    }
    last.chunks.push(chunk);
    last.bytes += chunk.length;
    return last.taken.promise;
  }

  /** Ends the stream (FIN) after what has been written. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!this.#isWriting) this.#close();
  }

  /**
   * Ends the stream, and drops what waits. Deno cannot send RESET_STREAM: the client gets what QUIC
   * has taken, then a FIN. While the client does not read, the write under way stays.
   */
  reset(): void {
    this.#isEnded = true;
    this.#drop();
    this.#writer.abort().catch(() => {}); // the connection is gone
  }

  #start(chunk: Uint8Array): Promise<void> {
    this.#isWriting = true;
    return this.#writer.write(chunk).then(this.#wrote, this.#failed);
  }

  readonly #wrote = (): void => {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      const [first, ...others] = next.chunks;
      const chunk = first !== undefined && others.length === 0 ? first : concat(...next.chunks);
      this.#start(chunk).then(next.taken.resolve);
      return;
    }
    this.#isWriting = false;
    if (this.#isEnded) this.#close();
  };

  readonly #failed = (): void => {
    this.#isEnded = true;
    this.#drop();
  };

  #drop(): void {
    for (const { taken } of this.#waiting) taken.resolve();
    this.#waiting = [];
  }

  #close(): void {
    this.#writer.close().catch(() => {}); // the connection is gone, or the stream was reset
  }
}

/** Returns a stream that drops what is written to it. */
export function endedStream(): SendStream {
  const stream = new SendStream(new WritableStream());
  stream.end();
  return stream;
}
