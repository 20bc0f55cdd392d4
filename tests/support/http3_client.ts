import { concat } from "../../lib/quic/bytes.ts";
import { encodeVarint } from "../../lib/quic/varint.ts";
import { FRAME, headersFrame } from "../../lib/quic/frame.ts";
import { decodeFieldSection, type Field } from "../../lib/quic/qpack.ts";
import { SETTING, settingsFrame } from "../../lib/quic/settings.ts";
import { BlockReader } from "../../lib/quic/block_reader.ts";
import type { WebTransportServer } from "../../lib/quic/server.ts";
import { TEST_PAIR } from "./quic_certificate.ts";

/** The settings of a client that can use WebTransport. */
const CLIENT_SETTINGS = settingsFrame([[SETTING.H3_DATAGRAM, 1], [SETTING.ENABLE_WEBTRANSPORT, 1]]);

/** Returns the fields of a CONNECT for WebTransport, with these replaced or added. */
export function connectFields(fields: Readonly<Record<string, string>> = {}): readonly Field[] {
  return Object.entries({
    ":method": "CONNECT",
    ":scheme": "https",
    ":authority": "127.0.0.1",
    ":path": "/echo",
    ":protocol": "webtransport",
    ...fields,
  });
}

/** A stream that a client has opened. Errors of a lost connection are those of `conn.closed`. */
export class ClientStream {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(writable: Deno.QuicSendStream, readable: Deno.QuicReceiveStream | undefined) {
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {});
    this.#reader = readable?.getReader();
  }

  /** Sends bytes. Resolves when QUIC has taken them. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes).catch(() => {});
  }

  /** Ends the stream (FIN). */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
  }

  /** Tells the server to stop sending. */
  async stop(): Promise<void> {
    await this.#reader?.cancel().catch(() => {});
  }

  /** Returns what arrives next, or undefined at the end of the stream or connection. */
  async read(): Promise<Uint8Array | undefined> {
    try {
      return (await this.#reader?.read())?.value;
    } catch {
      return undefined;
    }
  }

  /** Returns the status of a response. */
  async status(): Promise<string> {
    let status: string | undefined;
    const frames = new BlockReader({
      begin: (type) => type === FRAME.HEADERS ? "collect" : "skip",
      collected: (_, value) => status = new Map(decodeFieldSection(value)).get(":status"),
      part: () => {},
    });
    while (status === undefined) {
      const bytes = await this.read();
      if (bytes === undefined) return "none";
      frames.push(bytes);
    }
    return status;
  }
}

/** What has come on a stream that the server opened. */
interface Received {
  bytes: Uint8Array;
  isEnded: boolean;
}

/** A QUIC connection of a client that sends any bytes on any stream. */
export class Http3Client implements AsyncDisposable {
  readonly conn: Deno.QuicConn;
  /** Resolves when the connection is closed, with the code, or -1 if the server did not say one. */
  readonly closed: Promise<number>;

  /** The streams that the server has opened. */
  readonly received: Received[] = [];

  /** The runtime ends streams that nothing refers to. */
  readonly #streams: ClientStream[] = [];

  /** Called with bytes that are not kept, if set. */
  readonly #onBytes: ((count: number) => void) | undefined;

  private constructor(conn: Deno.QuicConn, onBytes?: (count: number) => void) {
    this.conn = conn;
    this.#onBytes = onBytes;
    this.#receive().catch(() => {}); // the connection is gone
    this.closed = conn.closed.then(({ closeCode }) => closeCode, () => -1);
  }

  /** @param onBytes counts what comes on streams of the server, which is not kept then. */
  static async connect(
    { addr }: Pick<WebTransportServer, "addr">,
    onBytes?: (count: number) => void,
  ): Promise<Http3Client> {
    const conn = await Deno.connectQuic({
      hostname: "127.0.0.1",
      port: addr.port,
      alpnProtocols: ["h3"],
      caCerts: [TEST_PAIR.cert],
      maxIdleTimeout: 30_000,
    });
    return new Http3Client(conn, onBytes);
  }

  async #receive(): Promise<void> {
    for await (const stream of this.conn.incomingUnidirectionalStreams) {
      const received: Received = { bytes: new Uint8Array(), isEnded: false };
      this.received.push(received);
      const read = async () => {
        for await (const chunk of stream) {
          if (this.#onBytes === undefined) received.bytes = concat(received.bytes, chunk);
          else this.#onBytes(chunk.length);
        }
        received.isEnded = true;
      };
      read().catch(() => {}); // the connection is gone
    }
  }

  /** Opens a unidirectional stream and sends bytes on it. */
  async sendUni(bytes: Uint8Array): Promise<ClientStream> {
    const writable = await this.conn.createUnidirectionalStream({ waitUntilAvailable: true });
    const stream = new ClientStream(writable, undefined);
    this.#streams.push(stream);
    await stream.send(bytes);
    return stream;
  }

  /** Opens a bidirectional stream and sends bytes on it. */
  async sendBidi(bytes: Uint8Array): Promise<ClientStream> {
    const { writable, readable } = await this.conn.createBidirectionalStream({
      waitUntilAvailable: true,
    });
    const stream = new ClientStream(writable, readable);
    this.#streams.push(stream);
    await stream.send(bytes);
    return stream;
  }

  /** Opens the control stream. */
  async sendSettings(frames: Uint8Array = CLIENT_SETTINGS): Promise<ClientStream> {
    return await this.sendUni(concat(encodeVarint(0x00), frames));
  }

  /** Asks for a session, and returns its stream and the status of the answer. */
  async request(fields = connectFields()): Promise<{
    readonly stream: ClientStream;
    readonly status: string;
  }> {
    const stream = await this.sendBidi(headersFrame(fields));
    return { stream, status: await stream.status() };
  }

  /** Opens a session. */
  async open(): Promise<ClientStream> {
    await this.sendSettings();
    const { stream, status } = await this.request();
    if (status !== "200") throw new Error(`the answer is ${status}`);
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.conn.close({ closeCode: 0x100, reason: "" });
    await this.closed;
    this.conn.endpoint.close();
  }
}
