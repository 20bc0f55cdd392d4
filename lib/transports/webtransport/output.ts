import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { Run } from "../../log/run.ts";
import type { SendStream } from "../../quic/send_stream.ts";
import type { WebTransportSession } from "../../quic/session.ts";
import { concat } from "../../shared/bytes.ts";
import { MAX_EVENT_BYTES } from "../../shared/event.ts";
import { Problem } from "../../shared/problem.ts";
import { RECEIVED_STEP_BYTES } from "../../shared/webtransport.ts";
import type { DrainPoller } from "../drain_poller.ts";
import type { LargeWrites } from "../large_writes.ts";
import { ephemeralPayloads, type MessageEncoding, toLines } from "../messages/encoding.ts";
import type { ConnectionOutput } from "../messages/message_connection.ts";
import type { ServerMessage } from "../messages/message.ts";
import type { EventOutput } from "../messages/output.ts";
import { PolledRoom } from "../polled_room.ts";
import { QUEUE_BYTES } from "../room.ts";
import type { UnreadBudget, UnreadOutput } from "../unread_budget.ts";
import { EventStream, type EventStreamHost } from "./event_stream.ts";

/**
 * Event streams of one connection; further subscriptions share them. Guards against memory: QUIC
 * keeps a buffer for each on both sides.
 */
const MAX_EVENT_STREAMS = 32;

/**
 * Streams that wait until the client allows for one more. Guards against clients that allow for none
 * and subscribe again and again.
 */
const MAX_OPENING_STREAMS = 256;

/**
 * Fewer bytes that are not acknowledged count as none: a client acknowledges a step late, and may
 * have the next one in hand.
 */
const EMPTY_BYTES = 2 * RECEIVED_STEP_BYTES;

/**
 * Bytes on event streams that a client may leave unacknowledged: a queue, the largest event twice for
 * its escapes, and as many answers as may wait. Guards against clients that subscribe again and again
 * and take nothing: answers wait for no room.
 */
const MAX_UNACKNOWLEDGED_BYTES = QUEUE_BYTES + 3 * MAX_EVENT_BYTES;

/** Bytes of answers that QUIC has not taken. Guards against clients that ask and read no answers. */
const MAX_HELD_BYTES = MAX_EVENT_BYTES;
const LINE_END = new TextEncoder().encode("\n");
/** Bytes that each answer counts in addition to its own. Guards against many tiny answers. */
const ANSWER_COST_BYTES = 64;

interface WebTransportOutputOptions {
  readonly session: Pick<
    WebTransportSession,
    "maxDatagramBytes" | "openUnidirectional" | "sendDatagram"
  >;
  readonly drainPoller: Pick<DrainPoller, "waitForRoom">;
  readonly unreadBudget: Pick<UnreadBudget, "watch" | "forget">;
  readonly largeWrites: Pick<LargeWrites, "begin" | "end" | "requestRoom">;
  /** Called when the client reads too slowly. Must close the output. */
  readonly onSlow: () => void;
}

/**
 * Sends everything that goes out over one WebTransport connection: answers on the control stream,
 * the events of subscriptions on streams of their own, and small ephemeral events as datagrams.
 *
 * QUIC itself would buffer megabytes for a client that does not read. So events that the client has
 * not acknowledged count as queued.
 */
export class WebTransportOutput implements ConnectionOutput, UnreadOutput {
  readonly #options: WebTransportOutputOptions;
  readonly #room: PolledRoom;
  readonly #host: EventStreamHost;
  /** By number, without those that have ended. */
  readonly #streams = new Map<number, EventStream>();
  #lastNumber = 0;
  #openingStreams = 0;
  /** Undefined until the client has opened it. */
  #control: Pick<SendStream, "write"> | undefined;
  /** Answers that are not sent yet. */
  #answers: string[] = [];
  #answerBytes = 0;
  /** What the answers count that QUIC has not taken. */
  #untakenAnswerBytes = 0;
  /** Streams that were written in this turn. */
  readonly #written = new Set<EventStream>();
  #isFlushPlanned = false;
  /** Bytes that were ever sent on event streams. */
  #sentBytes = 0;
  /** `#sentBytes` when the budget last looked. */
  #lastSentBytes = 0;
  /** Bytes on event streams that the client has not acknowledged. */
  #unacknowledgedBytes = 0;
  /** Bytes for event streams that QUIC has not taken. A client may acknowledge what it does not read. */
  #untakenBytes = 0;
  /** Whether something larger than the queue is under way. */
  #isLarge = false;
  #isWatched = false;
  #takenAt = performance.now();
  #isClosed = false;

  constructor(options: WebTransportOutputOptions) {
    this.#options = options;
    const { largeWrites, drainPoller } = options;
    const room = this.#room = new PolledRoom({
      queued: () => this.#queuedBytes,
      mayBeLarge: (bytes) => largeWrites.requestRoom(bytes),
      emptyBytes: EMPTY_BYTES,
      poller: drainPoller,
      connection: this,
    });
    this.#host = {
      open: () => this.#openStream(),
      flushSoon: (stream) => {
        this.#written.add(stream);
        this.#flushSoon();
      },
      sent: (bytes) => this.#sent(bytes),
      taken: (bytes) => this.#taken(bytes),
      hasRoom: (bytes, hasWaited) => this.#isClosed || room.has(bytes, hasWaited),
      waitForRoom: (bytes) => room.wait(bytes),
    };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether it can send. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** When the client last acknowledged events, by `performance.now()`. */
  get takenAt(): number {
    return this.#takenAt;
  }

  /** Bytes on event streams that the client has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes;
  }

  /** The longest message that a datagram has room for. */
  get maxDatagramBytes(): number {
    return this.#options.session.maxDatagramBytes;
  }

  /** Sends answers on `control` from now on, first `welcome`. */
  openControl(control: Pick<SendStream, "write">, welcome: ServerMessage): void {
    if (this.#isClosed) return;
    this.#control = control;
    this.#answers.unshift(JSON.stringify(welcome));
    this.#flushSoon();
  }

  /** Sends an answer, together with others of the same turn. */
  send(message: ServerMessage): void {
    if (this.#isClosed) return;
    const text = JSON.stringify(message);
    this.#answers.push(text);
    this.#answerBytes += text.length + ANSWER_COST_BYTES;
    if (this.#heldBytes > MAX_HELD_BYTES) return this.#options.onSlow();
    this.#watch();
    this.#flushSoon();
  }

  openEventOutput(): EventOutput {
    return new EventStreamOutput(this);
  }

  received(streams: Readonly<Record<string, number>>): number {
    const numbers = Object.keys(streams).map(Number);
    for (const number of numbers) this.#requirePossible(number, streams[number] ?? 0);
    let bytes = 0;
    for (const number of numbers) {
      bytes += this.#streams.get(number)?.acknowledge(streams[number] ?? 0) ?? 0;
    }
    if (bytes > 0) this.#takenAt = performance.now();
    this.#acknowledged(bytes);
    return bytes;
  }

  sendLast(message: ServerMessage | undefined, { isSlow }: { readonly isSlow: boolean }): void {
    if (this.#isClosed) return;
    if (isSlow) this.#answers = [];
    if (message !== undefined) this.#answers.push(JSON.stringify(message));
    if (this.#answers.length > 0) this.#sendAnswers();
  }

  /** Stops all output, ends the event streams and all waits for room. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#answers = [];
    this.#answerBytes = 0;
    for (const stream of this.#streams.values()) stream.end();
    this.#streams.clear();
    this.#written.clear();
    this.#room.wakeAll();
    this.#options.unreadBudget.forget(this);
    this.#options.largeWrites.end(this);
  }

  /** Returns a stream for one more `subscribe`. */
  takeStream(): EventStream {
    const stream = this.#streams.size < MAX_EVENT_STREAMS ? this.#newStream() : this.#leastUsed();
    stream.users++;
    return stream;
  }

  /** Ends the use of a stream, and the stream if nobody else uses it. */
  returnStream(stream: EventStream): void {
    stream.users--;
    if (stream.users > 0) return;
    this.#streams.delete(stream.number);
    this.#written.delete(stream);
    stream.end();
    this.#acknowledged(stream.unacknowledgedBytes); // nobody counts on what is lost with it
  }

  sendDatagram(payload: Uint8Array): void {
    if (!this.#isClosed) this.#options.session.sendDatagram(payload);
  }

  takeStaleBytes(): number | undefined {
    this.#isWatched = false;
    if (this.#isClosed) return undefined;
    const takenBytes = this.#sentBytes - this.#queuedBytes;
    const staleBytes = Math.max(0, this.#lastSentBytes - takenBytes);
    this.#lastSentBytes = this.#sentBytes;
    // A client that takes everything acknowledges a step late.
    const isQuiet = this.#queuedBytes <= RECEIVED_STEP_BYTES && this.#heldBytes === 0;
    if (isQuiet) return undefined;
    this.#isWatched = true;
    return Math.max(0, staleBytes - RECEIVED_STEP_BYTES) + this.#heldBytes;
  }

  endSlow(): void {
    this.#options.onSlow();
  }

  get #heldBytes(): number {
    return this.#answerBytes + this.#untakenAnswerBytes;
  }

  get #queuedBytes(): number {
    return Math.max(this.#unacknowledgedBytes, this.#untakenBytes);
  }

  /** @throws {Problem} `bad_message` */
  #requirePossible(number: number, bytes: number): void {
    if (number <= this.#lastNumber && this.#streams.get(number)?.mayHaveTaken(bytes) !== false) {
      return;
    }
    throw new Problem("bad_message", `The client cannot have taken ${bytes} bytes of ${number}.`);
  }

  #newStream(): EventStream {
    const stream = new EventStream(this.#host, ++this.#lastNumber);
    this.#streams.set(stream.number, stream);
    return stream;
  }

  async #openStream(): Promise<SendStream> {
    this.#openingStreams++;
    const stream = await this.#options.session.openUnidirectional();
    this.#openingStreams--;
    return stream;
  }

  #leastUsed(): EventStream {
    return [...this.#streams.values()].reduce((least, stream) =>
      stream.users < least.users ? stream : least
    );
  }

  #sent(bytes: number): void {
    this.#sentBytes += bytes;
    this.#unacknowledgedBytes += bytes;
    this.#untakenBytes += bytes;
    if (bytes > QUEUE_BYTES) {
      this.#isLarge = true;
      this.#options.largeWrites.begin(this, bytes);
    }
    this.#watch();
  }

  #taken(bytes: number): void {
    this.#untakenBytes -= bytes;
    this.#freed();
  }

  #acknowledged(bytes: number): void {
    this.#unacknowledgedBytes -= bytes;
    this.#freed();
  }

  #freed(): void {
    if (this.#isLarge && this.#queuedBytes <= QUEUE_BYTES) {
      this.#isLarge = false;
      this.#options.largeWrites.end(this);
    }
    if (!this.#room.isAwaited) return;
    for (const stream of this.#streams.values()) stream.wake();
    this.#room.wake();
  }

  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#options.unreadBudget.watch(this);
  }

  #flushSoon(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    this.#sendAnswers();
    for (const stream of this.#written) stream.flush();
    this.#written.clear();
    const takesNothing = this.#unacknowledgedBytes > MAX_UNACKNOWLEDGED_BYTES ||
      this.#openingStreams > MAX_OPENING_STREAMS;
    if (takesNothing) this.#options.onSlow();
  }

  #sendAnswers(): void {
    if (this.#control === undefined || this.#answers.length === 0) return;
    const bytes = this.#answerBytes;
    const lines = toLines(this.#answers.join("\n"));
    this.#answers = [];
    this.#answerBytes = 0;
    this.#untakenAnswerBytes += bytes;
    void this.#control.write(lines).then(() => this.#untakenAnswerBytes -= bytes);
  }
}

/** Where the events of one `subscribe` go. It takes a stream with its first message. */
class EventStreamOutput implements EventOutput {
  readonly #output: WebTransportOutput;
  #stream: EventStream | undefined;

  constructor(output: WebTransportOutput) {
    this.#output = output;
  }

  get stream(): EventStream {
    return this.#stream ??= this.#output.takeStream();
  }

  send(message: ServerMessage): void {
    if (!this.#output.isClosed) this.stream.write(toLines(JSON.stringify(message)));
  }

  sink(encoding: MessageEncoding, close: (reason: CloseReason) => void): Sink {
    return new EventSink({ output: this.#output, events: this, encoding, close });
  }

  end(): void {
    if (this.#stream !== undefined) this.#output.returnStream(this.#stream);
  }
}

interface EventSinkOptions {
  readonly output: WebTransportOutput;
  readonly events: EventStreamOutput;
  readonly encoding: MessageEncoding;
  readonly close: (reason: CloseReason) => void;
}

/** Takes the events of one subscription. A class, because closures for so many need more memory. */
class EventSink implements Sink {
  readonly #output: WebTransportOutput;
  readonly #events: EventStreamOutput;
  readonly #encoding: MessageEncoding;
  readonly close: (reason: CloseReason) => void;

  constructor({ output, events, encoding, close }: EventSinkOptions) {
    this.#output = output;
    this.#events = events;
    this.#encoding = encoding;
    this.close = close;
  }

  get eventBytes(): number {
    return this.#encoding.eventBytes;
  }

  write(runs: readonly Run[]): void {
    const { encode, encodeLines = (run) => toLines(encode(run)) } = this.#encoding;
    for (const run of runs) this.#events.stream.write(encodeLines(run));
  }

  deliverEphemeral(batch: EphemeralBatch): number {
    let dropped = 0;
    const { datagrams, lines } = batch.encode(ephemeralPayloads);
    const { maxDatagramBytes } = this.#output;
    for (const payload of datagrams) {
      if (payload.length <= maxDatagramBytes) this.#output.sendDatagram(payload);
      else dropped += this.#sendLines(concat([payload, LINE_END]));
    }
    if (lines.length > 0) dropped += this.#sendLines(lines);
    return batch.events.length - dropped;
  }

  get takenAt(): number {
    return this.#output.takenAt;
  }

  hasRoom(bytes: number, hasWaited?: boolean): boolean {
    return this.#events.stream.hasRoom(bytes, hasWaited);
  }

  drained(bytes: number): Promise<void> {
    return this.#events.stream.drained(bytes);
  }

  /** Sends ephemeral events on the stream if it has room. Returns how many it drops otherwise. */
  #sendLines(lines: Uint8Array): number {
    const { stream } = this.#events;
    if (!stream.hasRoom(lines.length)) return lines.filter((byte) => byte === LINE_END[0]).length;
    stream.write(lines);
    return 0;
  }
}
