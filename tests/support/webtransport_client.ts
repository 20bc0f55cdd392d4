import { RECEIVED_STEP_BYTES } from "../../lib/shared/webtransport.ts";
import { Queue } from "./queue.ts";
import { certificateHash, TEST_PAIR } from "./quic_certificate.ts";

/** A message of the server. */
export interface ReceivedMessage {
  readonly op: string;
  readonly [member: string]: unknown;
}

/** What a message came on: the control stream, an event stream by its number, or a datagram. */
type Carrier = "control" | number | "datagram";

interface OpenOptions {
  readonly token?: string;
  /** Of the URL, such as `?ticket=…`. */
  readonly query?: string;
  /** Whether the client acknowledges what it takes. @default true */
  readonly acknowledges?: boolean;
  /** The accepted certificates. Empty if the runtime trusts the server's. @default the test's own */
  readonly serverCertificateHashes?: readonly WebTransportHash[];
}

/** A hash as the server offers it. */
interface StringHash {
  readonly algorithm: string;
  /** In base64. */
  readonly value: string;
}

const utf8 = new TextEncoder();
const hash = await certificateHash(TEST_PAIR);

/** A client of `weir.v1` over WebTransport, with Deno's own. */
export class WebTransportClient implements AsyncDisposable {
  readonly #messages = new Queue<[ReceivedMessage, Carrier]>();
  /** Messages that arrived before the one that was asked for: streams keep no order among them. */
  #skipped: [ReceivedMessage, Carrier][] = [];
  readonly transport: WebTransport;
  readonly #control: WritableStreamDefaultWriter<Uint8Array>;
  readonly #datagrams: WritableStreamDefaultWriter<Uint8Array>;
  readonly #acknowledges: boolean;
  readonly #taken = new Map<number, number>();
  #takenSince = 0;

  private constructor(
    transport: WebTransport,
    { readable, writable }: WebTransportBidirectionalStream,
    acknowledges: boolean,
  ) {
    this.transport = transport;
    this.#acknowledges = acknowledges;
    this.#control = writable.getWriter();
    this.#datagrams = transport.datagrams.writable.getWriter();
    for (const writer of [this.#control, this.#datagrams]) writer.closed.catch(() => {});
    void this.#readControl(readable);
    void this.#readStreams();
    void this.#readDatagrams();
    const ended = () => this.#messages.end(new Error("the connection has ended"));
    void transport.closed.then(ended, ended);
  }

  /** Resolves after the welcome, or after a token has been accepted. */
  static async open(
    url: string,
    { token, query = "", acknowledges = true, serverCertificateHashes = [hash] }: OpenOptions = {},
  ): Promise<WebTransportClient> {
    const transport = new WebTransport(`${url}${query}`, {
      serverCertificateHashes: [...serverCertificateHashes],
    });
    await transport.ready;
    const control = await transport.createBidirectionalStream();
    const client = new WebTransportClient(transport, control, acknowledges);
    await client.sendBytes(new Uint8Array()); // announces the stream
    await client.next("welcome");
    if (token === undefined) return client;
    await client.send({ op: "auth", token });
    await client.next("authenticated");
    return client;
  }

  /** Sends messages on the control stream. */
  async send(...messages: readonly ReceivedMessage[]): Promise<void> {
    const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
    await this.sendBytes(utf8.encode(lines));
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    await this.#control.write(bytes);
  }

  async sendDatagram(message: ReceivedMessage): Promise<void> {
    await this.#datagrams.write(utf8.encode(JSON.stringify(message)));
  }

  /** Opens a connection to the server whose HTTP is at `url`, as it offers it. */
  static async openOffered(url: string, options: OpenOptions = {}): Promise<WebTransportClient> {
    const offer = await (await fetch(`${url}/v1/transports`)).json();
    if (offer.webtransport === undefined) {
      throw new Error(`no WebTransport: ${JSON.stringify(offer)}`);
    }
    const { url: target, certificateHashes = [] } = offer.webtransport;
    const serverCertificateHashes = certificateHashes.map(({ algorithm, value }: StringHash) => {
      return { algorithm, value: Uint8Array.fromBase64(value) };
    });
    return await WebTransportClient.open(target, { serverCertificateHashes, ...options });
  }

  /**
   * Returns the next message with one of `ops`, and what it came on. Others are kept.
   *
   * @throws {Error} at an error that was not asked for
   */
  async next(...ops: readonly string[]): Promise<[ReceivedMessage, Carrier]> {
    const at = this.#skipped.findIndex(([message]) => ops.includes(message.op));
    const [known] = at === -1 ? [] : this.#skipped.splice(at, 1);
    if (known !== undefined) return known;
    for (;;) {
      const received = await this.#messages.take();
      const [message] = received;
      if (ops.includes(message.op)) return received;
      if (message.op === "error") throw new Error(JSON.stringify(message));
      this.#skipped.push(received);
    }
  }

  /** Returns the next message, with whichever op, and what it came on. */
  async take(): Promise<[ReceivedMessage, Carrier]> {
    return this.#skipped.shift() ?? await this.#messages.take();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.close();
    await this.transport.closed.catch(() => {});
  }

  async #readControl(readable: ReadableStream<Uint8Array>): Promise<void> {
    for await (const [message] of messagesOf(readable)) this.#messages.put([message, "control"]);
  }

  async #readStreams(): Promise<void> {
    const reader = this.transport.incomingUnidirectionalStreams.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        void this.#readEvents(value);
      }
    } catch {
      // The connection has ended.
    }
  }

  async #readEvents(readable: ReadableStream<Uint8Array>): Promise<void> {
    let number = 0;
    for await (const [message, bytes] of messagesOf(readable)) {
      if (message.op === "stream") number = Number(message["stream"]);
      else this.#messages.put([message, number]);
      this.#took(number, bytes);
    }
  }

  #took(number: number, bytes: number): void {
    if (!this.#acknowledges) return;
    this.#taken.set(number, (this.#taken.get(number) ?? 0) + bytes);
    this.#takenSince += bytes;
    if (this.#takenSince < RECEIVED_STEP_BYTES) return;
    this.#takenSince = 0;
    void this.send({ op: "received", streams: Object.fromEntries(this.#taken) }).catch(() => {});
  }

  async #readDatagrams(): Promise<void> {
    const reader = this.transport.datagrams.readable.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        for (const line of new TextDecoder().decode(value).split("\n")) {
          this.#messages.put([JSON.parse(line), "datagram"]);
        }
      }
    } catch {
      // The connection has ended.
    }
  }
}

/** Returns the messages of a stream, each with the bytes of its line. */
async function* messagesOf(
  readable: ReadableStream<Uint8Array>,
): AsyncGenerator<[ReceivedMessage, number]> {
  const reader = readable.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield [JSON.parse(line), utf8.encode(line).length + 1];
    }
  } catch {
    // The connection has ended.
  }
}
