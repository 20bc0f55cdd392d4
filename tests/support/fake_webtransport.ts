import type { JsonObject } from "../../lib/client/core/json_object.ts";
import type { Platform } from "../../lib/client/core/platform.ts";

interface FakeWebTransportsOptions {
  /** Whether datagrams have only `createWritable()`, as in Safari. @default false */
  readonly isSafari?: boolean;
}

/** The WebTransport of a browser, in memory. The test is the server of each connection. */
export class FakeWebTransports {
  /** The connections that the client has asked for. */
  readonly connections: FakeConnection[] = [];
  /** What the client takes as the browser's class. */
  readonly WebTransport: NonNullable<Platform["WebTransport"]>;

  constructor(options: FakeWebTransportsOptions = {}) {
    const { connections } = this;
    this.WebTransport = class {
      constructor(url: URL, init: WebTransportOptions) {
        const connection = new FakeConnection(url, init, options);
        connections.push(connection);
        return connection.client;
      }
    } as unknown as NonNullable<Platform["WebTransport"]>; // the constructor returns another object
  }

  /** The last connection. */
  get last(): FakeConnection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error("the client has opened no connection");
    return last;
  }
}

/** An event stream, from the server's side. */
interface FakeEventStream {
  /** Sends text as it is. */
  write(text: string): void;
  writeBytes(bytes: Uint8Array): void;
  /** Sends messages, one per line. */
  send(...messages: readonly JsonObject[]): void;
  end(): void;
  reset(): void;
}

/** One connection. Its methods are those of the server, `client` is what the browser has. */
export class FakeConnection {
  readonly client: WebTransport;
  /** The messages that came on the control stream. */
  readonly messages: JsonObject[] = [];
  /** The messages that came as datagrams. */
  readonly datagrams: JsonObject[] = [];
  /** Whether the client has opened the control stream. */
  hasControl = false;
  /** Whether the client has closed it. */
  isClosed = false;
  /** Datagrams leave the client once it has resolved. */
  datagramsMayLeave: Promise<void> = Promise.resolve();
  readonly #ready = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<WebTransportCloseInfo>();
  readonly #control = new TransformStream<Uint8Array, Uint8Array>();
  readonly #sentControl: WritableStreamDefaultWriter<Uint8Array>;
  readonly #sentDatagrams: WritableStreamDefaultWriter<Uint8Array>;
  readonly #openStream: (stream: ReadableStream<Uint8Array>) => void;
  #unread = "";

  constructor(
    readonly url: URL,
    readonly options: WebTransportOptions,
    { isSafari = false }: FakeWebTransportsOptions,
  ) {
    this.#ready.promise.catch(() => {});
    this.#closed.promise.catch(() => {});
    this.#sentControl = this.#control.writable.getWriter();
    const datagrams = new TransformStream<Uint8Array, Uint8Array>();
    this.#sentDatagrams = datagrams.writable.getWriter();
    let openStream = (_: ReadableStream<Uint8Array>) => {};
    const incomingUnidirectionalStreams = new ReadableStream<ReadableStream<Uint8Array>>({
      start: (controller) => openStream = (stream) => controller.enqueue(stream),
    });
    this.#openStream = openStream;
    const writable = new WritableStream<Uint8Array>({
      write: async (bytes) => {
        await this.datagramsMayLeave;
        this.datagrams.push(JSON.parse(decode(bytes)));
      },
    });
    const client = {
      ready: this.#ready.promise,
      closed: this.#closed.promise,
      close: () => {
        this.isClosed = true;
        this.end();
      },
      createBidirectionalStream: () => {
        this.hasControl = true;
        return Promise.resolve({
          readable: this.#control.readable,
          writable: new WritableStream<Uint8Array>({ write: (bytes) => this.#receive(bytes) }),
        });
      },
      incomingUnidirectionalStreams,
      datagrams: {
        readable: datagrams.readable,
        maxDatagramSize: 1_300,
        ...isSafari ? { createWritable: () => writable } : { writable },
      },
    };
    this.client = client as unknown as WebTransport; // has what the client uses
  }

  /** Accepts the connection, and sends nothing. */
  acceptSilently(): void {
    this.#ready.resolve();
  }

  /** Accepts the connection, and sends the welcome. */
  accept(): void {
    this.acceptSilently();
    this.send({ op: "welcome", session: "s", heartbeat: 15_000, window: 262_144 });
  }

  /** Refuses the connection, as a browser shows it. */
  refuse(): void {
    const error = new Error("Opening handshake failed.");
    this.#ready.reject(error);
    this.#closed.reject(error);
  }

  /** Sends a message on the control stream. */
  send(message: JsonObject): void {
    void this.#sentControl.write(encode(`${JSON.stringify(message)}\n`));
  }

  /** Opens an event stream, with its header. */
  open(number: number): FakeEventStream {
    const stream = this.openStream();
    stream.send({ op: "stream", stream: number });
    return stream;
  }

  /** Opens a stream on which nothing is sent. */
  openStream(): FakeEventStream {
    const stream = new TransformStream<Uint8Array, Uint8Array>();
    const writer = stream.writable.getWriter();
    this.#openStream(stream.readable);
    const writeBytes = (bytes: Uint8Array) => void writer.write(bytes).catch(() => {});
    const write = (text: string) => writeBytes(encode(text));
    const send = (...messages: readonly JsonObject[]) =>
      write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
    return {
      write,
      writeBytes,
      send,
      end: () => void writer.close(),
      reset: () => void writer.abort(new Error("reset")),
    };
  }

  sendDatagram(text: string): void {
    void this.#sentDatagrams.write(encode(text));
  }

  /** Ends the connection. */
  end(): void {
    this.#closed.resolve({ closeCode: 0, reason: "" });
    this.endControl();
  }

  /** Ends the control stream. */
  endControl(): void {
    this.#sentControl.close().catch(() => {}); // closed already
  }

  /** Returns the last message with this op. */
  find(op: string): JsonObject | undefined {
    return this.messages.findLast((message) => message["op"] === op);
  }

  #receive(bytes: Uint8Array): void {
    const lines = (this.#unread + decode(bytes)).split("\n");
    this.#unread = lines.pop() ?? "";
    for (const line of lines) this.messages.push(JSON.parse(line));
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
