import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { AppendedEvent, Draft, Log, Retention } from "../../../lib/log/log.ts";
import { type ChannelKey, DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import type { Gap, LogEvent } from "../../../lib/shared/event.ts";
import {
  type Epoch,
  formatOffset,
  NO_EPOCH,
  ORIGIN,
  parseOffset,
  type Position,
} from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { eventsOf, type Item, itemsOf, readRuns } from "../../support/log_reading.ts";
import { KEEP_ALL, type LogStore, STORES } from "../../support/log_stores.ts";
import { FakeClock } from "../../support/clock.ts";

const CHANNELS = ["a", "b", "c"] as const;
type Name = typeof CHANNELS[number];

interface ModelEvent {
  readonly data: string;
  readonly id: string | undefined;
  readonly time: number;
  readonly expiresAt: number | undefined;
  readonly bytes: number;
}

/** One epoch of a channel as plain arrays: event `i` has the sequence `i + 1`. */
interface ModelChannel {
  /** The epoch of the log's first offset; undefined until then. */
  epoch: Epoch | undefined;
  events: ModelEvent[];
  first: number;
  retention: Partial<Retention>;
}

type Operation =
  | { readonly op: "append"; readonly isolate: number; readonly calls: readonly Call[] }
  | { readonly op: "read"; readonly channel: Name; readonly from: number; readonly limit: number }
  | { readonly op: "configure"; readonly channel: Name; readonly retention: Partial<Retention> }
  | { readonly op: "retain" }
  | { readonly op: "delete"; readonly isolate: number; readonly channel: Name }
  | { readonly op: "pass"; readonly milliseconds: number };

/** One call of `append`. */
type Call = readonly {
  readonly channel: Name;
  readonly id: number | undefined;
  readonly data: number;
  readonly ttl: number | undefined;
}[];

const channel = fc.constantFrom(...CHANNELS);
const isolate = fc.nat(1);
const nil = undefined;
const plain = { noNullPrototype: true };

/** Few ids and data, so that they repeat; few sizes, one of which needs chunks. */
const call: fc.Arbitrary<Call> = fc.array(
  fc.record({
    channel,
    id: fc.option(fc.nat(4), { nil, freq: 2 }),
    data: fc.oneof({ weight: 9, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.constant(3) }),
    ttl: fc.option(fc.constantFrom(100, 1_000), { nil, freq: 6 }),
  }, plain),
  { minLength: 1, maxLength: 4 },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("append" as const),
      isolate,
      calls: fc.array(call, { minLength: 1, maxLength: 5 }),
    }, plain),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("read" as const),
      channel,
      from: fc.nat(30),
      limit: fc.constantFrom(1, 2, 5, 1_000),
    }, plain),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("configure" as const),
      channel,
      retention: fc.record({
        age: fc.constantFrom(0, 100, 1_000),
        events: fc.nat(6),
        bytes: fc.constantFrom(0, 1, 20, 60_000),
      }, { ...plain, requiredKeys: [] }),
    }, plain),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("retain" as const) }, plain) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("delete" as const), isolate, channel }, plain),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("pass" as const),
      milliseconds: fc.constantFrom(1, 50, 99, 100, 101, 900, 1_000, 5_000, -1, -500),
    }, plain),
  },
);

function dataOf(number: number): string {
  return number === 3 ? "€".repeat(25_000) : `"${"x".repeat(number * 5)}"`;
}

/** Applies the operations to the log and to plain arrays, and compares both after each. */
class Model {
  readonly #run: string;
  readonly #logs: readonly Log[];
  readonly #clock: FakeClock;
  readonly #models = new Map<Name, ModelChannel>();
  /** The time of each channel's last event, or of its creation. The next event is not earlier. */
  readonly #times = new Map<Name, number>();
  /** Positions that a reader may have kept, of this epoch and of earlier ones. */
  readonly #kept = new Map<Name, Position[]>(CHANNELS.map((name) => [name, [ORIGIN]]));

  /** @param run is part of the channels' names, so that runs do not share channels. */
  constructor(logs: readonly Log[], clock: FakeClock, run: string) {
    this.#run = run;
    this.#logs = logs;
    this.#clock = clock;
  }

  async apply(operation: Operation): Promise<void> {
    switch (operation.op) {
      case "append":
        return await this.#append(this.#log(operation.isolate), operation.calls);
      case "read":
        return await this.#read(operation.channel, operation.from, operation.limit);
      case "configure":
        await this.#log(1).configure(this.#channelKey(operation.channel), operation.retention);
        this.#modelOf(operation.channel).retention = operation.retention;
        if (!this.#times.has(operation.channel)) {
          this.#times.set(operation.channel, this.#clock.now());
        }
        return;
      case "retain":
        await this.#log(0).retain();
        for (const model of this.#models.values()) this.#retain(model);
        return;
      case "delete": {
        const { channel } = operation;
        const isThere = await this.#log(operation.isolate).delete(this.#channelKey(channel));
        assert.equal(isThere, this.#models.delete(channel));
        if (isThere) this.#times.set(channel, this.#clock.now());
        return;
      }
      case "pass":
        this.#clock.advance(operation.milliseconds);
    }
  }

  /** Checks that each channel reads as its array from each position. */
  async check(): Promise<void> {
    for (const channel of CHANNELS) {
      for (const from of [0, 1, 4, 9]) await this.#read(channel, from, 1_000);
      const model = this.#models.get(channel);
      const head = await this.#log(0).head(this.#channelKey(channel));
      assert.equal(head === undefined, model === undefined);
      if (head === undefined || model === undefined) continue;
      assert.deepEqual(
        { first: head.first, last: head.last, bytes: head.bytes, retention: head.retention },
        {
          first: model.first,
          last: model.events.length,
          bytes: sumBytes(model.events.slice(model.first - 1)),
          retention: model.retention,
        },
      );
    }
    const channels = await this.#log(1).channels(DEFAULT_TENANT, "", 10);
    assert.deepEqual(
      channels.map(({ channel }) => channel),
      [...this.#models.keys()].toSorted().map((channel) => channel + this.#run),
    );
  }

  #channelKey(name: Name): ChannelKey {
    return testChannelKey(name + this.#run);
  }

  #log(isolate: number): Log {
    return this.#logs[isolate] ?? assert.fail();
  }

  #modelOf(name: Name): ModelChannel {
    const model = this.#models.get(name) ??
      { epoch: undefined, events: [], first: 1, retention: {} };
    this.#models.set(name, model);
    return model;
  }

  /** Appends all calls at once: they are committed in groups, and in order. */
  async #append(log: Log, calls: readonly Call[]): Promise<void> {
    const answers = await Promise.allSettled(
      calls.map((call) =>
        log.append(
          call.map(({ channel, id, data, ttl }): Draft =>
            draft(channel + this.#run, dataOf(data), {
              id: id === undefined ? undefined : `id ${id}`,
              ttlMs: ttl,
            })
          ),
        )
      ),
    );
    for (const [i, call] of calls.entries()) this.#appendOne(call, answers[i] ?? assert.fail());
  }

  #appendOne(call: Call, answer: PromiseSettledResult<readonly AppendedEvent[]>): void {
    const conflict = this.#conflictOf(call);
    if (answer.status === "rejected") {
      if (!(answer.reason instanceof Problem)) throw answer.reason;
      assert.equal(answer.reason.code, "idempotency_conflict", answer.reason.message);
      assert.equal(answer.reason.index, conflict);
      return;
    }
    assert.equal(conflict, -1, "a conflict was stored");
    for (const [i, { channel, id, data, ttl }] of call.entries()) {
      const appended: AppendedEvent = answer.value[i] ?? assert.fail();
      const model = this.#modelOf(channel);
      const repeated = this.#indexOf(model, id);
      if (repeated === -1) {
        const now = this.#clock.now();
        const time = Math.max(now, this.#times.get(channel) ?? 0);
        this.#times.set(channel, time);
        model.events.push({
          data: dataOf(data),
          id: id === undefined ? undefined : `id ${id}`,
          time,
          expiresAt: ttl === undefined ? undefined : now + ttl,
          bytes: new TextEncoder().encode(dataOf(data)).length,
        });
      }
      const { epoch, sequence } = parseOffset(appended.offset);
      model.epoch ??= epoch;
      assert.equal(epoch, model.epoch);
      assert.equal(sequence, (repeated === -1 ? model.events.length - 1 : repeated) + 1);
      assert.equal(appended.duplicate, repeated !== -1);
      assert.equal(appended.id, id === undefined ? appended.offset : `id ${id}`);
      this.#kept.get(channel)?.push({ epoch, sequence }, { epoch, sequence: sequence + 3 });
    }
  }

  /** Returns the index of the call's first event whose id has different data; -1 if there is none. */
  #conflictOf(call: Call): number {
    const inCall = new Map<string, number>();
    return call.findIndex(({ channel, id, data }) => {
      if (id === undefined) return false;
      const model = this.#models.get(channel);
      const stored = model === undefined ? undefined : model.events[this.#indexOf(model, id)]?.data;
      const key = `${channel} ${id}`;
      const earlier = inCall.get(key);
      inCall.set(key, earlier ?? data);
      const known = stored ?? (earlier === undefined ? undefined : dataOf(earlier));
      return known !== undefined && known !== dataOf(data);
    });
  }

  /** Returns the index of the kept event with this id; -1 if there is none. */
  #indexOf(model: ModelChannel, id: number | undefined): number {
    if (id === undefined) return -1;
    return model.events.findIndex((event, i) => i >= model.first - 1 && event.id === `id ${id}`);
  }

  #retain(model: ModelChannel): void {
    const { age, events, bytes } = { ...KEEP_ALL, ...model.retention };
    const isKept = (sequence: number) => {
      const kept = model.events.slice(sequence - 1);
      return kept.length <= events && sumBytes(kept) <= bytes &&
        (kept[0]?.time ?? Infinity) >= this.#clock.now() - age;
    };
    while (model.first <= model.events.length && !isKept(model.first)) model.first++;
  }

  /** Checks that the pages back from a position are the kept events before it, in order. */
  async #readBack(channel: Name, from: number, limit: number): Promise<void> {
    const kept = this.#kept.get(channel) ?? [];
    const position = kept[from % kept.length];
    const model = this.#models.get(channel);
    const found: LogEvent[] = [];
    for (let before = position === ORIGIN ? undefined : position;;) {
      const log = this.#log(from % 2);
      const { runs, start } = await log.readBefore(this.#channelKey(channel), before, limit);
      found.unshift(...eventsOf(runs));
      if (start === undefined) break;
      const next = { epoch: start.epoch, sequence: start.sequence + 1 };
      assert.ok(before === undefined || next.sequence < before.sequence);
      before = next;
    }
    const isThere = model !== undefined && (position === ORIGIN || position?.epoch === model.epoch);
    const end = position === undefined || position === ORIGIN ? Infinity : position.sequence;
    const expected = !isThere ? [] : model.events
      .map((event, i) => ({ sequence: i + 1, ...pick(event) }))
      .filter(({ sequence, expiresAt }) =>
        sequence >= model.first && sequence < end && (expiresAt ?? Infinity) > this.#clock.now()
      );
    assert.deepEqual(
      found.map((event) => ({ sequence: event.sequence, ...pick(event) })),
      expected,
    );
  }

  async #read(channel: Name, from: number, limit: number): Promise<void> {
    await this.#readBack(channel, from, limit);
    const kept = this.#kept.get(channel) ?? [];
    const after = kept[from % kept.length] ?? ORIGIN;
    const log = this.#log(from % 2);
    const runs = await readRuns(log, this.#channelKey(channel), after, limit);
    const model = this.#models.get(channel);
    if (model === undefined) {
      assert.deepEqual(runs.flatMap(({ events }) => events), []);
      return;
    }
    for (const run of runs) model.epoch ??= run.epoch;
    const epoch = model.epoch ?? NO_EPOCH;
    assert.deepEqual(joinGaps(itemsOf(runs)), this.#expected(model, epoch, after));
    let at = after;
    for (const run of runs) {
      assert.ok(run.gap !== undefined || (run.epoch === at.epoch || at.epoch === NO_EPOCH));
      assert.ok(run.gap !== undefined || run.after === at.sequence, "a hole that no gap says");
      at = { epoch: run.epoch, sequence: run.last };
    }
    if (runs.length > 0) assert.equal(at.sequence, model.events.length);
  }

  #expected(model: ModelChannel, epoch: Epoch, after: Position): readonly ReadItem[] {
    const items: ReadItem[] = [];
    const sequence = after.epoch === NO_EPOCH ? 0 : after.sequence;
    const requested = formatOffset(after.epoch, after.sequence);
    let at = sequence;
    let gap:
      | { reason: Gap["reason"]; requested: Gap["requested"]; lost: number | null }
      | undefined;
    if (after.epoch !== epoch && after.epoch !== NO_EPOCH) {
      gap = { reason: "recreated", requested, lost: null };
    } else if (sequence > model.events.length) {
      gap = { reason: "ahead", requested, lost: null };
    } else if (sequence < model.first - 1) {
      gap = { reason: "expired", requested, lost: model.first - 1 - sequence };
    }
    if (gap !== undefined) at = model.first - 1;
    const flush = () => {
      if (gap === undefined) return;
      const { reason, requested, lost } = gap;
      items.push({ reason, requested, firstAvailable: formatOffset(epoch, at + 1), lost });
      gap = undefined;
    };
    for (; at < model.events.length; at++) {
      const event = model.events[at] ?? assert.fail();
      if ((event.expiresAt ?? Infinity) <= this.#clock.now()) {
        gap ??= { reason: "expired", requested: formatOffset(epoch, at), lost: 0 };
        if (gap.lost !== null) gap.lost++;
        continue;
      }
      flush();
      items.push({ sequence: at + 1, ...pick(event) });
    }
    flush();
    return items;
  }
}

function pick({ data, id, time, expiresAt }: {
  readonly data: string | Uint8Array;
  readonly id: string | undefined;
  readonly time: number;
  readonly expiresAt: number | undefined;
}) {
  return { data, id, time, expiresAt };
}

type ReadItem = Gap | (ReturnType<typeof pick> & { readonly sequence: number });

/** Joins gaps that follow each other: a page may end within one, by its count or by its bytes. */
function joinGaps(items: readonly Item[]): readonly ReadItem[] {
  const joined: ReadItem[] = [];
  let last: Gap | undefined;
  for (const item of items) {
    if ("event" in item) {
      joined.push({ sequence: item.event.sequence, ...pick(item.event) });
      last = undefined;
      continue;
    }
    const { gap } = item;
    if (last !== undefined) {
      assert.deepEqual([gap.reason, gap.requested], ["expired", before(last.firstAvailable)]);
      joined.pop();
    }
    last = last === undefined ? gap : {
      ...last,
      firstAvailable: gap.firstAvailable,
      lost: last.lost === null || gap.lost === null ? null : last.lost + gap.lost,
    };
    joined.push(last);
  }
  return joined;
}

function before(offset: string): string {
  const { epoch, sequence } = parseOffset(offset);
  return formatOffset(epoch, sequence - 1);
}

function sumBytes(events: readonly ModelEvent[]): number {
  return events.reduce((sum, { bytes }) => sum + bytes, 0);
}

for (const { name, ignore, open } of STORES) {
  Deno.test(`the log does what an array does, for any operations (${name})`, {
    ignore,
  }, async () => {
    await using store = await open();
    let run = 0;
    const clock = new FakeClock();
    const logs = [await store.isolate(optionsOf()), await store.isolate(optionsOf())];
    const [maxLength, numRuns] = name === "memory"
      ? [40, 150]
      : name === "file"
      ? [30, 20]
      : [20, 8];
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength }), async (operations) => {
        await clear(store, logs);
        clock.advance(1_000_000);
        const model = new Model(logs, clock, ` ${run++}`);
        for (const operation of operations) await model.apply(operation);
        await model.check();
      }),
      { numRuns, endOnFailure: name === "denokv" },
    );

    function optionsOf() {
      return { now: clock.now, random: () => 0.01 };
    }
  });
}

async function clear(store: LogStore, logs: readonly Log[]): Promise<void> {
  const [log] = logs;
  if (log === undefined) return;
  for (const { channel } of await log.channels(DEFAULT_TENANT, "", 100)) {
    await log.delete(testChannelKey(channel));
  }
  await log.retain();
  for (const prefix of ["log", "seen", "chunk", "sweep", "orphan"]) {
    for await (const { key } of store.kv.list({ prefix: [prefix] })) {
      assert.fail(`${JSON.stringify(key)} was left behind`);
    }
  }
}
