import { type Signal, signal } from "@preact/signals";
import type { TransportName, Weir, WeirError } from "../../lib/client/client.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { randomId } from "../../lib/shared/random_id.ts";
import { comparedChannels } from "./compared_channels.ts";
import { LaneRecord } from "./lane_record.ts";
import { LabNetwork } from "./network.ts";

/** The transports that are compared, in the order of their turns. */
const COMPARED = ["websocket", "webtransport"] as const satisfies readonly TransportName[];

/** How long each transport has its turn: both fit into the time that a timeline shows. */
export const TURN_MS = 8_000;
/** Characters of a large event. */
const LARGE_LENGTH = 256 * 1_024;
const LARGE_EVERY_MS = 500;
const SMALL_EVERY_MS = 50;
/** The simulated link: a large event occupies it for half of the time. */
const SLOW_BYTES_PER_SECOND = 1_000_000;
/** How long the end of a turn waits for events that are under way. */
const LATE_MS = 3_000;
/** How long the log keeps the events, in seconds. */
const TTL_S = 60;

/** What one transport did in its last turn. */
export class ComparedLane {
  readonly record = new LaneRecord();
  /** Milliseconds from the publish of each small event until it came. */
  readonly latencies: number[] = [];
  large = 0;

  constructor(readonly transport: TransportName) {}

  /** Returns the latency that the share `p` of the small events did not exceed. */
  quantile(p: number): number | undefined {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * p) - 1];
  }
}

/**
 * Large events on one channel next to small ones on another, over one transport after the other, so
 * that they do not compete for the network.
 */
export class Comparison implements Disposable {
  readonly lanes: Signal<readonly ComparedLane[]> = signal(
    COMPARED.map((transport) => new ComparedLane(transport)),
  );
  /** The transport whose turn it is. */
  readonly running: Signal<TransportName | undefined> = signal(undefined);
  readonly problem: Signal<string | undefined> = signal(undefined);
  /** `performance.now()` when the last turn ended. */
  readonly endedAt: Signal<number | undefined> = signal(undefined);
  readonly #channel: string;
  #stop = new AbortController();

  constructor(channel: string) {
    this.#channel = channel;
  }

  /** Lets the transports take their turns. Never rejects. */
  async run(transports: readonly TransportName[], isSlow: boolean): Promise<void> {
    this.stop();
    const { signal } = this.#stop = new AbortController();
    this.problem.value = this.endedAt.value = undefined;
    const lanes = COMPARED.map((transport) => new ComparedLane(transport));
    this.lanes.value = lanes;
    try {
      for (const lane of lanes) {
        if (!transports.includes(lane.transport)) continue;
        this.running.value = lane.transport;
        await this.#turn(lane, isSlow, signal);
      }
    } catch (cause) {
      if (!signal.aborted) this.problem.value = (cause as WeirError).detail; // of publish(), listen()
    }
    if (signal.aborted) return;
    this.#end();
  }

  /** Ends the comparison. */
  stop(): void {
    this.#stop.abort();
    if (this.running.value !== undefined) this.#end();
  }

  #end(): void {
    this.running.value = undefined;
    this.endedAt.value = performance.now();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  async #turn(lane: ComparedLane, isSlow: boolean, signal: AbortSignal): Promise<void> {
    const network = new LabNetwork(lane.record);
    if (isSlow) network.link.bytesPerSecond = SLOW_BYTES_PER_SECOND;
    const { fetch, WebSocket, WebTransport, watch } = network;
    const platform = { ...PLATFORM, fetch, WebSocket, WebTransport, watch };
    // Each publisher has its own connection, so that no small event waits to be sent.
    await using reader = makeClient(
      location.origin,
      { transports: [lane.transport], signal },
      platform,
    );
    await using small = makeClient(location.origin, { signal }, PLATFORM);
    await using large = makeClient(location.origin, { signal }, PLATFORM);
    const failed = new AbortController();
    const ended = AbortSignal.any([signal, failed.signal]);
    const onError = (error: WeirError) => failed.abort(error);
    const [smallChannel, largeChannel] = comparedChannels(this.#channel);
    const publishedAt = new Map<string, number>();
    const listen = (channel: string, onEvent: (offset: string, sent: number) => void) =>
      new Promise<void>((resolve) =>
        reader.listen(channel, {
          onStart: () => resolve(),
          onEvent: ({ id, offset }) => {
            const sent = publishedAt.get(id);
            publishedAt.delete(id);
            if (sent !== undefined) onEvent(offset, sent); // otherwise it is another visitor's
          },
          onGap: () => {},
          onError,
        })
      );
    const publish = (weir: Weir, channel: string, data: unknown) => {
      const id = randomId();
      publishedAt.set(id, performance.now());
      weir.publish(channel, data, { id, type: "lab", ttl: TTL_S }).catch(onError);
    };
    await orAborted(
      ended,
      listen(largeChannel, () => lane.large++),
      listen(smallChannel, (offset, sent) => {
        const now = performance.now();
        lane.latencies.push(now - sent);
        lane.record.arrived(offset, now, now - sent);
      }),
      // Opens the publishers' connections.
      small.publish(smallChannel, 0, { type: "lab", ttl: TTL_S }),
      large.publish(largeChannel, 0, { type: "lab", ttl: TTL_S }),
    );
    const text = "x".repeat(LARGE_LENGTH);
    const timers = [
      setInterval(() => publish(small, smallChannel, lane.latencies.length), SMALL_EVERY_MS),
      setInterval(() => publish(large, largeChannel, text), LARGE_EVERY_MS),
    ];
    await orAborted(ended, pause(TURN_MS)).finally(() => timers.forEach(clearInterval));
    const giveUpAt = performance.now() + LATE_MS;
    while (publishedAt.size > 0 && performance.now() < giveUpAt) {
      await orAborted(ended, pause(SMALL_EVERY_MS));
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves after all of `work`. Rejects with the reason of `signal` when that aborts. */
async function orAborted(signal: AbortSignal, ...work: readonly Promise<unknown>[]): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  await Promise.race([Promise.all(work), aborted.promise]);
  signal.removeEventListener("abort", abort);
}
