import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { RECEIVED_STEP_BYTES } from "../../../../lib/shared/webtransport.ts";
import { WebTransportConnection } from "../../../../lib/transports/webtransport/connection.ts";
import { draft } from "../../../support/drafts.ts";
import { FakeSession, type FakeStream } from "../../../support/fake_session.ts";
import { openEmbedded } from "../../../support/log_stores.ts";
import { ANYONE, type MessageParts, messageParts } from "../../../support/message_parts.ts";
import { until } from "../../../support/until.ts";

/** The channels of one `subscribe` of the client. */
class Feed {
  readonly #isGroup: boolean;
  /** The `ref` of the last `subscribe`. */
  ref = 0;
  isWanted = false;
  /** The stream of the last `subscribed`. Events on others are dropped. */
  stream: number | undefined;
  cursor = "earliest";
  /** The data of the events of each channel. */
  readonly received = new Map<string, number[]>();

  constructor(readonly channels: readonly string[]) {
    this.#isGroup = channels.length > 1;
    for (const channel of channels) this.received.set(channel, []);
  }

  get target(): object {
    return this.#isGroup ? { channels: this.channels } : { channel: this.channels[0] };
  }

  /** Handles an event of its stream. */
  take(message: Readonly<Record<string, unknown>>): void {
    const { channel, data, cursor, offset } = message as Readonly<Record<string, string>>;
    this.received.get(channel ?? "")?.push(Number.parseInt(data ?? ""));
    this.cursor = (this.#isGroup ? cursor : offset) ?? "";
  }
}

/** The client's side of an event stream. */
class Reading {
  readonly #stream: FakeStream;
  #taken = 0;
  #handled = 0;
  number = 0;

  constructor(stream: FakeStream) {
    this.#stream = stream;
  }

  /** Bytes that were taken, as ASCII. */
  get taken(): number {
    return this.#taken;
  }

  get hasMore(): boolean {
    return this.#taken < this.#stream.text.length;
  }

  /** Takes up to so many bytes, and returns the messages that this completes. */
  take(bytes: number): readonly Readonly<Record<string, unknown>>[] {
    const { text } = this.#stream;
    this.#taken = Math.min(text.length, this.#taken + bytes);
    const end = text.lastIndexOf("\n", this.#taken - 1) + 1;
    if (end <= this.#handled) return [];
    const lines = text.slice(this.#handled, end - 1).split("\n");
    this.#handled = end;
    return lines.map((line) => JSON.parse(line));
  }
}

/** A client that follows the wire. */
class Client {
  readonly session = new FakeSession();
  readonly #feeds: readonly Feed[];
  readonly #readings: Reading[] = [];
  #acknowledged = 0;
  #lastRef = 0;

  constructor(parts: MessageParts, feeds: readonly Feed[]) {
    this.#feeds = feeds;
    const options = { ...parts, openConnections: new Set<WebTransportConnection>() };
    new WebTransportConnection({ accept: this.session.accept, client: ANYONE }, options);
    this.session.openControl();
  }

  /** Subscribes, or the opposite. */
  toggle(feed: Feed): void {
    feed.isWanted = !feed.isWanted;
    feed.stream = undefined;
    const ref = ++this.#lastRef;
    if (feed.isWanted) feed.ref = ref;
    const after = feed.isWanted ? { after: feed.cursor } : {};
    const op = feed.isWanted ? "subscribe" : "unsubscribe";
    this.session.send({ op, ref, ...feed.target, ...after });
  }

  /** Takes some bytes of one of the streams. */
  read(pick: number, bytes: number): void {
    const { streams } = this.session;
    while (this.#readings.length < streams.length) {
      const stream = streams[this.#readings.length];
      if (stream !== undefined) this.#readings.push(new Reading(stream));
    }
    const reading = this.#readings.at(-1 - pick % this.#readings.length);
    for (const message of reading?.take(bytes) ?? []) this.#handle(message, reading);
    this.#acknowledge();
  }

  readAll(): void {
    const count = this.session.streams.length;
    for (let i = 0; i < count; i++) this.read(i, Infinity);
  }

  #handle(message: Readonly<Record<string, unknown>>, reading: Reading | undefined): void {
    if (reading === undefined) return;
    if (message["op"] === "stream") {
      reading.number = Number(message["stream"]);
    } else if (message["op"] === "subscribed") {
      const feed = this.#feeds.find(({ ref }) => ref === message["ref"]);
      if (feed?.isWanted) feed.stream = reading.number;
    } else {
      const feed = this.#feeds.find(({ channels }) => channels.includes(`${message["channel"]}`));
      if (feed?.stream === reading.number) feed.take(message);
    }
  }

  /** Acknowledges each step. */
  #acknowledge(): void {
    const taken = this.#readings.reduce((sum, reading) => sum + reading.taken, 0);
    if (taken - this.#acknowledged < RECEIVED_STEP_BYTES) return;
    this.#acknowledged = taken;
    const streams = this.#readings
      .filter(({ number, taken }) => number > 0 && taken > 0)
      .slice(-256)
      .map(({ number, taken }) => [number, taken]);
    this.session.send({ op: "received", streams: Object.fromEntries(streams) });
  }
}

type Step =
  | { readonly kind: "publish"; readonly feed: number; readonly bytes: number }
  | { readonly kind: "toggle"; readonly feed: number }
  | { readonly kind: "read"; readonly stream: number; readonly bytes: number }
  | { readonly kind: "resubscribe"; readonly feed: number }
  | { readonly kind: "turn" }
  | { readonly kind: "settle" };

const index = fc.nat(1_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      feed: index,
      bytes: fc.oneof(fc.nat(500), fc.integer({ min: 20_000, max: 400_000 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("toggle" as const), feed: index }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      /** Counted from the last one. */
      stream: fc.oneof(fc.nat(3), index),
      bytes: fc.oneof(fc.nat(3_000), fc.nat(200_000)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resubscribe" as const), feed: index }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("settle" as const) }) },
);

/** Runs the steps with one client, then checks that it has received everything once. */
async function run(steps: readonly Step[], feeds: readonly Feed[]): Promise<void> {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const parts = messageParts({ log });
  const client = new Client(parts, feeds);
  const published = new Map<string, number>();
  const commits: Promise<unknown>[] = [];
  for (const step of steps) {
    if (step.kind === "turn") {
      await setImmediate();
    } else if (step.kind === "settle") {
      await Promise.all(commits.splice(0));
      for (let turn = 0; turn < 10; turn++) await setImmediate();
    } else if (step.kind === "read") {
      client.read(step.stream, step.bytes);
    } else {
      const feed = feeds[step.feed % feeds.length];
      assert.ok(feed);
      if (step.kind === "toggle") {
        client.toggle(feed);
      } else if (step.kind === "resubscribe") {
        if (feed.isWanted) client.toggle(feed);
        client.toggle(feed);
      } else {
        const channel = feed.channels[step.feed % feed.channels.length] ?? "";
        const number = (published.get(channel) ?? 0) + 1;
        published.set(channel, number);
        const data = JSON.stringify(`${number} ${"x".repeat(step.bytes)}`);
        commits.push(log.append([draft(channel, data)]));
      }
    }
  }
  await Promise.all(commits);
  for (const feed of feeds) if (!feed.isWanted) client.toggle(feed);
  await until("the client has all events", () => {
    client.readAll();
    return [...published].every(([channel, count]) =>
      feeds.some(({ received }) => received.get(channel)?.includes(count))
    );
  });
  for (const { received } of feeds) {
    for (const [channel, numbers] of received) {
      const count = published.get(channel) ?? 0;
      assert.deepEqual(numbers, Array.from({ length: count }, (_, i) => i + 1), channel);
    }
  }
  client.session.leave();
  parts.drainPoller.close();
  parts.unreadBudget[Symbol.dispose]();
  await parts.hub.close();
}

Deno.test("a client that follows the wire gets each event once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 150, size: "max" }),
      (steps) => run(steps, [new Feed(["a"]), new Feed(["b"]), new Feed(["c", "d", "e"])]),
    ),
    { numRuns: 15 },
  );
});

Deno.test("so does a client of more channels than there are event streams", async () => {
  const feeds = () => Array.from({ length: 40 }, (_, i) => new Feed([`channel ${i}`]));
  const subscribeAll = Array.from({ length: 40 }, (_, feed): Step => ({ kind: "toggle", feed }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 100, maxLength: 200, size: "max" }),
      (steps) => run([...subscribeAll, ...steps], feeds()),
    ),
    { numRuns: 6 },
  );
});
