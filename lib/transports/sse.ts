import type { Hub } from "../hub/hub.ts";
import type { CloseReason, Sink } from "../hub/sink.ts";
import type { Subscription } from "../hub/subscription.ts";
import type { Encoder, Run } from "../log/run.ts";
import { concat } from "../shared/bytes.ts";
import { type Address, channelOf } from "../shared/channel.ts";
import { type After, formatCursor } from "../shared/cursor.ts";
import { SSE_HEARTBEAT, sseNotice, sseOpening } from "../shared/sse.ts";
import { reconnectDelay } from "./goodbye.ts";
import { encodeSseVector, sseEnvelope, ssePlain } from "./sse_encoding.ts";
import type { TimerWheel } from "./timer_wheel.ts";
import { startPositions } from "./start.ts";
import { Vector } from "./vector.ts";

/** Bytes that wait for a subscriber's socket before it is full and turns to catching up. */
const QUEUE_BYTES = 128 * 1024;
/** How long a subscriber that was told goodbye has to take what waits for it, in ms. */
const FAREWELL_MS = 5_000;
/** What a client waits before it reconnects, in ms. */
const RETRY_MS = 1_000;

const utf8 = new TextEncoder();
const HEARTBEAT = utf8.encode(SSE_HEARTBEAT);
const BY_BYTES: QueuingStrategy<Uint8Array> = {
  highWaterMark: QUEUE_BYTES,
  size: (chunk) => chunk?.byteLength ?? 0,
};

export interface SseOptions {
  readonly hub: Hub;
  readonly wheel: TimerWheel;
  /** Sorted, without repeats. */
  readonly addresses: readonly Address[];
  readonly after: After;
  /** Whether `data:` is a JSON envelope instead of the data as published. */
  readonly isEnveloped: boolean;
}

/**
 * The body of a `text/event-stream` response (WHATWG HTML, "Server-sent events") that goes on
 * until the subscriber leaves, the server stops, or the subscriber takes nothing for too long.
 *
 * @throws {import("../shared/problem.ts").Problem} `storage_*`, `shutting_down`
 */
export async function sseStream(options: SseOptions): Promise<ReadableStream<Uint8Array>> {
  const stream = new SseStream(options);
  await stream.subscribe();
  return stream.readable;
}

class SseStream {
  readonly #options: SseOptions;
  readonly #subscriptions: Subscription[] = [];
  #controller!: ReadableStreamDefaultController<Uint8Array>; // set by start(), before the constructor ends
  #beats: Disposable | undefined;
  /** Waiters for room. */
  #waiters: (() => void)[] = [];
  #hasWritten = true;
  #isClosed = false;
  readonly readable: ReadableStream<Uint8Array>;

  constructor(options: SseOptions) {
    this.#options = options;
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#wakeWaiters(),
      cancel: () => this.#leave(),
    }, BY_BYTES);
  }

  async subscribe(): Promise<void> {
    const { wheel } = this.#options;
    try {
      await this.#subscribeAll();
    } catch (cause) {
      this.#leave();
      throw cause;
    }
    this.#beats = wheel.add({ beat: () => this.#beat() });
    for (const subscription of this.#subscriptions) subscription.start();
  }

  async #subscribeAll(): Promise<void> {
    const { hub, addresses, after, isEnveloped } = this.#options;
    const channels = addresses.map(channelOf);
    const isVector = addresses.length > 1;
    const starts = isVector ? await startPositions(hub, addresses, after) : [];
    const vector = new Vector(channels, starts);
    for (const [i, address] of addresses.entries()) {
      const encode: Encoder<Uint8Array> = isVector
        ? (run) => encodeSseVector(run, isEnveloped, (at) => vector.at(i, run.epoch, at))
        : (run) => run.encode(isEnveloped ? sseEnvelope : ssePlain);
      const start = starts[i] ?? (typeof after === "string" ? after : after[i] ?? "latest");
      this.#subscriptions.push(await hub.subscribe(address, start, this.#sink(encode)));
    }
    const cursor = formatCursor(channels, this.#subscriptions.map(({ position }) => position));
    this.#controller.enqueue(utf8.encode(sseOpening(RETRY_MS, cursor)));
  }

  #sink(encode: Encoder<Uint8Array>): Sink {
    return {
      write: (runs) => this.#write(runs, encode),
      hasRoom: () => this.#hasRoom(),
      drained: () => this.#drained(),
      close: (reason) => this.#close(reason),
    };
  }

  #write(runs: readonly Run[], encode: Encoder<Uint8Array>): boolean {
    if (this.#isClosed) return true;
    this.#hasWritten = true;
    const [only] = runs;
    const bytes = runs.length === 1 && only !== undefined
      ? encode(only)
      : concat(runs.map((run) => encode(run)));
    this.#controller.enqueue(bytes);
    return this.#hasRoom();
  }

  #hasRoom(): boolean {
    return this.#isClosed || (this.#controller.desiredSize ?? 0) > 0;
  }

  #drained(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** A comment where nothing else was written since the last beat: a dead peer shows by it. */
  #beat(): void {
    const isQuiet = !this.#hasWritten && this.#hasRoom();
    this.#hasWritten = false;
    if (isQuiet) this.#controller.enqueue(HEARTBEAT);
  }

  #leave(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#beats?.[Symbol.dispose]();
    for (const subscription of this.#subscriptions) subscription.close();
    this.#wakeWaiters();
  }

  #close(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.#leave();
    const goodbye = JSON.stringify({ retry: reconnectDelay(), reason });
    this.#controller.enqueue(utf8.encode(sseNotice("weir.goodbye", goodbye)));
    this.#controller.close();
    if (reason !== "slow") return;
    // Who takes nothing may never take the goodbye: then the connection is cut.
    const timer = setTimeout(
      () => this.#controller.error(new Error("the subscriber took nothing")),
      FAREWELL_MS,
    );
    Deno.unrefTimer(timer);
  }
}
