import { MAX_TOKEN_CHARS } from "../../auth/token_verifier.ts";
import { TURN_CHARS } from "../../publish/large_text_turns.ts";
import { MAX_FRAME_CHARS, MAX_FRAME_MESSAGES } from "../../shared/frame.ts";
import { Problem } from "../../shared/problem.ts";
import { type GoodbyeReason, type MoveReason, reconnectDelay } from "../goodbye.ts";
import type { Goodbyes, LeavingConnection } from "../goodbyes.ts";
import type { MessageClient } from "./client.ts";
import { MessageHandler, type MessageHandlerParts } from "./message_handler.ts";
import { type MessageBudget, MessageLane } from "./message_lane.ts";
import type { ServerMessage } from "./message.ts";
import type { MessageOutput } from "./output.ts";

/**
 * Characters in a frame of a client that has not authenticated: a credential and some messages
 * after it fit. Guards against large frames from anyone.
 */
const MAX_UNAUTHENTICATED_FRAME_CHARS = MAX_TOKEN_CHARS + 1_024;

/** The parts that all connections of an isolate share. */
export interface MessageConnectionParts extends MessageHandlerParts {
  readonly messageBudget: MessageBudget;
  readonly goodbyes: Pick<Goodbyes, "add" | "delete">;
  /** Milliseconds between two heartbeats. The client receives them in the welcome. */
  readonly heartbeatMs: number;
  /** Called with the reason of each goodbye. @default undefined */
  readonly onGoodbye?: (reason: GoodbyeReason) => void;
}

/** Everything that goes out over one connection. */
export interface ConnectionOutput extends MessageOutput {
  readonly isClosed: boolean;
  /**
   * Sends what was held back immediately, unless `isSlow`, and then the last message.
   *
   * @param message undefined if there is none
   */
  sendLast(message: ServerMessage | undefined, options: { readonly isSlow: boolean }): void;
  /** Stops all output. */
  close(): void;
}

interface MessageConnectionOptions {
  readonly client: MessageClient;
  readonly output: ConnectionOutput;
  readonly parts: MessageConnectionParts;
  /** Says goodbye and ends the connection. */
  readonly close: (reason: GoodbyeReason) => void;
  /** Called once, when nothing more is received or sent. */
  readonly onLeft: () => void;
}

/** What connections of `weir.v1` have in common: their messages, limits and end. */
export class MessageConnection implements LeavingConnection {
  readonly id: string = crypto.randomUUID();
  readonly #options: MessageConnectionOptions;
  readonly #handler: MessageHandler;
  readonly #lane: MessageLane;
  #hasSaidGoodbye = false;

  constructor(options: MessageConnectionOptions) {
    this.#options = options;
    const { client, output, parts, close } = options;
    const handler = this.#handler = new MessageHandler({
      id: this.id,
      client,
      output,
      parts,
      close,
    });
    this.#lane = new MessageLane({
      budget: parts.messageBudget,
      receive: (line) => handler.receive(line),
      receiveLarge: (line) => handler.receiveLarge(line),
      flood: () => close("flooding"),
    });
    parts.goodbyes.add(this);
  }

  /** The first message to the client. */
  get welcome(): ServerMessage {
    return { op: "welcome", session: this.id, heartbeat: this.#options.parts.heartbeatMs };
  }

  /** How long a frame may be now, or a line where there are no frames. */
  get maxChars(): number {
    return this.#handler.isAuthenticated ? MAX_FRAME_CHARS : MAX_UNAUTHENTICATED_FRAME_CHARS;
  }

  /** Handles messages after earlier ones: at once, or in turns of the event loop if it is much. */
  receive(lines: readonly string[], chars: number): void {
    const isMuch = chars > TURN_CHARS || lines.length > MAX_FRAME_MESSAGES;
    if (isMuch || !this.#lane.isIdle) return this.#lane.add(lines);
    for (const line of lines) {
      if (this.#options.output.isClosed) return;
      this.#handler.receive(line);
    }
  }

  /** Handles a message that may arrive before earlier ones, or not at all. */
  receiveDatagram(text: string): void {
    this.#handler.receiveDatagram(text);
  }

  /** Resolves when all messages have been handled that were received in turns of the event loop. */
  get idle(): Promise<void> {
    return this.#lane.idle;
  }

  /** Counts characters that have not been received in whole against what may wait, or the opposite. */
  hold(chars: number): void {
    if (chars !== 0 && !this.#options.output.isClosed) {
      this.#options.parts.messageBudget.add(this.#lane, chars);
    }
  }

  /** Answers with the error `bad_frame`. */
  refuse(detail: string): void {
    this.#handler.refuse(undefined, new Problem("bad_frame", detail));
  }

  /** Says that a frame or line was too large, and leaves. */
  refuseTooLarge(limit: string): void {
    const until = this.#handler.isAuthenticated ? "" : " until its first auth is answered";
    const problem = new Problem("frame_too_large", `${limit}${until}.`);
    const { code, detail } = problem;
    this.#options.parts.onProblem?.(problem);
    this.#options.output.sendLast({ op: "error", code, detail }, { isSlow: false });
    this.leave();
  }

  get isLasting(): boolean {
    return true;
  }

  sayGoodbye(reason: MoveReason): void {
    this.#hasSaidGoodbye = true;
    this.#options.output.send(this.#goodbye(reason));
  }

  close(reason: MoveReason): void {
    this.#options.close(reason);
  }

  /** Says goodbye, unless that was done, and leaves. */
  end(reason: GoodbyeReason): void {
    const { client, output } = this.#options;
    if (reason === "flooding") client.flooded();
    const goodbye = this.#hasSaidGoodbye ? undefined : this.#goodbye(reason);
    output.sendLast(goodbye, { isSlow: reason === "slow" });
    this.leave();
  }

  /** Ends the subscriptions and memberships, and sends nothing more. */
  leave(): void {
    const { output, parts, onLeft } = this.#options;
    if (output.isClosed) return;
    output.close();
    parts.goodbyes.delete(this);
    this.#handler[Symbol.dispose]();
    this.#lane.close();
    onLeft();
  }

  #goodbye(reason: GoodbyeReason): ServerMessage {
    this.#options.parts.onGoodbye?.(reason);
    return { op: "goodbye", retry: reconnectDelay(), reason };
  }
}
