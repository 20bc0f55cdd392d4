import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { Encoder, Run } from "../../log/run.ts";
import { MAX_EVENT_BYTES } from "../../shared/event.ts";
import { PolledRoom } from "../polled_room.ts";
import { QUEUE_BYTES } from "../room.ts";
import type { DrainPoller } from "../drain_poller.ts";
import { ephemeralMessages, ephemeralText, type MessageEncoding } from "../messages/encoding.ts";
import type { LargeWrites } from "../large_writes.ts";
import type { ServerMessage } from "../messages/message.ts";
import type { EventOutput, MessageOutput } from "../messages/output.ts";
import type { UnreadBudget, UnreadOutput } from "../unread_budget.ts";

/**
 * Bytes that wait in the runtime when further answers are held back and joined. Guards against many
 * tiny frames, each of which takes the runtime almost a kilobyte.
 */
const ANSWER_QUEUE_BYTES = 8 * 1024;
/** Bytes of answers that are held back. Guards against clients that ask and never read the answers. */
const MAX_HELD_BYTES = MAX_EVENT_BYTES;
/** Bytes that each answer counts in addition to its own. Guards against many tiny answers. */
const ANSWER_COST_BYTES = 64;

/**
 * Bytes that each waiting frame counts in addition to its own: what the runtime takes for it. Guards
 * against many tiny frames.
 */
const FRAME_COST_BYTES = 1_024;

/**
 * Bytes that each event to a plain socket counts in addition to its own, since it takes a frame: at
 * most 16 are sent at once. Guards against many plain sockets and tiny events, whose frames all
 * others would wait for.
 */
const PLAIN_EVENT_COST_BYTES = 8 * 1_024;
/** Ephemeral events of one delivery that a plain socket gets: the newest ones. Guards as above. */
const MAX_PLAIN_EPHEMERAL = 16;

interface SocketOutputOptions {
  readonly socket: Pick<WebSocket, "bufferedAmount" | "readyState" | "send">;
  /** Whether each message goes out in a frame of its own, instead of several, one per line. */
  readonly isPlain: boolean;
  readonly drainPoller: Pick<DrainPoller, "waitForRoom">;
  readonly unreadBudget: Pick<UnreadBudget, "watch" | "forget">;
  readonly largeWrites: Pick<LargeWrites, "begin" | "end" | "requestRoom">;
  /** Called when the client reads too slowly. Must close the output. */
  readonly onSlow: () => void;
  /** Called when the runtime has given up the socket without an event. Must close the output. */
  readonly onLost: () => void;
}

/**
 * Sends everything that goes out over one WebSocket: answers, and the events of subscriptions.
 *
 * All answers of one turn go out together. While the client doesn't read, further answers are held
 * back; too many of them end the connection.
 */
export class SocketOutput implements MessageOutput, EventOutput, UnreadOutput {
  readonly #options: SocketOutputOptions;
  readonly #room: PolledRoom;
  /** Answers that are not sent yet. */
  #answers: string[] = [];
  #answerBytes = 0;
  readonly #answerCostBytes: number;
  #isFlushPlanned = false;
  #isWaiting = false;
  /** Bytes that were ever given to the runtime. */
  #sentBytes = 0;
  /** `#sentBytes` when the budget last looked. */
  #lastSentBytes = 0;
  #isWatched = false;
  /** Bytes that the client had taken at the last look, and when it took the last of them. */
  #takenBytes = 0;
  #takenAt = performance.now();
  /** `#sentBytes` at the last mark, which is set when all that was sent before the mark is read. */
  #markedBytes = 0;
  /** Frames that were sent between the last two marks. */
  #framesBefore = 0;
  /** Frames that were sent since the last mark. */
  #framesSince = 0;
  #isClosed = false;

  constructor(options: SocketOutputOptions) {
    this.#options = options;
    this.#room = new PolledRoom({
      queued: () => this.#queuedBytes(),
      mayBeLarge: (bytes) => options.largeWrites.requestRoom(bytes),
      poller: options.drainPoller,
      connection: this,
    });
    this.#answerCostBytes = options.isPlain ? FRAME_COST_BYTES : ANSWER_COST_BYTES;
  }

  /** Bytes that each event counts in addition to its own, because it takes a frame. */
  get eventCostBytes(): number {
    return this.#options.isPlain ? PLAIN_EVENT_COST_BYTES : 0;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether it can send: the runtime may have given up the socket without an event. */
  get isOpen(): boolean {
    return !this.#isClosed && this.#options.socket.readyState === WebSocket.OPEN;
  }

  /** Stops all output, drops the answers that are held back, and ends all waits for room. */
  close(): void {
    this.#isClosed = true;
    this.#answers = [];
    this.#answerBytes = 0;
    this.#options.unreadBudget.forget(this);
    this.#options.largeWrites.end(this);
  }

  /** Sends an answer, together with others of the same turn. */
  send(message: ServerMessage): void {
    if (!this.isOpen) return;
    const text = JSON.stringify(message);
    this.#answers.push(text);
    this.#answerBytes += text.length + this.#answerCostBytes;
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  /** Returns this output: a socket has one stream for answers and events. */
  openEventOutput(): EventOutput {
    return this;
  }

  sink(encoding: MessageEncoding, close: (reason: CloseReason) => void): Sink {
    return new SocketSink(this, encoding, close);
  }

  /** Does nothing: other subscriptions use the socket. */
  end(): void {}

  sendLast(message: ServerMessage | undefined, { isSlow }: { readonly isSlow: boolean }): void {
    if (!this.isOpen) return;
    if (isSlow) this.#answers = [];
    if (message !== undefined) this.#answers.push(JSON.stringify(message));
    if (this.#answers.length > 0) this.#sendAnswers();
  }

  /** Acts as {@link Sink.write}. `encode` turns a run into messages, one per line. */
  write(runs: readonly Run[], encode: Encoder<string>): void {
    if (!this.isOpen) return;
    const [only] = runs;
    const text = runs.length === 1 && only !== undefined
      ? encode(only)
      : runs.map(encode).join("\n");
    this.#sendInOrder(text);
  }

  /** Acts as {@link Sink.deliverEphemeral}. */
  deliverEphemeral(batch: EphemeralBatch): number {
    if (this.#options.isPlain) return this.#deliverPlain(batch);
    const text = batch.encode(ephemeralText);
    if (!this.hasRoom(text.length)) return 0;
    this.#sendInOrder(text);
    return batch.events.length;
  }

  #deliverPlain(batch: EphemeralBatch): number {
    const messages = batch.encode(ephemeralMessages).slice(-MAX_PLAIN_EPHEMERAL);
    const text = messages.join("\n");
    if (!this.hasRoom(text.length + messages.length * this.eventCostBytes)) return 0;
    this.#sendInOrder(text);
    return messages.length;
  }

  /** A socket that the runtime has given up never has room, so that its subscriptions stall. */
  hasRoom(bytes: number, hasWaited = false): boolean {
    return this.#isClosed || (this.isOpen && this.#room.has(bytes, hasWaited));
  }

  /** Acts as {@link Sink.takenAt}. */
  get takenAt(): number {
    return this.#takenAt;
  }

  drained(bytes: number): Promise<void> {
    return this.hasRoom(bytes) ? Promise.resolve() : this.#room.wait(bytes);
  }

  takeStaleBytes(): number | undefined {
    this.#isWatched = false;
    if (this.#isClosed) return undefined;
    if (!this.isOpen) {
      this.#options.onLost();
      return undefined;
    }
    const { bufferedAmount } = this.#options.socket;
    const frameBytes = this.#queuedBytes() - bufferedAmount;
    const readBytes = this.#sentBytes - bufferedAmount;
    const staleBytes = Math.max(0, this.#lastSentBytes - readBytes);
    this.#lastSentBytes = this.#sentBytes;
    if (bufferedAmount === 0 && this.#answerBytes === 0) return undefined;
    this.#isWatched = true;
    return (staleBytes === 0 ? 0 : staleBytes + frameBytes) + this.#answerBytes;
  }

  endSlow(): void {
    this.#options.onSlow();
  }

  /** Returns the bytes that wait in the runtime, with an upper bound of what it takes for frames. */
  #queuedBytes(): number {
    const { bufferedAmount } = this.#options.socket;
    const takenBytes = this.#sentBytes - bufferedAmount;
    if (takenBytes > this.#takenBytes) {
      this.#takenBytes = takenBytes;
      this.#takenAt = performance.now();
    }
    if (bufferedAmount === 0) {
      this.#framesSince = 0;
      this.#framesBefore = 0;
    } else if (takenBytes >= this.#markedBytes) {
      this.#framesBefore = this.#framesSince;
      this.#framesSince = 0;
      this.#markedBytes = this.#sentBytes;
    }
    return bufferedAmount + (this.#framesBefore + this.#framesSince) * FRAME_COST_BYTES;
  }

  #flush(): void {
    if (!this.isOpen || this.#answers.length === 0) return;
    const hasRoom = () => !this.isOpen || this.#options.socket.bufferedAmount < ANSWER_QUEUE_BYTES;
    if (hasRoom()) return this.#sendAnswers();
    if (this.#answerBytes > MAX_HELD_BYTES) return this.#options.onSlow();
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    void this.#options.drainPoller.waitForRoom(hasRoom).then(() => {
      this.#isWaiting = false;
      this.#flush();
    });
  }

  #sendInOrder(text: string): void {
    if (!this.isOpen) return;
    if (this.#answers.length > 0) this.#sendAnswers();
    this.#sendText(text);
  }

  #sendAnswers(): void {
    const text = this.#answers.join("\n");
    this.#answers = [];
    this.#answerBytes = 0;
    this.#sendText(text);
  }

  #sendText(text: string): void {
    const { socket, isPlain, unreadBudget } = this.#options;
    const waitingBytes = socket.bufferedAmount;
    if (isPlain) this.#sendLines(text);
    else socket.send(text);
    this.#sentBytes += socket.bufferedAmount - waitingBytes;
    this.#framesSince++;
    if (text.length > QUEUE_BYTES) void this.#countLarge(text.length);
    if (this.#isWatched) return;
    this.#isWatched = true;
    unreadBudget.watch(this);
  }

  #sendLines(text: string): void {
    const lines = text.split("\n");
    for (const line of lines) this.#options.socket.send(line);
    this.#framesSince += lines.length - 1; // the last one is counted as any frame
  }

  /** Counts a large frame until most of it is read. */
  async #countLarge(bytes: number): Promise<void> {
    const { socket, largeWrites, drainPoller } = this.#options;
    largeWrites.begin(this, bytes);
    await drainPoller.waitForRoom(() => !this.isOpen || socket.bufferedAmount <= QUEUE_BYTES);
    largeWrites.end(this);
  }
}

/** Takes the events of one subscription. A class, because closures for so many need more memory. */
export class SocketSink implements Sink {
  readonly #output: SocketOutput;
  readonly #encoding: MessageEncoding;
  readonly close: (reason: CloseReason) => void;

  constructor(
    output: SocketOutput,
    encoding: MessageEncoding,
    close: (reason: CloseReason) => void,
  ) {
    this.#output = output;
    this.#encoding = encoding;
    this.close = close;
  }

  get eventBytes(): number {
    return Math.max(this.#encoding.eventBytes, this.#output.eventCostBytes);
  }

  write(runs: readonly Run[]): void {
    this.#output.write(runs, this.#encoding.encode);
  }

  deliverEphemeral(batch: EphemeralBatch): number {
    return this.#output.deliverEphemeral(batch);
  }

  get takenAt(): number {
    return this.#output.takenAt;
  }

  hasRoom(bytes: number, hasWaited?: boolean): boolean {
    return this.#output.hasRoom(bytes, hasWaited);
  }

  drained(bytes: number): Promise<void> {
    return this.#output.drained(bytes);
  }
}
