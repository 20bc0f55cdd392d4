import { setImmediate } from "node:timers/promises";
import { decodeUtf8 } from "../../publish/json.ts";
import type {
  BidirectionalStream,
  SessionHandler,
  WebTransportSession,
} from "../../quic/session.ts";
import { waitAtMost } from "../../shared/async/deadline.ts";
import { MAX_DATAGRAM_BYTES } from "../../shared/webtransport.ts";
import type { DrainPoller } from "../drain_poller.ts";
import { CLOSE_CODES, FRAME_TOO_LARGE, type GoodbyeReason } from "../goodbye.ts";
import type { LargeWrites } from "../large_writes.ts";
import type { MessageClient } from "../messages/client.ts";
import { MessageConnection, type MessageConnectionParts } from "../messages/message_connection.ts";
import { QUEUE_BYTES } from "../room.ts";
import type { UnreadBudget } from "../unread_budget.ts";
import { chunksOf } from "./chunks.ts";
import { LineSplitter, LineTooLarge } from "../../shared/line_splitter.ts";
import { WebTransportOutput } from "./output.ts";

/**
 * Milliseconds in which a client must open the control stream. Guards against connections that stay
 * open and are of no use.
 */
const CONTROL_TIMEOUT_MS = 5_000;
/** Milliseconds in which a client must close after a goodbye, before the server does. */
const GOODBYE_TIMEOUT_MS = 500;
/** The parts that all WebTransport connections of an isolate share. */
export interface WebTransportOptions extends MessageConnectionParts {
  readonly drainPoller: DrainPoller;
  readonly unreadBudget: UnreadBudget;
  readonly largeWrites: LargeWrites;
  /** All open WebTransport connections. */
  readonly openConnections: Set<WebTransportConnection>;
}

/** A request of a client that is let in. */
interface AcceptedRequest {
  /** Opens the session. */
  readonly accept: (handler: SessionHandler) => WebTransportSession;
  readonly client: MessageClient;
}

/** One WebTransport connection (docs/protocol.md): its streams, datagrams and end. */
export class WebTransportConnection {
  readonly #session: WebTransportSession;
  readonly #client: MessageClient;
  readonly #output: WebTransportOutput;
  readonly #connection: MessageConnection;
  readonly #onError: (cause: unknown) => void;
  #hasControl = false;
  #controlTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #ended = Promise.withResolvers<void>();

  constructor({ accept, client }: AcceptedRequest, options: WebTransportOptions) {
    const { openConnections, drainPoller, unreadBudget, largeWrites } = options;
    this.#client = client;
    this.#onError = (cause) => options.onError(cause, undefined);
    const session = this.#session = accept({
      bidirectional: (stream) => this.#bidirectional(stream),
      unidirectional: (readable) => this.#refuseStream(readable),
      datagram: (payload) => this.#datagram(payload),
      closed: () => this.#end(),
    });
    this.#output = new WebTransportOutput({
      session,
      drainPoller,
      unreadBudget,
      largeWrites,
      onSlow: () => void this.close("slow"),
    });
    this.#connection = new MessageConnection({
      client,
      output: this.#output,
      parts: options,
      close: (reason) => void this.close(reason),
      onLeft: () => {
        clearTimeout(this.#controlTimer);
        openConnections.delete(this);
      },
    });
    openConnections.add(this);
    this.#controlTimer = setTimeout(() => void this.close("slow"), CONTROL_TIMEOUT_MS);
  }

  /** Says goodbye and closes. Resolves when the QUIC connection is closed, after 1 s at the latest. */
  async close(reason: GoodbyeReason): Promise<void> {
    if (this.#output.isClosed) return;
    this.#connection.end(reason);
    await this.#closeSoon(CLOSE_CODES[reason], reason);
  }

  /** Closes unless the client does: it is to read the last message first. */
  async #closeSoon(code: number, reason: string): Promise<void> {
    await waitAtMost(this.#ended.promise, GOODBYE_TIMEOUT_MS);
    await this.#session.close(code, reason);
  }

  /** Ends the count of the connection, which has ended for the client too. */
  #end(): void {
    this.#connection.leave();
    this.#client.left();
    this.#ended.resolve();
  }

  /** Takes the first stream as the control stream. */
  #bidirectional({ readable, writable }: BidirectionalStream): void {
    if (this.#hasControl || this.#output.isClosed) {
      writable.reset();
      return this.#refuseStream(readable);
    }
    this.#hasControl = true;
    clearTimeout(this.#controlTimer);
    this.#output.openControl(writable, { ...this.#connection.welcome, window: QUEUE_BYTES });
    this.#read(readable).catch(this.#onError);
  }

  #refuseStream(readable: ReadableStream<Uint8Array>): void {
    readable.cancel().catch(() => {}); // the client has reset it, or is gone
    this.#refuse("The only stream of a client is the control stream.");
  }

  #datagram(payload: Uint8Array): void {
    if (!this.#hasControl || this.#output.isClosed) return; // datagrams may be lost
    if (payload.length > MAX_DATAGRAM_BYTES) {
      return this.#refuse(`A datagram may have at most ${MAX_DATAGRAM_BYTES} bytes.`);
    }
    const text = textOf(payload);
    if (text === undefined) return this.#refuse("A datagram must be UTF-8.");
    this.#connection.receiveDatagram(text);
  }

  #refuse(detail: string): void {
    if (!this.#output.isClosed) this.#connection.refuse(detail);
  }

  /** Handles what comes on the control stream. Without that the connection is of no use. */
  async #read(readable: BidirectionalStream["readable"]): Promise<void> {
    const lines = new LineSplitter();
    for await (const chunk of chunksOf(readable)) {
      if (this.#output.isClosed) return;
      try {
        this.#receive(chunk, lines);
      } catch (cause) {
        if (!(cause instanceof LineTooLarge)) throw cause;
        this.#connection.refuseTooLarge(`A line may have at most ${cause.maxBytes} bytes`);
        return await this.#closeSoon(FRAME_TOO_LARGE, "line too large");
      }
      await this.#connection.idle;
      await setImmediate(); // a client that sends without end keeps nobody waiting
    }
    this.#connection.leave();
    await this.#session.close(0, "");
  }

  #receive(chunk: Uint8Array, splitter: LineSplitter): void {
    const heldBytes = splitter.waitingBytes;
    const texts: string[] = [];
    let isUtf8 = true;
    for (const line of splitter.push(chunk, this.#connection.maxChars)) {
      const text = textOf(line);
      if (text === undefined) isUtf8 = false;
      else texts.push(text);
    }
    this.#connection.hold(splitter.waitingBytes - heldBytes);
    if (!isUtf8) this.#refuse("A line must be UTF-8.");
    if (texts.length > 0) {
      this.#connection.receive(texts, texts.reduce((sum, text) => sum + text.length, 0));
    }
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}
