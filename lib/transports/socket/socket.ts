import { MAX_FRAME_MESSAGES } from "../../shared/frame.ts";
import { CLOSE_CODES, FRAME_TOO_LARGE, type GoodbyeReason, isMove } from "../goodbye.ts";
import type { DrainPoller } from "../drain_poller.ts";
import type { LargeWrites } from "../large_writes.ts";
import type { MessageClient } from "../messages/client.ts";
import { MessageConnection, type MessageConnectionParts } from "../messages/message_connection.ts";
import type { UnreadBudget } from "../unread_budget.ts";
import { SocketOutput } from "./output.ts";

export const SUBPROTOCOL = "weir.v1";

/** "Service restart" of the IANA registry: clients that know nothing of Weir reconnect. */
const SERVICE_RESTART = 1012;

/** The parts that all sockets of an isolate share. */
export interface SocketOptions extends MessageConnectionParts {
  readonly drainPoller: DrainPoller;
  readonly unreadBudget: UnreadBudget;
  readonly largeWrites: LargeWrites;
  /** All open sockets. */
  readonly sockets: Set<Socket>;
}

/** A WebSocket that a client opens. */
interface OpenedSocket {
  readonly socket: WebSocket;
  readonly client: MessageClient;
  /**
   * Whether the client offered no subprotocol, so that it gets each message in a frame of its own.
   * With `weir.v1` a frame has several, one per line.
   */
  readonly isPlain: boolean;
}

/** One WebSocket connection (docs/protocol.md): its frames and its end. */
export class Socket {
  readonly #socket: WebSocket;
  readonly #client: MessageClient;
  readonly #isPlain: boolean;
  readonly #output: SocketOutput;
  readonly #connection: MessageConnection;

  constructor({ socket, client, isPlain }: OpenedSocket, options: SocketOptions) {
    const { sockets, drainPoller, unreadBudget, largeWrites } = options;
    this.#socket = socket;
    this.#client = client;
    this.#isPlain = isPlain;
    const output = this.#output = new SocketOutput({
      socket,
      isPlain,
      drainPoller,
      unreadBudget,
      largeWrites,
      onSlow: () => void this.close("slow"),
      onLost: () => this.#connection.leave(),
    });
    const connection = this.#connection = new MessageConnection({
      client,
      output,
      parts: options,
      close: (reason) => void this.close(reason),
      onLeft: () => sockets.delete(this),
    });
    sockets.add(this);
    socket.onopen = () => {
      // A close before it is open has no effect on the runtime's socket.
      if (output.isClosed) return socket.close(this.#closeCode("stopping"));
      output.send(connection.welcome);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    // A peer that answers no ping causes an error, and perhaps never a close after it.
    socket.onclose = socket.onerror = () => this.#end();
  }

  /** Says goodbye and closes. Resolves when the peer has closed too, never if it is silent. */
  close(reason: GoodbyeReason): Promise<void> {
    if (this.#output.isClosed) return Promise.resolve();
    this.#connection.end(reason);
    this.#socket.close(this.#closeCode(reason), reason);
    return new Promise((resolve) => this.#socket.addEventListener("close", () => resolve()));
  }

  #closeCode(reason: GoodbyeReason): number {
    return this.#isPlain && isMove(reason) ? SERVICE_RESTART : CLOSE_CODES[reason];
  }

  /**
   * Ends the count of the connection. A socket that was sent away counts until its peer has closed
   * too: until then it has its file descriptor.
   */
  #end(): void {
    this.#connection.leave();
    this.#client.left();
  }

  #receive(frame: unknown): void {
    if (this.#output.isClosed) return;
    const connection = this.#connection;
    if (typeof frame !== "string") {
      return connection.refuse("Binary frames are not allowed: send text.");
    }
    const { maxChars } = connection;
    if (frame.length > maxChars) {
      connection.refuseTooLarge(`A frame may have at most ${maxChars} characters`);
      return this.#socket.close(FRAME_TOO_LARGE, "frame too large");
    }
    const lines = frame.split("\n", MAX_FRAME_MESSAGES + 1);
    if (lines.length > MAX_FRAME_MESSAGES) {
      return connection.refuse(`A frame may hold at most ${MAX_FRAME_MESSAGES} messages.`);
    }
    connection.receive(lines, frame.length);
  }
}
