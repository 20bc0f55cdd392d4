import type { Authority } from "../../auth/authority.ts";
import type {
  Connection,
  ConnectionHandler,
  Connections,
  EndReason,
} from "../../auth/connections.ts";
import type { Hub } from "../../hub/hub.ts";
import type { EphemeralBatch, EphemeralEncoder } from "../../hub/ephemeral_batch.ts";
import { Linger } from "../../shared/async/linger.ts";
import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { Subscription } from "../../hub/subscription.ts";
import type { Encoder, Run } from "../../log/run.ts";
import { concat } from "../../shared/bytes.ts";
import { type Channel, type ChannelKey, channelOf } from "../../shared/channel.ts";
import { type After, formatCursor } from "../../shared/cursor.ts";
import { SSE_HEARTBEAT, sseNotice, sseOpening, sseRetry } from "../../shared/sse.ts";
import { type GoodbyeReason, isMove, type MoveReason, reconnectDelay } from "../goodbye.ts";
import type { Goodbyes, LeavingConnection } from "../goodbyes.ts";
import {
  encodeSseRun,
  MIN_SHARED_BYTES,
  sseEnvelope,
  sseEnvelopeEphemeral,
  ssePlain,
  ssePlainEphemeral,
} from "./encoding.ts";
import type { TimerWheel } from "../timer_wheel.ts";
import { ReadPositions, startPositions } from "../read_positions.ts";
import { eventBytesWith, QUEUE_BYTES, Room } from "../room.ts";

/** Milliseconds that a client waits before it reconnects. */
const RETRY_MS = 1_000;

/**
 * Milliseconds between the moment when the runtime takes a goodbye and that when the stream breaks
 * off. Over HTTP/2 the reset overtakes what has just been sent, and a client that reads the goodbye
 * first can leave by itself.
 */
const GOODBYE_LEAD_MS = 100;

const utf8 = new TextEncoder();
const HEARTBEAT = utf8.encode(SSE_HEARTBEAT);
const BYTE_LENGTH: QueuingStrategy<Uint8Array> = {
  highWaterMark: QUEUE_BYTES,
  size: (chunk) => chunk?.byteLength ?? 0,
};

interface SseOptions {
  readonly hub: Hub;
  readonly wheel: TimerWheel;
  readonly goodbyes: Pick<Goodbyes, "add" | "delete">;
  readonly connections: Connections;
  /** Names the stream, for `POST /v1/streams/{id}/token`. */
  readonly id: string;
  readonly authority: Authority;
  /** Disposed when the stream has ended. */
  readonly countedConnection: Disposable;
  /** Sorted, without repeats. */
  readonly channelKeys: readonly ChannelKey[];
  readonly after: After;
  /** Called with the reason of the goodbye. @default undefined */
  readonly onGoodbye?: (reason: GoodbyeReason) => void;
  /** Whether `data:` is a JSON envelope instead of the data as published. */
  readonly isEnveloped: boolean;
}

/**
 * Opens the body of a `text/event-stream` response (WHATWG HTML, "Server-sent events"). It ends
 * when the subscriber leaves or is too slow, its credential ends, or the server stops.
 *
 * @throws {import("../../shared/problem.ts").Problem} `storage_*`, `shutting_down`
 */
export async function sseStream(options: SseOptions): Promise<ReadableStream<Uint8Array>> {
  const stream = new SseStream(options);
  await stream.subscribe();
  return stream.readable;
}

/** With this error a stream breaks off after its goodbye. `Deno.serve` passes it to `onError`. */
export class StreamCut extends Error {
  constructor() {
    super("The stream has ended after its goodbye.");
  }

  /** `deno serve` has no `onError` and prints the error instead: an empty line. */
  [Symbol.for("Deno.customInspect")](): string {
    return "";
  }
}

/** The streams that break off after their goodbye. One timer for thousands that end together. */
const cuts = new Linger<ReadableStreamDefaultController<Uint8Array>>(
  GOODBYE_LEAD_MS,
  (controller) => controller.error(new StreamCut()),
);

class SseStream implements ConnectionHandler, LeavingConnection {
  readonly #options: SseOptions;
  readonly #connection: Connection;
  /** Without the channels that the client may no longer read. */
  readonly #subscriptions = new Map<Channel, Subscription>();
  #controller!: ReadableStreamDefaultController<Uint8Array>; // set by start(), before the constructor ends
  #heartbeat: Disposable | undefined;
  /** What the runtime has taken out of the queue is at most one write and 64 KiB more. */
  readonly #room = new Room(() => QUEUE_BYTES - (this.#controller.desiredSize ?? -Infinity));
  #isClosed = false;
  #hasSaidGoodbye = false;
  /** Whether the stream breaks off once the runtime has taken all that is queued. */
  #isBreakingOff = false;
  #isCutPlanned = false;
  takenAt = performance.now();
  readonly readable: ReadableStream<Uint8Array>;

  constructor(options: SseOptions) {
    this.#options = options;
    this.#connection = options.connections.open(options.id, options.authority, this);
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.takenAt = performance.now();
        if (this.#room.isDue) this.#room.wake();
        if (this.#isBreakingOff) this.#breakOffLater();
      },
      cancel: () => {
        cuts.delete(this.#controller);
        this.#leave();
      },
    }, BYTE_LENGTH);
  }

  async subscribe(): Promise<void> {
    const { wheel, goodbyes } = this.#options;
    try {
      await this.#subscribeAll();
    } catch (cause) {
      this.#leave();
      throw cause;
    }
    if (this.#isClosed) return; // the credential has ended in the meantime
    this.#heartbeat = wheel.add({ beat: () => this.#beat() });
    goodbyes.add(this);
    for (const subscription of this.#subscriptions.values()) subscription.start();
    this.changed();
  }

  async #subscribeAll(): Promise<void> {
    const { hub, channelKeys, after, isEnveloped } = this.#options;
    const channels = channelKeys.map(channelOf);
    const hasSharedCursor = channelKeys.length > 1;
    const starts = hasSharedCursor ? await startPositions(hub, channelKeys, after) : [];
    const positions = new ReadPositions(channels, starts);
    const isResume = typeof after !== "string";
    const eventBytes = eventBytesWith(hasSharedCursor ? positions.cursor : "");
    for (const [i, channelKey] of channelKeys.entries()) {
      const encode: Encoder<readonly Uint8Array[]> = hasSharedCursor
        ? (run) => encodeSseRun(run, isEnveloped, (at) => positions.advanceCursor(i, run.epoch, at))
        : (run) => [run.encode(isEnveloped ? sseEnvelope : ssePlain)];
      const start = starts[i] ?? (typeof after === "string" ? after : after[i] ?? "latest");
      const sink = new SseSink(this, encode, eventBytes);
      const subscription = await hub.subscribe(channelKey, start, sink, { isResume });
      if (this.#isClosed) return subscription.close();
      this.#subscriptions.set(channelOf(channelKey), subscription);
    }
    const reached = [...this.#subscriptions.values()].map(({ position }) => position);
    const cursor = formatCursor(channels, reached);
    this.#controller.enqueue(utf8.encode(sseOpening(RETRY_MS, cursor)));
  }

  /** Writes consecutive parts. They are not copied, unless they are small. */
  write(parts: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    for (const part of joinSmall(parts)) this.#controller.enqueue(part);
  }

  deliverEphemeral(batch: EphemeralBatch): number {
    if (this.#isClosed) return 0;
    const encode: EphemeralEncoder<Uint8Array> = this.#options.isEnveloped
      ? sseEnvelopeEphemeral
      : ssePlainEphemeral;
    const bytes = batch.encode(encode);
    if (!this.hasRoom(bytes.byteLength)) return 0;
    this.#controller.enqueue(bytes);
    return batch.events.length;
  }

  hasRoom(bytes: number, hasWaited = false): boolean {
    return this.#isClosed || this.#room.has(bytes, hasWaited);
  }

  drained(bytes: number): Promise<void> {
    return this.hasRoom(bytes) ? Promise.resolve() : this.#room.wait(bytes);
  }

  /**
   * Writes a comment, so that both sides notice a dead peer. It is written even if an event was
   * written since the last one: otherwise a stream could be silent for almost two heartbeats.
   */
  #beat(): void {
    if (this.hasRoom(HEARTBEAT.length)) this.#controller.enqueue(HEARTBEAT);
  }

  expiring(expiresIn: number): void {
    const { id } = this.#options;
    this.#notice("weir.token", { stream: id, expiresIn });
  }

  /** Ends the subscriptions that the new credential doesn't allow. */
  changed(): void {
    if (this.#heartbeat === undefined) return; // subscribe() checks once all subscriptions exist
    const { authority } = this.#connection;
    for (const [channel, subscription] of this.#subscriptions) {
      if (authority.mayRead(channel)) continue;
      subscription.close();
      this.#subscriptions.delete(channel);
      this.#notice("weir.unsubscribed", { channel, reason: "forbidden" });
    }
    if (this.#subscriptions.size === 0) this.close("forbidden");
  }

  end(reason: EndReason): void {
    this.close(reason);
  }

  #notice(type: string, data: Readonly<Record<string, unknown>>): void {
    if (!this.#isClosed) {
      this.#controller.enqueue(utf8.encode(sseNotice(type, JSON.stringify(data))));
    }
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.goodbyes.delete(this);
    this.#heartbeat?.[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
    this.#options.countedConnection[Symbol.dispose]();
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.#room.wakeAll();
  }

  get isLasting(): boolean {
    return true;
  }

  sayGoodbye(reason: MoveReason): void {
    try {
      this.#sayGoodbye(reason);
    } catch {
      this.#leave(); // the subscriber has just left
    }
  }

  /** @throws {TypeError} the subscriber has just left */
  #sayGoodbye(reason: GoodbyeReason): void {
    if (this.#hasSaidGoodbye) return;
    this.#hasSaidGoodbye = true;
    const retry = reconnectDelay();
    // An EventSource obeys the field, which the opening of the next stream sets back.
    const field = breaksOff(reason) ? sseRetry(retry) : "";
    const notice = sseNotice("weir.goodbye", JSON.stringify({ retry, reason }));
    this.#controller.enqueue(utf8.encode(field + notice));
    this.#options.onGoodbye?.(reason);
  }

  /**
   * Says goodbye, unless that was done, and ends the stream. A client that should come back sees it
   * break off, since some clients take the end of a complete response for the end of all events.
   */
  close(reason: GoodbyeReason): void {
    if (this.#isClosed) return;
    try {
      this.#isBreakingOff = breaksOff(reason);
      this.#sayGoodbye(reason);
      if (!this.#isBreakingOff) this.#controller.close();
      else this.#breakOffLater(); // pull() does so too, unless the runtime has taken all long ago
    } catch {
      return this.#leave(); // the subscriber has just left and gets no goodbye
    }
    this.#leave();
    if (reason === "stopping") return;
    // A subscriber that reads nothing may never read the goodbye: cut its connection.
    const cut = this.#options.wheel.add({
      beat: () => {
        cut[Symbol.dispose]();
        this.#controller.error(new StreamCut());
      },
    });
  }

  /** Breaks off a little later if nothing is queued: an error would drop what is. */
  #breakOffLater(): void {
    if ((this.#controller.desiredSize ?? 0) < QUEUE_BYTES) return;
    if (this.#isCutPlanned) return;
    this.#isCutPlanned = true;
    cuts.add(this.#controller);
  }
}

/** Whether a stream breaks off after this goodbye, because its client should come back. */
function breaksOff(reason: GoodbyeReason): boolean {
  return isMove(reason) || reason === "slow";
}

/** Takes the events of one channel. A class, because closures for so many need more memory. */
class SseSink implements Sink {
  readonly #stream: SseStream;
  readonly #encode: Encoder<readonly Uint8Array[]>;

  constructor(
    stream: SseStream,
    encode: Encoder<readonly Uint8Array[]>,
    readonly eventBytes: number,
  ) {
    this.#stream = stream;
    this.#encode = encode;
  }

  write(runs: readonly Run[]): void {
    this.#stream.write(runs.flatMap((run) => this.#encode(run)));
  }

  deliverEphemeral(batch: EphemeralBatch): number {
    return this.#stream.deliverEphemeral(batch);
  }

  get takenAt(): number {
    return this.#stream.takenAt;
  }

  hasRoom(bytes: number, hasWaited?: boolean): boolean {
    return this.#stream.hasRoom(bytes, hasWaited);
  }

  drained(bytes: number): Promise<void> {
    return this.#stream.drained(bytes);
  }

  close(reason: CloseReason): void {
    this.#stream.close(reason);
  }
}

/** Concatenates adjacent parts that are small. */
function joinSmall(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  if (parts.length === 1) return parts;
  const joined: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const flush = () => {
    if (small.length > 0) joined.push(concat(small));
    small = [];
  };
  for (const part of parts) {
    if (part.byteLength < MIN_SHARED_BYTES) {
      small.push(part);
    } else {
      flush();
      joined.push(part);
    }
  }
  flush();
  return joined;
}
