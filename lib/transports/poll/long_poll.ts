import type { Authority } from "../../auth/authority.ts";
import type { Connections, EndReason } from "../../auth/connections.ts";
import type { Hub } from "../../hub/hub.ts";
import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { Sink } from "../../hub/sink.ts";
import type { Subscription } from "../../hub/subscription.ts";
import { sizeOfRuns } from "../../log/run.ts";
import type { After } from "../../shared/cursor.ts";
import { Problem } from "../../shared/problem.ts";
import { jsonEphemeralMembers } from "../json_encoding.ts";
import type { Goodbyes } from "../goodbyes.ts";
import { eventBytesWith } from "../room.ts";
import {
  type ChannelRuns,
  makePage,
  PAGE_BYTES,
  type ReadOptions,
  type ReadPage,
  readPage,
} from "./read_page.ts";

const END_CODES = { expired: "token_expired", revoked: "token_revoked" } as const;
const END_DETAILS: Readonly<Record<EndReason, string>> = {
  expired: "The credential expired while the poll waited.",
  revoked: "The credential was revoked while the poll waited.",
};

/** @see {@link Sink.eventBytes} */
const EVENT_BYTES = eventBytesWith("");

interface LongPollOptions extends ReadOptions {
  /** Milliseconds to wait for an event. */
  readonly waitMs: number;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  readonly goodbyes: Pick<Goodbyes, "add" | "delete">;
  readonly connections: Connections;
  readonly authority: Authority;
}

/**
 * Milliseconds that a poll with an ephemeral event waits for more of them. Guards against a
 * publisher that makes all pollers reconnect hundreds of times a second.
 */
const GATHER_MS = 50;
/** A poll with this many characters of ephemeral events waits no longer. */
const MAX_GATHERED_CHARS = 128 * 1024;

/**
 * Resolves to the page after `after`, as soon as it has an event or a gap. Resolves to an empty
 * page when the time is over, the client has gone or the server stops.
 *
 * A long poll is a subscription that ends with its first events, which may be ephemeral.
 *
 * @throws {Problem} `storage_*`; `token_expired` or `token_revoked` if the credential ends while
 * the poll waits
 */
export async function longPoll(
  hub: Hub,
  after: After,
  options: LongPollOptions,
): Promise<ReadPage> {
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => {}); // it may reject before anyone awaits it
  // Opened before the first read: if the credential ends during the read, the poll must not wait.
  using _connection = options.connections.open(crypto.randomUUID(), options.authority, {
    expiring() {},
    changed() {},
    end: (reason) => ended.reject(new Problem(END_CODES[reason], END_DETAILS[reason])),
  });
  const page = await readPage(hub, after, options);
  if (!page.isEmpty || options.signal.aborted) {
    for (const { index, ...part } of page.parts) {
      const channelKey = options.channelKeys[index];
      const isResuming = typeof after !== "string";
      if (channelKey !== undefined) hub.received(channelKey, { ...part, isResuming });
    }
    return page;
  }
  using collector = new PollCollector(() => ended.resolve());
  const isAll = await collect(hub, page, { ...options, collector, ended: ended.promise });
  const { found, ephemeral } = collector;
  const { limit } = options;
  const answer = found.length === 0 ? page : makePage(page.positions, found, { limit, isAll });
  return ephemeral.length === 0 ? answer : withEphemeral(answer, ephemeral);
}

/**
 * Subscribes `collector` to the channels behind `page` until `ended`, the timeout or an abort.
 * Returns whether it then has all events.
 */
async function collect(
  hub: Hub,
  page: ReadPage,
  { channelKeys, waitMs, goodbyes, signal, collector, ended }: LongPollOptions & {
    readonly collector: PollCollector;
    readonly ended: Promise<void>;
  },
): Promise<boolean> {
  const subscriptions: Subscription[] = [];
  const timer = setTimeout(collector.end, waitMs);
  signal.addEventListener("abort", collector.end, { once: true });
  const leaving = { sayGoodbye: collector.end, close: collector.end };
  goodbyes.add(leaving);
  try {
    for (const [index, channelKey] of channelKeys.entries()) {
      const position = page.positions.at(index) ?? "latest";
      subscriptions.push(await hub.subscribe(channelKey, position, collector.sink(index)));
    }
    for (const subscription of subscriptions) subscription.start();
    await ended;
  } catch (cause) {
    // A stopping server answers this poll like those that already wait.
    if (!(cause instanceof Problem && cause.code === "shutting_down")) throw cause;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", collector.end);
    goodbyes.delete(leaving);
    for (const subscription of subscriptions) subscription.close();
  }
  return subscriptions.every(({ lag }) => lag === 0);
}

/** Takes the first runs of each channel, and ephemeral events, and calls `end` once it has some. */
class PollCollector implements Disposable {
  readonly found: ChannelRuns[] = [];
  readonly ephemeral: EphemeralBatch[] = [];
  readonly end: () => void;
  readonly #disposed = Promise.withResolvers<void>();
  #foundBytes = 0;
  #gatheredChars = 0;
  #gathering: ReturnType<typeof setTimeout> | undefined;

  constructor(end: () => void) {
    this.end = end;
  }

  sink(index: number): Sink {
    const hasRoom = (bytes: number) =>
      this.found.length === 0 ||
      (this.#foundBytes + bytes <= PAGE_BYTES && !this.found.some((of) => of.index === index));
    return {
      eventBytes: EVENT_BYTES,
      write: (runs) => {
        this.found.push({ index, runs });
        this.#foundBytes += sizeOfRuns(runs, EVENT_BYTES);
        this.end();
      },
      deliverEphemeral: (batch) => this.#gather(batch),
      takenAt: 0,
      hasRoom,
      // The sink is full after its first runs: later ones belong to the next poll.
      drained: (bytes) => hasRoom(bytes) ? Promise.resolve() : this.#disposed.promise,
      close: this.end,
    };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#gathering);
    this.#disposed.resolve();
  }

  #gather(batch: EphemeralBatch): number {
    this.ephemeral.push(batch);
    for (const { data } of batch.events) this.#gatheredChars += data.length;
    this.#gathering ??= setTimeout(this.end, GATHER_MS);
    if (this.#gatheredChars >= MAX_GATHERED_CHARS) this.end();
    return batch.events.length;
  }
}

/** Returns the page with ephemeral events added. Its cursor stays the same. */
function withEphemeral(page: ReadPage, batches: readonly EphemeralBatch[]): ReadPage {
  const members = batches.flatMap((batch) => batch.encode(jsonEphemeralMembers));
  const events = members.map((text) => `{${text}}`).join(",");
  return { ...page, body: `{"ephemeral":[${events}],${page.body.slice(1)}`, isEmpty: false };
}
