/** What a lane's network does to the data of a WebTransport connection. */
interface TransportNetwork {
  isCut(): boolean;
  /** Registers a connection. Returns a function to call when it has ended. */
  opened(end: () => void): () => void;
  /** Passes on what arrives on one stream. */
  arriving(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>;
  /** Counts what leaves. */
  left(bytes: number): void;
}

/** A path without WebTransport: connections fail. */
const UNREACHABLE_PATH = "/v1/lab-cut";

type Bytes = Uint8Array<ArrayBuffer>;

/** Returns a `WebTransport` class whose connections belong to `network`; undefined without one. */
export function transportClass(network: TransportNetwork): typeof WebTransport | undefined {
  if (globalThis.WebTransport === undefined) return undefined;
  return class LabTransport extends WebTransport {
    constructor(url: string | URL, options?: WebTransportOptions) {
      super(String(network.isCut() ? new URL(UNREACHABLE_PATH, url) : url), options);
      const closed = network.opened(() => this.close());
      this.closed.then(closed, closed);
      const { incomingUnidirectionalStreams, datagrams } = this;
      const wrap = new TransformStream<ReadableStream<Bytes>, ReadableStream<Bytes>>({
        transform: (stream, controller) =>
          controller.enqueue(stream.pipeThrough(network.arriving())),
      });
      // TypeScript knows them as properties, which no accessor may override.
      Object.defineProperties(this, {
        incomingUnidirectionalStreams: { value: incomingUnidirectionalStreams.pipeThrough(wrap) },
        datagrams: { value: wrapDatagrams(datagrams, network) },
      });
    }

    override async createBidirectionalStream(
      options?: WebTransportSendStreamOptions,
    ): Promise<WebTransportBidirectionalStream> {
      const { readable, writable } = await super.createBidirectionalStream(options);
      return {
        readable: readable.pipeThrough(network.arriving()),
        writable: counted(writable, network),
      } as WebTransportBidirectionalStream;
    }
  };
}

/** Safari and newer drafts have `createWritable()` instead of `writable`. */
type Datagrams = WebTransportDatagramDuplexStream & {
  createWritable?(): WritableStream<Bytes>;
};

function wrapDatagrams(datagrams: Datagrams, network: TransportNetwork): Datagrams {
  const readable = datagrams.readable.pipeThrough(network.arriving());
  const createWritable = datagrams.createWritable?.bind(datagrams);
  let writable: WritableStream<Bytes> | undefined;
  return Object.create(datagrams, {
    readable: { value: readable },
    writable: {
      get: () => writable ??= datagrams.writable && counted(datagrams.writable, network),
    },
    createWritable: { value: createWritable && (() => counted(createWritable(), network)) },
    maxDatagramSize: { get: () => datagrams.maxDatagramSize },
  });
}

/** Returns a stream that counts what it passes on to `writable`. */
function counted(
  writable: WritableStream<Bytes>,
  network: TransportNetwork,
): WritableStream<Bytes> {
  const counter = new TransformStream<Bytes, Bytes>({
    transform(chunk, controller) {
      network.left(chunk.length);
      controller.enqueue(chunk);
    },
  });
  counter.readable.pipeTo(writable).catch(() => {}); // the writer sees the error too
  return counter.writable;
}
