import { MAX_TOKEN_CHARS } from "../../auth/token_verifier.ts";
import { MAX_FRAME_CHARS, MAX_FRAME_MESSAGES } from "../../shared/frame.ts";
import { TURN_CHARS } from "../../publish/large_text_turns.ts";
import { Problem } from "../../shared/problem.ts";
import { CLOSE_CODES, type GoodbyeReason, reconnectDelay } from "../goodbye.ts";
import type { MessageClient } from "../messages/client.ts";
import type { DrainPoller } from "./drain_poller.ts";
import { MessageHandler, type MessageHandlerParts } from "../messages/message_handler.ts";
import { type MessageBudget, MessageLane } from "../messages/message_lane.ts";
import { SocketOutput } from "./output.ts";
import type { LargeWrites } from "../large_writes.ts";
import type { UnreadBudget } from "../unread_budget.ts";

export const SUBPROTOCOL = "weir.v1";

const FRAME_TOO_LARGE = 4002;
/** "Service restart" of the IANA registry: clients that know nothing of Weir reconnect. */
const SERVICE_RESTART = 1012;

/**
 * Characters in a frame of a client that has not authenticated: a credential and some messages
 * after it fit. Guards against large frames from anyone.
 */
const MAX_UNAUTHENTICATED_FRAME_CHARS = MAX_TOKEN_CHARS + 1_024;

/** The parts that all sockets of an isolate share. */
export interface SocketOptions extends MessageHandlerParts {
  readonly drainPoller: DrainPoller;
  readonly unreadBudget: UnreadBudget;
  readonly largeWrites: LargeWrites;
  readonly messageBudget: MessageBudget;
  /** Milliseconds between two pings, which the runtime sends. */
  readonly heartbeatMs: number;
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

/** One WebSocket connection (docs/protocol.md): its frames, limits and end. */
export class Socket {
  readonly #socket: WebSocket;
  readonly #client: MessageClient;
  readonly #isPlain: boolean;
  readonly #sockets: Set<Socket>;
  readonly #output: SocketOutput;
  readonly #messages: MessageHandler;
  readonly #lane: MessageLane;

  constructor({ socket, client, isPlain }: OpenedSocket, options: SocketOptions) {
    const { sockets, drainPoller, unreadBudget, messageBudget, heartbeatMs } = options;
    this.#socket = socket;
    this.#client = client;
    this.#isPlain = isPlain;
    this.#sockets = sockets;
    const id = crypto.randomUUID();
    const output = this.#output = new SocketOutput({
      socket,
      isPlain,
      drainPoller,
      unreadBudget,
      largeWrites: options.largeWrites,
      onSlow: () => void this.close("slow"),
      onLost: () => this.#leave(),
    });
    this.#messages = new MessageHandler({
      id,
      client,
      output,
      parts: options,
      close: (reason) => void this.close(reason),
    });
    const messages = this.#messages;
    this.#lane = new MessageLane({
      budget: messageBudget,
      receive: (line) => messages.receive(line),
      receiveLarge: (line) => messages.receiveLarge(line),
      flood: () => void this.close("flooding"),
    });
    sockets.add(this);
    socket.onopen = () => {
      // A close before it is open has no effect on the runtime's socket.
      if (output.isClosed) return socket.close(this.#closeCode("stopping"));
      output.send({ op: "welcome", session: id, heartbeat: heartbeatMs });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    // A peer that answers no ping causes an error, and perhaps never a close after it.
    socket.onclose = socket.onerror = () => this.#end();
  }

  /** Says goodbye and closes. Resolves when the peer has closed too, never if it is silent. */
  close(reason: GoodbyeReason): Promise<void> {
    if (this.#output.isClosed) return Promise.resolve();
    if (reason === "flooding") this.#client.flooded();
    const goodbye = { op: "goodbye", retry: reconnectDelay(), reason };
    this.#output.sendLast(goodbye, { isSlow: reason === "slow" });
    this.#leave();
    this.#socket.close(this.#closeCode(reason), reason);
    return new Promise((resolve) => this.#socket.addEventListener("close", () => resolve()));
  }

  #closeCode(reason: GoodbyeReason): number {
    return this.#isPlain && reason === "stopping" ? SERVICE_RESTART : CLOSE_CODES[reason];
  }

  /**
   * Ends the count of the connection. A socket that was sent away counts until its peer has closed
   * too: until then it has its file descriptor.
   */
  #end(): void {
    this.#leave();
    this.#client.left();
  }

  #leave(): void {
    if (this.#output.isClosed) return;
    this.#output.close();
    this.#messages[Symbol.dispose]();
    this.#lane.close();
    this.#sockets.delete(this);
  }

  #receive(frame: unknown): void {
    if (this.#output.isClosed) return;
    if (typeof frame !== "string") return this.#refuse("Binary frames are not allowed: send text.");
    const maxChars = this.#messages.isAuthenticated
      ? MAX_FRAME_CHARS
      : MAX_UNAUTHENTICATED_FRAME_CHARS;
    if (frame.length > maxChars) return this.#refuseFrame(maxChars);
    const lines = frame.split("\n", MAX_FRAME_MESSAGES + 1);
    if (lines.length > MAX_FRAME_MESSAGES) {
      return this.#refuse(`A frame may hold at most ${MAX_FRAME_MESSAGES} messages.`);
    }
    if (frame.length > TURN_CHARS || !this.#lane.isIdle) return this.#lane.add(lines);
    for (const line of lines) {
      if (this.#output.isClosed) return;
      this.#messages.receive(line);
    }
  }

  #refuse(detail: string): void {
    this.#messages.refuse(undefined, new Problem("bad_frame", detail));
  }

  #refuseFrame(maxChars: number): void {
    const until = this.#messages.isAuthenticated ? "" : " until its first auth is answered";
    const detail = `A frame may have at most ${maxChars} characters${until}.`;
    this.#output.sendLast({ op: "error", code: "frame_too_large", detail }, { isSlow: false });
    this.#leave();
    this.#socket.close(FRAME_TOO_LARGE, "frame too large");
  }
}
