import { ClientControl } from "./client_control.ts";
import { concat } from "./bytes.ts";
import { headersFrame } from "./frame.ts";
import { H3_CODES, type H3CodeName, Http3Error } from "./http3_error.ts";
import {
  CLOSE_GRACE_MS,
  CONNECT_TIMEOUT_MS,
  CONTROL_READ_BYTES,
  MAX_EARLY_STREAMS,
  REQUEST_READ_BYTES,
} from "./limits.ts";
import type { Field } from "./qpack.ts";
import { checkEncoderInstructions, DecoderInstructions } from "./qpack_streams.ts";
import { StreamReader } from "./receive_stream.ts";
import type { ConnectRequest, Request } from "./request.ts";
import { RequestReader } from "./request_reader.ts";
import { SendStream } from "./send_stream.ts";
import { openSendStream, ServerSession, type SessionLink } from "./server_session.ts";
import type {
  SessionEnd,
  SessionHandler,
  WebTransportRequest,
  WebTransportSession,
} from "./session.ts";
import { settingsFrame } from "./settings.ts";
import { BIDIRECTIONAL_SIGNAL, readStreamStart, STREAM_TYPE } from "./stream_type.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/** The timers of a clock. */
export interface Timers {
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** What a connection tells its server. */
interface ConnectionHost {
  readonly timers: Timers;
  onRequest(request: WebTransportRequest): void;
  /** Called with errors of this side, such as those that a handler throws. */
  onError(cause: unknown): void;
  /** A session was accepted. */
  opened(): void;
  /** The QUIC connection is closed. */
  ended(): void;
}

/** The CONNECT of the connection's session. */
interface Connect {
  /** The id of its stream, and of the session. */
  readonly id: number;
  readonly stream: SendStream;
  isDecided: boolean;
}

/** Clients of draft-ietf-webtrans-http3-02 offer it, and the answer chooses it. */
const DRAFT02_OFFER = "sec-webtransport-http3-draft02";
const DRAFT02_CHOICE: Field = ["sec-webtransport-http3-draft", "draft02"];
/** A connection has one session. */
const TOO_MANY_SESSIONS = 429;

const LOST: SessionEnd = { code: 0, reason: "", isClean: false };

/** One QUIC connection of a client: HTTP/3 with one session of WebTransport. */
export class Connection implements SessionLink {
  readonly conn: Deno.QuicConn;
  readonly remoteAddr: Deno.NetAddr;
  readonly #host: ConnectionHost;
  /** This side's control stream. It must stay open, so it must not be garbage collected. */
  #control: SendStream | undefined;
  /** The types of the client's streams of which there is one. */
  readonly #unique = new Set<number>();
  readonly #settings = Promise.withResolvers<void>();
  #connect: Connect | undefined;
  #session: ServerSession | undefined;
  /** How the session ended before it was accepted. */
  #earlyEnd: SessionEnd | undefined;
  /** Passes on streams that came before the session was accepted. */
  #early: ((session: ServerSession | undefined) => void)[] = [];
  /** Resolves when all has been read that the client sent on the stream of its CONNECT. */
  readonly #read = Promise.withResolvers<void>();
  #timer: unknown;
  readonly #ended = Promise.withResolvers<void>();
  #isEnded = false;

  constructor(conn: Deno.QuicConn, host: ConnectionHost) {
    this.conn = conn;
    this.#host = host;
    const { hostname, port } = conn.remoteAddr;
    this.remoteAddr = { transport: "udp", hostname, port };
    const end = () => this.#end();
    conn.closed.then(end, end);
    this.#closeLater(CONNECT_TIMEOUT_MS, "no session was opened in time");
    this.#guard(this.#run());
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Closes the session, or a connection without one at once. Resolves when it is closed. */
  close(): Promise<void> {
    if (this.#session !== undefined) return this.#session.close(0, "");
    this.closeNow("NO_ERROR", "the server is stopping");
    return this.ended;
  }

  /** Closes the QUIC connection at once. */
  closeNow(codeName: H3CodeName, reason: string): void {
    this.conn.close({ closeCode: H3_CODES[codeName], reason });
  }

  closeSoon(): void {
    this.#closeLater(CLOSE_GRACE_MS, "");
  }

  onError(cause: unknown): void {
    this.#host.onError(cause);
  }

  async #run(): Promise<void> {
    await this.conn.handshake;
    this.#guard(this.#openControl());
    const { incomingBidirectionalStreams, incomingUnidirectionalStreams } = this.conn;
    this.#takeEach(incomingBidirectionalStreams, (stream) => this.#takeBidirectional(stream));
    this.#takeEach(incomingUnidirectionalStreams, (stream) => this.#takeUnidirectional(stream));
    await this.#readDatagrams();
  }

  /** Closes the connection with the error of a loop. */
  #guard(work: Promise<void>): void {
    work.catch((cause) => {
      if (cause instanceof Http3Error) {
        this.closeNow(cause.codeName, cause.message);
      } else {
        this.onError(cause);
        this.closeNow("INTERNAL_ERROR", "");
      }
    });
  }

  async #openControl(): Promise<void> {
    this.#control = await openSendStream(this.conn);
    this.#control?.write(concat(encodeVarint(STREAM_TYPE.CONTROL), settingsFrame()));
  }

  async #takeEach<T>(streams: ReadableStream<T>, take: (stream: T) => Promise<void>) {
    const reader = streams.getReader();
    for (;;) {
      try {
        const { done, value } = await reader.read();
        if (done) return;
        this.#guard(take(value));
      } catch {
        return; // the connection is gone
      }
    }
  }

  async #readDatagrams(): Promise<void> {
    for (;;) {
      let datagram: Uint8Array;
      try {
        datagram = await this.conn.readDatagram();
      } catch {
        return; // the connection is gone
      }
      const quarterId = decodeVarint(datagram);
      if (quarterId === undefined) {
        throw new Http3Error("DATAGRAM_ERROR", "A datagram has no session's id");
      }
      // Those that come before the session is accepted are dropped.
      if (quarterId.value * 4 !== this.#connect?.id || !this.#session?.isOpen) continue;
      this.#session.datagram(datagram.subarray(quarterId.length));
    }
  }

  async #takeUnidirectional(stream: Deno.QuicReceiveStream): Promise<void> {
    const reader = new StreamReader(stream);
    const start = await readStreamStart(reader, STREAM_TYPE.WEBTRANSPORT);
    if (start === undefined) return;
    const { type, sessionId, rest } = start;
    if (sessionId !== undefined) {
      reader.release();
      this.#route(sessionId, (session) => {
        if (session?.isOpen) session.unidirectional(stream);
        else stream.cancel().catch(() => {}); // the connection is gone
      });
    } else if (type === STREAM_TYPE.CONTROL) {
      const control = new ClientControl(() => this.#settings.resolve());
      await this.#readCritical(type, reader, rest, (bytes) => control.push(bytes));
    } else if (type === STREAM_TYPE.QPACK_ENCODER) {
      await this.#readCritical(type, reader, rest, checkEncoderInstructions);
    } else if (type === STREAM_TYPE.QPACK_DECODER) {
      const decoder = new DecoderInstructions();
      await this.#readCritical(type, reader, rest, (bytes) => decoder.push(bytes));
    } else if (type === STREAM_TYPE.PUSH) {
      throw new Http3Error("STREAM_CREATION_ERROR", "Only servers push");
    } else {
      reader.stop(); // streams of unknown types are ignored (RFC 9114, section 9)
    }
  }

  /** Reads a stream of which there is one, and which must not end. */
  async #readCritical(
    type: number,
    reader: StreamReader,
    first: Uint8Array,
    push: (bytes: Uint8Array) => void,
  ): Promise<void> {
    if (this.#unique.has(type)) {
      throw new Http3Error("STREAM_CREATION_ERROR", `There is a stream of type ${type} already`);
    }
    this.#unique.add(type);
    for (let bytes = first;;) {
      push(bytes);
      const result = await reader.read(CONTROL_READ_BYTES);
      if (typeof result === "string") {
        throw new Http3Error("CLOSED_CRITICAL_STREAM", `The stream of type ${type} has ended`);
      }
      bytes = result;
    }
  }

  async #takeBidirectional({ readable, writable }: Deno.QuicBidirectionalStream): Promise<void> {
    const stream = new SendStream(writable);
    const id = idOf(readable);
    const reader = new StreamReader(readable);
    const start = await readStreamStart(reader, BIDIRECTIONAL_SIGNAL);
    if (start === undefined || id === undefined) {
      stream.end();
    } else if (start.sessionId === undefined) {
      await this.#readRequest(id, { reader, first: start.bytes, stream });
    } else {
      reader.release();
      this.#route(start.sessionId, (session) => {
        if (session?.isOpen) return session.bidirectional({ readable, writable: stream });
        readable.cancel().catch(() => {}); // the connection is gone
        stream.end();
      });
    }
  }

  /** Gives a stream of WebTransport its session, perhaps later, or undefined if there is none. */
  #route(sessionId: number, pass: (session: ServerSession | undefined) => void): void {
    const isOther = this.#connect !== undefined && this.#connect.id !== sessionId;
    if (isOther || this.#connect?.isDecided) pass(isOther ? undefined : this.#session);
    else if (this.#early.length < MAX_EARLY_STREAMS) this.#early.push(pass);
    else pass(undefined);
  }

  async #readRequest(
    id: number,
    { reader, first, stream }: {
      readonly reader: StreamReader;
      readonly first: Uint8Array;
      readonly stream: SendStream;
    },
  ): Promise<void> {
    const request = new RequestReader();
    let isSession = false;
    try {
      for (let bytes = first;;) {
        request.push(bytes);
        if (request.request !== undefined && !isSession) {
          isSession = this.#takeRequest(id, request.request, stream);
          if (!isSession) return reader.stop();
        }
        if (request.close !== undefined) {
          return this.#endSession({ ...request.close, isClean: true });
        }
        const result = await reader.read(REQUEST_READ_BYTES);
        if (typeof result === "string") {
          if (result === "end") request.end();
          if (!isSession) return stream.end();
          return this.#endSession(result === "end" ? { ...LOST, isClean: true } : LOST);
        }
        bytes = result;
      }
    } finally {
      if (isSession) this.#read.resolve();
    }
  }

  /** Returns whether the request is the one for this connection's session. */
  #takeRequest(id: number, request: Request, stream: SendStream): boolean {
    if (!request.isWebTransport || this.#connect !== undefined) {
      answer(stream, request.isWebTransport ? TOO_MANY_SESSIONS : request.status);
      return false;
    }
    const connect = this.#connect = { id, stream, isDecided: false };
    this.#closeLater(CONNECT_TIMEOUT_MS, "the session was not accepted in time");
    // The settings say whether the client can do what a session needs.
    this.#settings.promise.then(() => {
      if (!this.#isEnded) this.#announce(connect, request);
    });
    return true;
  }

  #announce(connect: Connect, { path, authority, origin, headers }: ConnectRequest): void {
    const decide = () => {
      if (connect.isDecided) throw new TypeError("The request was accepted or refused before");
      connect.isDecided = true;
    };
    try {
      this.#host.onRequest({
        path,
        authority,
        origin,
        headers,
        remoteAddr: this.remoteAddr,
        accept: (handler) => {
          decide();
          return this.#accept(connect, handler, headers);
        },
        refuse: (status) => {
          decide();
          this.#refuse(connect, status);
        },
      });
    } catch (cause) {
      this.onError(cause);
      this.closeNow("INTERNAL_ERROR", "");
    }
  }

  #accept(
    { id, stream }: Connect,
    handler: SessionHandler,
    headers: ReadonlyMap<string, string>,
  ): WebTransportSession {
    const session = new ServerSession({ link: this, id, connectStream: stream, handler });
    this.#session = session;
    if (this.#isEnded || this.#earlyEnd !== undefined) {
      queueMicrotask(() => session.end(this.#earlyEnd ?? LOST));
      return session;
    }
    this.#host.timers.clearTimeout(this.#timer);
    this.#host.opened();
    const draft = headers.has(DRAFT02_OFFER) ? [DRAFT02_CHOICE] : [];
    stream.write(headersFrame([[":status", "200"], ...draft]));
    const early = this.#early;
    this.#early = [];
    queueMicrotask(() => early.forEach((pass) => pass(session)));
    return session;
  }

  #refuse({ stream }: Connect, status: number): void {
    answer(stream, status);
    for (const pass of this.#early) pass(undefined);
    this.#early = [];
    this.closeSoon();
  }

  #endSession(end: SessionEnd): void {
    if (this.#session === undefined) this.#earlyEnd = end;
    this.#session?.end(end);
    this.closeSoon();
  }

  #closeLater(delayMs: number, reason: string): void {
    if (this.#isEnded) return;
    const { timers } = this.#host;
    timers.clearTimeout(this.#timer);
    this.#timer = timers.setTimeout(() => this.closeNow("NO_ERROR", reason), delayMs);
  }

  async #end(): Promise<void> {
    this.#isEnded = true;
    this.#host.timers.clearTimeout(this.#timer);
    // QUIC keeps what has arrived: the close of the session may be among it.
    if (this.#connect !== undefined) await this.#read.promise;
    this.#session?.end(LOST);
    this.#host.ended();
    this.#ended.resolve();
  }
}

function answer(stream: SendStream, status: number): void {
  stream.write(headersFrame([[":status", String(status)]]));
  stream.end();
}

function idOf(stream: Deno.QuicReceiveStream): number | undefined {
  try {
    return Number(stream.id);
  } catch {
    return undefined; // the connection is gone
  }
}
