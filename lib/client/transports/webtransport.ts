import type { SendRequest, Transport, TransportHost } from "../connection/transport.ts";
import { deadline, isTimeoutError } from "../../shared/async/deadline.ts";
import { MAX_DATAGRAM_BYTES } from "../../shared/webtransport.ts";
import { badAnswerError, toAnswerError } from "../core/errors.ts";
import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { LineSplitter } from "./line_splitter.ts";
import { connectionLost, MessageTransport } from "./message_transport.ts";
import { ReceivedBytes } from "./received_bytes.ts";
import { resolveAnchorsWithRetry } from "./resolve_anchors.ts";
import { requestOffer } from "./webtransport_offer.ts";

/** How long the server may take to say where WebTransport is, and then how long that may take to open. */
export const OPEN_TIMEOUT_MS = 2_000;
/** A datagram without an answer counts as sent after this time: it may be lost, as ephemeral events may. */
const DATAGRAM_TIMEOUT_MS = 1_000;
/**
 * Datagrams that wait to be sent. Further ones are dropped. Guards against a page that publishes more
 * than its network carries.
 */
const MAX_WAITING_DATAGRAMS = 256;
/** Bytes that a `ref` adds to a message. */
const MAX_REF_BYTES = 24;

/**
 * Opens a WebTransport connection where `GET /v1/transports` says, and authenticates. Browsers hide
 * why a server refuses one: then it is `unreachable`, and the next transport learns the reason.
 *
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export async function openWebTransport(host: TransportHost): Promise<Transport> {
  const { platform, signal, credentials } = host;
  const inTime = <T>(work: Promise<T>): Promise<T> =>
    deadline(work, OPEN_TIMEOUT_MS, { signal, timers: platform });
  const { url, certificateHashes } = await inTime(requestOffer(host));
  const { token, ticket } = await credentials.get();
  if (ticket !== undefined) url.searchParams.set("ticket", ticket);
  // A connection does not try transports that the platform lacks.
  const connection = new platform.WebTransport!(url, {
    ...certificateHashes.length > 0 && { serverCertificateHashes: certificateHashes },
  });
  const ended = () => host.down(connectionLost());
  host.release(connection.closed.then(ended, ended));
  onAbort(signal, () => close(connection));
  // Firefox keeps the connection of a page that is left. A page that is restored connects again.
  globalThis.addEventListener?.("pagehide", () => host.down(connectionLost(), true), { signal });
  return await inTime((async () => {
    await connection.ready;
    const control = await connection.createBidirectionalStream();
    return await new Promise<Transport>((resolve) => {
      const transport: Transport = new StreamTransport({
        host,
        token,
        connection,
        control,
        onOpen: () => resolve(transport),
      });
    });
  })());
}

interface StreamTransportOptions {
  readonly host: TransportHost;
  readonly token: string | undefined;
  readonly connection: WebTransport;
  readonly control: WebTransportBidirectionalStream;
  /** Called once the server has accepted the credential. */
  readonly onOpen: () => void;
}

/**
 * A client of `weir.v1` over WebTransport: messages and answers are lines on the control stream,
 * events come on streams of their own, and small ephemeral events are datagrams.
 */
class StreamTransport implements Transport {
  readonly #host: TransportHost;
  readonly #messages: MessageTransport;
  readonly #received = new ReceivedBytes();
  readonly #send: (lines: string) => void;
  readonly #sendDatagram: (line: string) => void;
  readonly #maxDatagramBytes: () => number;

  constructor({ host, token, connection, control, onOpen }: StreamTransportOptions) {
    const { datagrams, incomingUnidirectionalStreams } = connection;
    const write = writerOf(control.writable);
    this.#host = host;
    this.#send = (lines) => write(`${lines}\n`);
    this.#sendDatagram = writerOf(writableOf(datagrams), MAX_WAITING_DATAGRAMS);
    this.#maxDatagramBytes = () => Math.min(MAX_DATAGRAM_BYTES, datagrams.maxDatagramSize);
    this.#messages = new MessageTransport({
      host,
      token,
      resolveAnchors: resolveAnchorsWithRetry,
      send: this.#send,
      onOpen,
    });
    void this.#readControl(control.readable);
    void this.#read(incomingUnidirectionalStreams, (stream) => void this.#readEvents(stream));
    void this.#read(datagrams.readable, (bytes) => this.#messages.receive(decode(bytes)));
  }

  update(): boolean {
    return this.#messages.update();
  }

  check(): void {
    this.#messages.check();
  }

  readonly request: SendRequest = async (message, signal) => {
    const { request } = this.#messages;
    if (message["ephemeral"] !== true || !this.#fitsDatagram(message)) {
      return await request(message, signal);
    }
    try {
      return await request(message, signal, DATAGRAM_TIMEOUT_MS, this.#sendDatagram);
    } catch (cause) {
      if (isTimeoutError(cause) && !signal?.aborted) return {};
      throw cause;
    }
  };

  #fitsDatagram(message: JsonObject): boolean {
    const { length } = new TextEncoder().encode(JSON.stringify(message));
    return length + MAX_REF_BYTES <= this.#maxDatagramBytes();
  }

  async #readControl(stream: ReadableStream<Uint8Array>): Promise<void> {
    const splitter = new LineSplitter();
    await this.#read(stream, (chunk) => {
      const lines = splitter.push(chunk);
      if (lines !== undefined) this.#messages.receive(lines);
    });
    this.#host.down(connectionLost());
  }

  /** Reads an event stream until the server ends it, with the last of its subscriptions. */
  async #readEvents(stream: ReadableStream<Uint8Array>): Promise<void> {
    const splitter = new LineSplitter();
    let number: number | undefined;
    let unnumberedBytes = 0;
    await this.#read(stream, (chunk) => {
      let lines = splitter.push(chunk);
      if (number === undefined) {
        unnumberedBytes += chunk.length;
        if (lines === undefined) return;
        const header = lines.split("\n", 1).join();
        number = parseHeader(header);
        lines = lines.slice(header.length + 1) || undefined;
      }
      if (lines !== undefined) this.#messages.receive(lines, number);
      // Also of a line that has not ended: its beginning is kept here, and is bounded.
      const acknowledgement = this.#received.add(number, unnumberedBytes || chunk.length);
      unnumberedBytes = 0;
      if (acknowledgement !== undefined) this.#send(JSON.stringify(acknowledgement));
    });
    if (number !== undefined) this.#received.end(number);
  }

  /**
   * Gives what a stream has to `take`, until it ends or breaks. If the connection has broken, its
   * `closed` says so. The transport ends if `take` throws.
   */
  async #read<T>(stream: ReadableStream<T>, take: (value: T) => void): Promise<void> {
    const { signal, down } = this.#host;
    const reader = stream.getReader();
    while (true) {
      const read = await reader.read().catch(() => undefined);
      if (read === undefined || read.done || signal.aborted) return;
      try {
        take(read.value);
      } catch (cause) {
        return down(toAnswerError(cause));
      }
    }
  }
}

/** Closes a connection, also one that is opening, which Deno can close only once it is open. */
function close(connection: WebTransport): void {
  try {
    connection.close();
  } catch {
    connection.ready.then(() => connection.close()).catch(() => {}); // it has ended by itself
  }
}

/** @throws {WeirError} `bad_answer` */
function parseHeader(line: string): number {
  const { op, stream } = parseJsonObject(line);
  if (op === "stream" && Number.isSafeInteger(stream)) return Number(stream);
  throw badAnswerError("An event stream has no number.");
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trimEnd();
}

/**
 * Returns what writes text to a stream. If that fails, the connection has ended, which its `closed`
 * says.
 *
 * @param maxWaiting how many writes may wait; further ones are dropped.
 */
function writerOf(
  stream: WritableStream<Uint8Array>,
  maxWaiting = Infinity,
): (text: string) => void {
  const encoder = new TextEncoder();
  const writer = stream.getWriter();
  let waiting = 0;
  const settled = () => void waiting--;
  return (text) => {
    if (waiting >= maxWaiting) return;
    waiting++;
    writer.write(encoder.encode(text)).then(settled, settled);
  };
}

/** The standard replaced `writable` by `createWritable()`; browsers have the one or the other. */
function writableOf(datagrams: WebTransportDatagramDuplexStream): WritableStream<Uint8Array> {
  return datagrams.writable ??
    (datagrams as unknown as { createWritable(): WritableStream<Uint8Array> }).createWritable();
}
