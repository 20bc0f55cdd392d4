import { largeTextTurn, TURN_CHARS } from "../../publish/large_text_turns.ts";

/**
 * Characters of frames that wait for their turn, in all connections of an isolate together. Guards
 * against clients that send large frames faster than they are handled.
 */
const MAX_WAITING_CHARS = 128 * 2 ** 20;
/** Characters that each message counts in addition to its own. Guards against many tiny messages. */
const MESSAGE_COST_CHARS = 256;

interface MessageLaneOptions {
  readonly budget: MessageBudget;
  /** Handles a message. */
  readonly receive: (line: string) => void;
  /** Handles a message of more than {@link TURN_CHARS} in turns of the event loop. Never rejects. */
  readonly receiveLarge: (line: string) => Promise<void>;
  /** Ends the connection, whose client has sent too much. */
  readonly flood: () => void;
}

interface WaitingFrame {
  readonly lines: readonly string[];
  readonly chars: number;
}

/**
 * Handles the large frames of a connection, and those that come after them, message by message in
 * turns of the event loop. The messages keep their order.
 */
export class MessageLane {
  readonly #options: MessageLaneOptions;
  #frames: WaitingFrame[] = [];
  #idle: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: MessageLaneOptions) {
    this.#options = options;
  }

  /** Whether no frame waits, and none is being handled. */
  get isIdle(): boolean {
    return this.#frames.length === 0;
  }

  /** Resolves when the lane is idle, or closed. */
  get idle(): Promise<void> {
    return this.#idle;
  }

  /** Handles the messages of a frame after those of earlier ones. */
  add(lines: readonly string[]): void {
    if (this.#isClosed) return;
    const chars = lines.reduce((sum, line) => sum + line.length + MESSAGE_COST_CHARS, 0);
    const wasIdle = this.isIdle;
    this.#frames.push({ lines, chars });
    this.#options.budget.add(this, chars);
    if (wasIdle) this.#idle = this.#work();
  }

  /** Ends the connection. */
  flood(): void {
    this.#options.flood();
    this.close();
  }

  /** Drops the frames that wait. */
  close(): void {
    this.#isClosed = true;
    this.#frames = [];
    this.#options.budget.forget(this);
  }

  async #work(): Promise<void> {
    const { budget, receive, receiveLarge } = this.#options;
    let chars = TURN_CHARS; // so the first message waits for a turn
    for (let frame = this.#frames[0]; frame !== undefined; frame = this.#frames[0]) {
      for (const line of frame.lines) {
        if (line.length > TURN_CHARS) {
          await receiveLarge(line);
          chars = TURN_CHARS;
        } else {
          chars += line.length + MESSAGE_COST_CHARS;
          if (chars > TURN_CHARS) {
            await largeTextTurn();
            chars = line.length;
          }
          if (!this.#isClosed) receive(line);
        }
        if (this.#isClosed) return;
      }
      this.#frames.shift();
      budget.add(this, -frame.chars);
    }
  }
}

/** Bounds the frames that wait in the connections of an isolate. */
export class MessageBudget {
  readonly #maxChars: number;
  readonly #waiting = new Map<MessageLane, number>();
  #chars = 0;

  /** @param maxChars that may wait @default 128 Mi */
  constructor(maxChars: number = MAX_WAITING_CHARS) {
    this.#maxChars = maxChars;
  }

  /** Adds to what waits in `lane`. If it is too much in all, the connection with the most is ended. */
  add(lane: MessageLane, chars: number): void {
    this.#chars += chars;
    this.#waiting.set(lane, (this.#waiting.get(lane) ?? 0) + chars);
    if (this.#chars <= this.#maxChars) return;
    const [most] = [...this.#waiting].toSorted(([, a], [, b]) => b - a);
    most?.[0].flood();
  }

  forget(lane: MessageLane): void {
    this.#chars -= this.#waiting.get(lane) ?? 0;
    this.#waiting.delete(lane);
  }
}
