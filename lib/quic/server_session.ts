import { concat } from "./bytes.ts";
import { closeCapsule, type SessionClose } from "./capsule.ts";
import { dataFrame } from "./frame.ts";
import { MAX_WAITING_DATAGRAMS } from "./limits.ts";
import { endedStream, SendStream } from "./send_stream.ts";
import type {
  BidirectionalStream,
  SessionEnd,
  SessionHandler,
  WebTransportSession,
} from "./session.ts";
import { unidirectionalStart } from "./stream_type.ts";
import { encodeVarint } from "./varint.ts";

/** What a session needs of its QUIC connection. */
export interface SessionLink {
  readonly conn: Deno.QuicConn;
  readonly remoteAddr: Deno.NetAddr;
  /** Resolves when the QUIC connection is closed. */
  readonly ended: Promise<void>;
  /** Closes the QUIC connection, unless the client does that soon. */
  closeSoon(): void;
  onError(cause: unknown): void;
}

interface ServerSessionOptions {
  readonly link: SessionLink;
  /** The id of the stream of the CONNECT. */
  readonly id: number;
  /** The sending side of that stream. */
  readonly connectStream: SendStream;
  readonly handler: SessionHandler;
}

/** The session of a {@link Connection}. */
export class ServerSession implements WebTransportSession {
  readonly #link: SessionLink;
  readonly #connectStream: SendStream;
  readonly #handler: SessionHandler;
  readonly #streamStart: Uint8Array;
  /** What a datagram of this session begins with (RFC 9297, section 2.1). */
  readonly #datagramStart: Uint8Array;
  #waitingDatagrams = 0;
  #isEnded = false;
  /** What this side closes the session with. */
  #close: SessionClose | undefined;

  constructor({ link, id, connectStream, handler }: ServerSessionOptions) {
    this.#link = link;
    this.#connectStream = connectStream;
    this.#handler = handler;
    this.#streamStart = unidirectionalStart(id);
    this.#datagramStart = encodeVarint(id / 4);
  }

  get remoteAddr(): Deno.NetAddr {
    return this.#link.remoteAddr;
  }

  get maxDatagramBytes(): number {
    return Math.max(0, this.#link.conn.maxDatagramSize - this.#datagramStart.length);
  }

  /** Whether the handler still gets streams and datagrams. */
  get isOpen(): boolean {
    return !this.#isEnded && this.#close === undefined;
  }

  async openUnidirectional(): Promise<SendStream> {
    const stream = this.isOpen ? await openSendStream(this.#link.conn) : undefined;
    if (stream === undefined) return endedStream();
    stream.write(this.#streamStart);
    return stream;
  }

  sendDatagram(payload: Uint8Array): void {
    if (!this.isOpen || this.#waitingDatagrams >= MAX_WAITING_DATAGRAMS) return;
    if (payload.length > this.maxDatagramBytes) return;
    this.#waitingDatagrams++;
    const done = () => this.#waitingDatagrams--;
    this.#link.conn.sendDatagram(concat(this.#datagramStart, payload)).then(done, done);
  }

  close(code: number, reason: string): Promise<void> {
    if (this.isOpen) {
      this.#close = { code, reason };
      this.#connectStream.write(dataFrame(closeCapsule(this.#close)));
      this.#connectStream.end();
      this.#link.closeSoon();
    }
    return this.#link.ended;
  }

  /** Passes a stream of the client on. */
  bidirectional(stream: BidirectionalStream): void {
    this.#call(() => this.#handler.bidirectional(stream));
  }

  /** Passes a stream of the client on. */
  unidirectional(readable: ReadableStream<Uint8Array<ArrayBuffer>>): void {
    this.#call(() => this.#handler.unidirectional(readable));
  }

  /** Passes a datagram on. */
  datagram(payload: Uint8Array): void {
    this.#call(() => this.#handler.datagram(payload));
  }

  /** Ends the session, unless it has ended. */
  end(end: SessionEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#connectStream.end();
    const own = this.#close;
    this.#call(() => this.#handler.closed(own === undefined ? end : { ...own, isClean: true }));
  }

  #call(handle: () => void): void {
    try {
      handle();
    } catch (cause) {
      this.#link.onError(cause);
    }
  }
}

/** Opens a stream once the client allows for one more. Returns undefined if it is gone. */
export async function openSendStream(conn: Deno.QuicConn): Promise<SendStream | undefined> {
  try {
    return new SendStream(await conn.createUnidirectionalStream({ waitUntilAvailable: true }));
  } catch {
    return undefined;
  }
}
