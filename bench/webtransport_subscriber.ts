/**
 * One subscription over WebTransport, by Deno's own client: connects, waits until it is live, counts
 * events, and acknowledges what it has read as docs/protocol.md says.
 */
import { MarkerCounter, type Tally } from "./counter.ts";
import type { LoadOptions } from "./options.ts";
import { channelName } from "./wire.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const BUFFER_BYTES = 65_536;
/** A client acknowledges when it has taken so many bytes since the last time. */
const ACKNOWLEDGE_BYTES = 32 * 1_024;

/** Where a server takes WebTransport connections. */
export interface WebTransportAddress {
  readonly url: string;
  readonly hashes: readonly { readonly algorithm: string; readonly value: BufferSource }[];
}

/** Asks a server for its address. @throws {Error} If it offers no WebTransport. */
export async function webTransportAddress(server: string): Promise<WebTransportAddress> {
  const response = await fetch(`http://${server}/v1/transports`);
  const { webtransport } = await response.json();
  if (webtransport === undefined) throw new Error("The server offers no WebTransport");
  const { url, certificateHashes = [] } = webtransport;
  const hashes = certificateHashes.map((
    { algorithm, value }: { readonly algorithm: string; readonly value: string },
  ) => ({ algorithm, value: Uint8Array.from(atob(value), (char) => char.charCodeAt(0)) }));
  return { url, hashes };
}

/** Opens a connection. Its `closed` may reject without being handled. */
export async function openWebTransport(
  { url, hashes }: WebTransportAddress,
): Promise<WebTransport> {
  const connection = new WebTransport(url, { serverCertificateHashes: [...hashes] });
  connection.closed.catch(() => {});
  await connection.ready;
  return connection;
}

const addresses = new Map<string, Promise<WebTransportAddress>>();

/** A live subscription. Adds events to its tally until {@linkcode close}. */
export class WebTransportSubscriber {
  readonly #connection: WebTransport;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #counter: MarkerCounter;
  readonly #live = Promise.withResolvers<void>();
  /** Writes to the control stream; undefined with the bare server, which has none. */
  #control: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #stream = 0;
  #taken = 0;
  #acknowledged = 0;
  /** What came on the event stream before the subscription was live; undefined after that. */
  #opening: string | undefined = "";
  /** Why it ended before {@linkcode close}, or "". */
  ended = "";
  #isClosed = false;

  private constructor(
    connection: WebTransport,
    options: LoadOptions,
    tally: Tally,
    index: number,
    buffer: Uint8Array<ArrayBuffer>,
  ) {
    this.#connection = connection;
    this.#buffer = buffer;
    const few = options.subscribers < 50;
    this.#counter = new MarkerCounter(buffer, tally, {
      spacing: options.size,
      sampleEvery: few ? 1 : index % 50 === 0 ? 5 : 0,
    });
  }

  /**
   * Connects and resolves when the subscription is live: `subscribed` for Weir, the first byte of the
   * event stream for the bare server.
   *
   * @throws {Error} If the server refuses.
   */
  static async open(
    options: LoadOptions,
    tally: Tally,
    index: number,
  ): Promise<WebTransportSubscriber> {
    const { subscribeAt } = options;
    const address = addresses.get(subscribeAt) ?? webTransportAddress(subscribeAt);
    addresses.set(subscribeAt, address);
    const connection = await openWebTransport(await address);
    const subscriber = new WebTransportSubscriber(
      connection,
      options,
      tally,
      index,
      new Uint8Array(BUFFER_BYTES),
    );
    try {
      await subscriber.#subscribe(options);
      return subscriber;
    } catch (error) {
      subscriber.close();
      throw error;
    }
  }

  /** Closes the connection. Events that it received before remain counted. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.close();
  }

  /** Keep-alives of QUIC do this. */
  pong(): void {}

  async #subscribe(options: LoadOptions): Promise<void> {
    void this.#runStreams();
    if (options.wire === "weir") {
      const { readable, writable } = await this.#connection.createBidirectionalStream();
      this.#control = writable.getWriter();
      void this.#runControl(readable);
      this.#send({
        op: "subscribe",
        ref: 1,
        channel: channelName(0),
        ...(options.held > 0 ? { after: "earliest" } : {}),
      });
    }
    await this.#live.promise;
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    this.#control?.write(encoder.encode(`${JSON.stringify(message)}\n`)).catch(this.#fail);
  }

  readonly #fail = (error: unknown): void => {
    if (this.#isClosed) return;
    this.ended ||= error instanceof Error ? error.message : String(error);
    this.#live.reject(new Error(`Subscribe refused: ${this.ended}`));
  };

  /** Reads the answers. All that is not `welcome` ends the subscription. */
  async #runControl(readable: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    try {
      for await (const chunk of readable) {
        const lines = (rest + decoder.decode(chunk)).split("\n"); // ASCII
        rest = lines.pop() ?? "";
        const bad = lines.find((line) => JSON.parse(line).op !== "welcome");
        if (bad !== undefined) this.#fail(bad);
      }
      this.#fail("the server ended the control stream");
    } catch (error) {
      this.#fail(error);
    }
  }

  async #runStreams(): Promise<void> {
    try {
      for await (const stream of this.#connection.incomingUnidirectionalStreams) {
        void this.#runStream(stream);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #runStream(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      for await (const chunk of stream) this.#take(chunk);
      this.#fail("the server ended the event stream");
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(chunk: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < chunk.length; at += BUFFER_BYTES) {
      const part = chunk.subarray(at, at + BUFFER_BYTES);
      this.#buffer.set(part);
      this.#counter.count(0, part.length);
    }
    if (this.#opening !== undefined) this.#takeOpening(decoder.decode(chunk));
    this.#taken += chunk.length;
    if (this.#control === undefined) return;
    if (this.#taken - this.#acknowledged < ACKNOWLEDGE_BYTES) return;
    this.#acknowledged = this.#taken;
    this.#send({ op: "received", streams: { [this.#stream]: this.#taken } });
  }

  #takeOpening(text: string): void {
    this.#opening += text;
    const [first = "", ...more] = (this.#opening ?? "").split("\n");
    if (this.#control !== undefined) {
      if (more.length === 0) return;
      this.#stream = JSON.parse(first).stream;
      if (!more.slice(0, -1).some((line) => line.includes('"subscribed"'))) return;
    }
    this.#opening = undefined;
    this.#live.resolve();
  }
}
