import type { SendStream } from "../../quic/send_stream.ts";
import { concat } from "../../shared/bytes.ts";

/**
 * Bytes for which a stream has room of its own, even if the connection has none. Guards
 * against large events in one channel that keep the small ones of all others waiting.
 */
const RESERVE_BYTES = 4 * 1_024;

/** Where bytes of a stream go. */
type Writable = Pick<SendStream, "write" | "reset">;

/** The connection of an event stream, as the stream needs it. */
export interface EventStreamHost {
  /** Opens a stream once the client allows for one more. Never rejects. */
  readonly open: () => Promise<Writable>;
  /** Plans a {@link EventStream.flush} in this turn of the event loop. */
  readonly flushSoon: (stream: EventStream) => void;
  /** Counts bytes that the client has not acknowledged and QUIC has not taken. */
  readonly sent: (bytes: number) => void;
  /** Counts bytes that QUIC has taken, or that were dropped before. */
  readonly taken: (bytes: number) => void;
  /** Returns whether the connection has room. @see {@link import("../room.ts").Room.has} */
  readonly hasRoom: (bytes: number, hasWaited: boolean) => boolean;
  /** Resolves when the connection has room. */
  readonly waitForRoom: (bytes: number) => Promise<void>;
}

interface Wait {
  readonly bytes: number;
  readonly resolve: () => void;
}

/** A stream for the events of one `subscribe`, or of several that share it. */
export class EventStream {
  readonly #host: EventStreamHost;
  /** Undefined until it is open. */
  #writable: Writable | undefined;
  #isOpening = false;
  #isEnded = false;
  /** What is written in this turn, or once the stream is open. */
  #chunks: Uint8Array[] = [];
  #sentBytes = 0;
  #acknowledgedBytes = 0;
  /** The subscriptions that wait for room, in order. The first one waits for the connection's too. */
  #waiting: Wait[] = [];
  #isFirstAsked = false;
  /** How many `subscribe`s use the stream. */
  users = 0;

  constructor(
    host: EventStreamHost,
    /** Names the stream in its connection. */
    readonly number: number,
  ) {
    this.#host = host;
  }

  get unacknowledgedBytes(): number {
    return this.#sentBytes - this.#acknowledgedBytes;
  }

  /** Sends bytes after those before them. */
  write(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    if (this.#sentBytes === 0) this.#add(headerOf(this.number));
    this.#add(chunk);
    this.#host.flushSoon(this);
  }

  /** Gives QUIC what was written, all of a turn together. */
  flush(): void {
    if (this.#chunks.length === 0) return;
    if (this.#writable === undefined) return void this.#open();
    const bytes = concat(this.#chunks);
    this.#chunks = [];
    void this.#writable.write(bytes).then(() => this.#host.taken(bytes.length));
  }

  /** Whether the client may have taken so many bytes since the stream began. */
  mayHaveTaken(bytes: number): boolean {
    return bytes >= this.#acknowledgedBytes && bytes <= this.#sentBytes;
  }

  /** Takes note that the client has taken so many bytes. Returns how many more than before. */
  acknowledge(bytes: number): number {
    const added = bytes - this.#acknowledgedBytes;
    this.#acknowledgedBytes = bytes;
    return added;
  }

  /** Acts as {@link import("../../hub/sink.ts").Sink.hasRoom}. */
  hasRoom(bytes: number, hasWaited = false): boolean {
    if (this.#isEnded) return true;
    const isNext = hasWaited || this.#waiting.length === 0;
    return isNext && (this.#fitsReserve(bytes) || this.#host.hasRoom(bytes, hasWaited));
  }

  /** Acts as {@link import("../../hub/sink.ts").Sink.drained}. */
  drained(bytes: number): Promise<void> {
    if (this.hasRoom(bytes)) return Promise.resolve();
    const waited = new Promise<void>((resolve) => this.#waiting.push({ bytes, resolve }));
    this.#askForFirst();
    return waited;
  }

  /** Ends the first wait if it fits the stream's own room. */
  wake(): void {
    const [first] = this.#waiting;
    if (first !== undefined && this.#fitsReserve(first.bytes)) this.#wakeFirst();
  }

  /** Ends the stream and all waits, and drops what waits to be sent. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const bytes = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#chunks = [];
    this.#host.taken(bytes);
    this.#writable?.reset();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#sentBytes += chunk.length;
    this.#host.sent(chunk.length);
  }

  async #open(): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    const writable = this.#writable = await this.#host.open();
    if (this.#isEnded) writable.reset();
    else this.flush();
  }

  #fitsReserve(bytes: number): boolean {
    return this.unacknowledgedBytes + bytes <= RESERVE_BYTES;
  }

  #wakeFirst(): void {
    this.#waiting.shift()?.resolve();
    this.#askForFirst();
  }

  /** Lets the first one wait for the connection's room too. */
  #askForFirst(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#isFirstAsked) return;
    this.#isFirstAsked = true;
    void this.#host.waitForRoom(first.bytes).then(() => {
      this.#isFirstAsked = false;
      if (this.#waiting[0] === first) this.#wakeFirst();
      else this.#askForFirst(); // the first one got the stream's own room in the meantime
    });
  }
}

function headerOf(number: number): Uint8Array {
  return new TextEncoder().encode(`{"op":"stream","stream":${number}}\n`);
}
