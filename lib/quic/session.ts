import type { SendStream } from "./send_stream.ts";

/** A bidirectional stream that a client has opened. */
export interface BidirectionalStream {
  /**
   * What the client sends. Reading rejects when the client resets the stream or the connection is
   * lost. A byte stream: a read without a buffer of the reader's own allocates 64 KiB.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: SendStream;
}

/** How a session ended. */
export interface SessionEnd {
  /** What the session was closed with, by either side; 0 if it was not. */
  readonly code: number;
  readonly reason: string;
  /** Whether the session was closed, in contrast to a connection that was lost. */
  readonly isClean: boolean;
}

/** Everything that a client does. No method may throw. */
export interface SessionHandler {
  /**
   * The client has opened a stream. It counts as open, and QUIC keeps what arrives on it, until it
   * has been read or cancelled, and written to its end or reset.
   */
  bidirectional(stream: BidirectionalStream): void;
  unidirectional(readable: ReadableStream<Uint8Array<ArrayBuffer>>): void;
  datagram(payload: Uint8Array): void;
  /** Called once, however the session ended. No other method is called after it. */
  closed(end: SessionEnd): void;
}

/** A session of WebTransport (draft-ietf-webtrans-http3). After its end its methods do nothing. */
export interface WebTransportSession {
  readonly remoteAddr: Deno.NetAddr;
  /** The longest payload that a datagram has room for now. It grows as QUIC probes the path. */
  readonly maxDatagramBytes: number;
  /** Opens a stream, once the client allows for one more. Never rejects. */
  openUnidirectional(): Promise<SendStream>;
  /** Sends a datagram. Drops it if it is too large, or too many wait. */
  sendDatagram(payload: Uint8Array): void;
  /**
   * Closes the session with a code of 32 bits and at most 1,024 bytes of reason. Resolves when the
   * QUIC connection is closed: by the client, or 500 ms later. Bytes of streams that the
   * client has not taken before that are lost.
   */
  close(code: number, reason: string): Promise<void>;
}

/** A request to open a session. */
export interface WebTransportRequest {
  /** `:path`, with the query. */
  readonly path: string;
  /** `:authority`: host and port. */
  readonly authority: string;
  readonly origin: string | undefined;
  /** All other fields by name, in lower case. Those that are repeated are joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly remoteAddr: Deno.NetAddr;
  /**
   * Opens the session. If the client is gone already, the handler's `closed()` is called soon.
   *
   * @throws {TypeError} if the request was accepted or refused before.
   */
  accept(handler: SessionHandler): WebTransportSession;
  /**
   * Answers with a status, and closes the QUIC connection 500 ms later unless the client does.
   *
   * @throws {TypeError} if the request was accepted or refused before.
   */
  refuse(status: number): void;
}
