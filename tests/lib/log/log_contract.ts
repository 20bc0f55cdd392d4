import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { newHead, type StoredHead } from "../../../lib/log/head.ts";
import type { Draft, Log } from "../../../lib/log/log.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import {
  formatOffset,
  NO_EPOCH,
  ORIGIN,
  parseOffset,
  type Position,
} from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { failingKv, overridingKv } from "../../support/failing_kv.ts";
import {
  dataOf,
  eventsOf,
  itemsOf,
  problem,
  readEvents,
  readRuns,
  Recorder,
  sequencesOf,
  upTo,
} from "../../support/log_reading.ts";
import { patientStore } from "../../support/patient_store.ts";
import { type IsolateOptions, KEEP_ALL, type LogStore } from "../../support/log_stores.ts";
import { FakeClock } from "../../support/clock.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";

const MiB = 1_048_576;
const TRACEPARENT = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
const A = testChannelKey("a");
const B = testChannelKey("b");

export interface ContractOptions {
  readonly ignore: boolean;
  /** Channels of one append that the store must refuse. */
  readonly tooManyChannels: number;
}

/** Tests everything that {@link Log} promises, over the stores that `open` creates. */
export function logContract(name: string, open: () => Promise<LogStore>, options: ContractOptions) {
  const { ignore } = options;

  function test(behaviour: string, body: (store: LogStore) => Promise<void>) {
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using store = await open();
      await body(store);
    });
  }

  function testLog(
    behaviour: string,
    body: (log: Log, clock: FakeClock, store: LogStore) => Promise<void>,
    options: IsolateOptions = {},
  ) {
    test(behaviour, async (store) => {
      const clock = new FakeClock();
      await body(await store.isolate({ now: clock.now, ...options }), clock, store);
    });
  }

  // --- append ---

  testLog("append() numbers the events of a channel 1, 2, 3 … without holes", async (log) => {
    const appended = await Promise.all(
      upTo(200).map((i) => log.append(i % 7 === 0 ? [draft("a", `${i}`)] : twice(i))),
    );
    const sequences = appended.flat().map(({ offset }) => parseOffset(offset).sequence);
    assert.deepEqual(sequences, upTo(sequences.length));
    const events = await readEvents(log, A);
    assert.deepEqual(sequencesOf(events), upTo(sequences.length));

    function twice(i: number): readonly Draft[] {
      return [draft("a", `${i}`), draft("a", `${i}+`)];
    }
  });

  testLog("append() keeps the order of its calls in each channel", async (log) => {
    await Promise.all(
      upTo(60).map((i) => {
        const drafts = i % 3 === 0
          ? [draft("a", `${i}`), draft("b", `${i}`)]
          : [draft(i % 3 === 1 ? "a" : "b", `${i}`)];
        return log.append(drafts);
      }),
    );
    const expect = (not: number) => upTo(60).filter((i) => i % 3 !== not).map(String);
    assert.deepEqual(dataOf(await readEvents(log, A)), expect(2));
    assert.deepEqual(dataOf(await readEvents(log, B)), expect(1));
  });

  test(
    "append() keeps the order of its calls when another isolate has moved one of their channels",
    async (store) => {
      const log = await store.isolate();
      const other = await store.isolate();
      for (let round = 0; round < 5; round++) {
        await log.append([draft("b", "known here")]);
        await other.append([draft("b", "unknown there")]);
        const appended = await Promise.all([
          log.append([draft("a", "first of all")]),
          log.append([draft("a", "before"), draft("b", "before")]),
          log.append([draft("a", "after")]),
          log.append([draft("a", "last"), draft("c", "last")]),
          log.append([draft("c", "very last")]),
        ]);
        const offsets = appended.map(([first]) => first?.offset ?? "");
        assert.deepEqual(offsets.slice(0, 4).toSorted(), offsets.slice(0, 4), `round ${round}`);
        const c = [appended[3]?.[1]?.offset ?? "", appended[4]?.[0]?.offset ?? ""];
        assert.deepEqual(c.toSorted(), c, `round ${round}`);
      }
    },
  );

  test("append() stores an event although other isolates commit first many times", async (store) => {
    using _patient = patientStore();
    const other = await store.isolate();
    let times = 100;
    const kv = failingKv(store.kv, () => undefined, async () => {
      if (times-- > 0) await other.append([draft("a", "theirs")]);
    });
    const log = await store.isolate({ kv, random: () => 0.001 });
    await log.append([draft("a", "mine")]);
    assert.equal(dataOf(await readEvents(other, A)).at(-1), "mine");
  });

  test("append() reads heads after its pauses: others commit meanwhile", async (store) => {
    using _patient = patientStore();
    const other = await store.isolate();
    let theirs: Promise<unknown> = Promise.resolve();
    const appendTheirs = () => theirs = other.append([draft("a", "theirs")]);
    let commits = 0;
    const gated = failingKv(store.kv, () => undefined, async () => {
      if (commits++ === 0) appendTheirs(); // the first conflict
      await theirs;
    });
    const kv = overridingKv(gated, {
      getMany: async (...args: Parameters<Deno.Kv["getMany"]>) => {
        await theirs;
        return await store.kv.getMany(...args);
      },
    });
    const random = () => {
      appendTheirs(); // called at the start of each pause
      return 0.001;
    };
    const log = await store.isolate({ kv, random });
    await log.append([draft("a", "mine")]);
    assert.deepEqual(dataOf(await readEvents(other, A)), ["theirs", "theirs", "mine"]);
    assert.equal(commits, 2);
  });

  for (const reads of [0, 1, 2, 3]) {
    test(`append() finds its commit that arrives after ${reads} reads of the check for it`, async (store) => {
      const other = await store.isolate();
      await other.append([draft("a", "1")]);
      let late: Promise<unknown> | undefined;
      let readsLeft = reads;
      const arrive = async () => {
        if (late === undefined && isLost && readsLeft-- <= 0) {
          late = send();
        }
        await late;
      };
      let isLost = false;
      let send = () => Promise.resolve();
      const kv = overridingKv(store.kv, {
        getMany: async (...args: Parameters<Deno.Kv["getMany"]>) => {
          await arrive();
          return await store.kv.getMany(...args);
        },
        async *list(...args: Parameters<Deno.Kv["list"]>) {
          await arrive();
          yield* store.kv.list(...args);
        },
        atomic: () => {
          const atomic = store.kv.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = () => {
            if (isLost) return commit();
            isLost = true;
            send = async () => void await commit();
            return Promise.reject(new Error("connection reset"));
          };
          return atomic;
        },
      });
      const log = await store.isolate({ kv, random: () => 0.001 });
      await log.append([draft("a", "2")]);
      assert.deepEqual(dataOf(await readEvents(other, A)), ["1", "2"]);
    });
  }

  testLog(
    "append() returns results in the order of the drafts, with the offset as the default id",
    async (log) => {
      const [b, a, c] = await log.append([
        draft("b", "1", { id: "mine" }),
        draft("a", "2"),
        draft("b", "3"),
      ]);
      assert.equal(b?.id, "mine");
      assert.equal(a?.id, a?.offset);
      assert.equal(parseOffset(b?.offset ?? "").sequence, 1);
      assert.equal(parseOffset(a?.offset ?? "").sequence, 1);
      assert.equal(parseOffset(c?.offset ?? "").sequence, 2);
      assert.ok([a, b, c].every((appended) => appended?.duplicate === false));
    },
  );

  testLog("append() of no drafts returns no results", async (log) => {
    assert.deepEqual(await log.append([]), []);
  });

  testLog("append() keeps all fields of an event", async (log, clock) => {
    await log.append([
      draft("a", "é\u2028\0\n😀", {
        id: "id 😀",
        type: "order.placed",
        contentType: "text/plain",
        key: "k",
        publisher: "ann 😀",
        traceparent: TRACEPARENT,
        ttlMs: 5_000,
      }),
      draft("a", new Uint8Array([0, 255, 1])),
    ]);
    const [first, second] = await readEvents(log, A);
    assert.deepEqual(first, {
      sequence: 1,
      id: "id 😀",
      type: "order.placed",
      time: clock.now(),
      contentType: "text/plain",
      data: "é\u2028\0\n😀",
      key: "k",
      publisher: "ann 😀",
      traceparent: TRACEPARENT,
      expiresAt: clock.now() + 5_000,
    });
    assert.deepEqual(second, {
      sequence: 2,
      id: undefined,
      type: "message",
      time: clock.now(),
      contentType: "application/octet-stream",
      data: new Uint8Array([0, 255, 1]),
      key: undefined,
      publisher: undefined,
      traceparent: undefined,
      expiresAt: undefined,
    });
  });

  testLog("append() stores all channels of a call or none", async (log) => {
    await log.append([draft("a", "1", { id: "x" })]);
    await assert.rejects(
      log.append([draft("b", "new"), draft("a", "other", { id: "x" }), draft("c", "new")]),
      problem("idempotency_conflict", 1),
    );
    assert.deepEqual(dataOf(await readEvents(log, A)), ["1"]);
    assert.equal(await log.head(B), undefined);
    await log.append([draft("b", "2"), draft("c", "3")]);
    assert.deepEqual(dataOf(await readEvents(log, B)), ["2"]);
    assert.deepEqual(dataOf(await readEvents(log, testChannelKey("c"))), ["3"]);
  });

  testLog("append() refuses more channels than the store commits at once", async (log) => {
    const channels = upTo(options.tooManyChannels).map((i) => `channel ${i}`);
    const drafts = channels.map((channel) => draft(channel, "1"));
    await assert.rejects(log.append(drafts), problem("too_many_channels"));
    assert.deepEqual(await log.channels(DEFAULT_TENANT, "", 1_000), []);
    const appended = await log.append(drafts.slice(1));
    assert.equal(appended.length, options.tooManyChannels - 1);
    assert.equal((await log.channels(DEFAULT_TENANT, "", 1_000)).length, drafts.length - 1);
  });

  // --- repeated ids ---

  testLog("append() returns the first offset for a repeated id", async (log) => {
    const [first] = await log.append([draft("a", "1", { id: "x", ttlMs: 1_000 })]);
    await log.append([draft("a", "2")]);
    const [again] = await log.append([draft("a", "1", { id: "x" })]);
    assert.deepEqual(again, { offset: first?.offset, id: "x", duplicate: true });
    const [elsewhere] = await log.append([draft("b", "1", { id: "x" })]);
    assert.equal(elsewhere?.duplicate, false);
    assert.deepEqual(dataOf(await readEvents(log, A)), ["1", "2"]);
  });

  test("append() knows the ids that another isolate stored", async (store) => {
    const [log, other] = [await store.isolate(), await store.isolate()];
    await other.append([draft("a", "0")]);
    const [first] = await log.append([draft("a", "1", { id: "x" })]);
    const [again] = await other.append([draft("a", "1", { id: "x" })]);
    assert.deepEqual(again, { offset: first?.offset, id: "x", duplicate: true });
  });

  for (
    const [what, rest] of [
      ["data", { data: "2" }],
      ["type", { type: "other" }],
      ["content type", { contentType: "text/plain" }],
      ["key", { key: "other" }],
      ["kind of data", { data: new Uint8Array([49]) }],
    ] as const
  ) {
    testLog(`append() refuses a repeated id with another ${what}`, async (log) => {
      const first = draft("a", "1", { id: "x" });
      await log.append([first]);
      const again = log.append([draft("b", "0"), { ...first, ...rest }]);
      await assert.rejects(again, problem("idempotency_conflict", 1));
      assert.equal((await log.head(A))?.last, 1);
    });
  }

  testLog("append() knows an id that is repeated within the call", async (log) => {
    const [first, , again] = await log.append([
      draft("a", "1", { id: "x" }),
      draft("a", "2", { id: "y" }),
      draft("a", "1", { id: "x" }),
    ]);
    assert.deepEqual(again, { offset: first?.offset, id: "x", duplicate: true });
    await assert.rejects(
      log.append([draft("a", "1", { id: "z" }), draft("a", "2", { id: "z" })]),
      problem("idempotency_conflict", 1),
    );
    assert.deepEqual(dataOf(await readEvents(log, A)), ["1", "2"]);
  });

  testLog("append() knows an id that is repeated within a group of calls", async (log) => {
    const answers = await Promise.allSettled([
      log.append([draft("a", "0")]), // its commit is under way while the others are gathered
      log.append([draft("a", "1", { id: "x" })]),
      log.append([draft("a", "1", { id: "x" })]),
      log.append([draft("a", "2", { id: "x" }), draft("b", "2")]),
      log.append([draft("a", "3")]),
    ]);
    const [, first, again, conflict, last] = answers;
    assert.ok(first?.status === "fulfilled" && again?.status === "fulfilled");
    assert.equal(again.value[0]?.offset, first.value[0]?.offset);
    assert.equal(again.value[0]?.duplicate, true);
    assert.ok(conflict?.status === "rejected");
    assert.ok(problem("idempotency_conflict", 0)(conflict.reason));
    assert.ok(last?.status === "fulfilled");
    assert.deepEqual(dataOf(await readEvents(log, A)), ["0", "1", "3"]);
    assert.equal(await log.head(B), undefined);
  });

  testLog("append() accepts an id again after retention has dropped its event", async (log) => {
    await log.configure(A, { events: 1 });
    await log.append([draft("a", "1", { id: "x" }), draft("a", "2")]);
    await log.retain();
    const [again] = await log.append([draft("a", "other", { id: "x" })]);
    assert.equal(again?.duplicate, false);
    const [third] = await log.append([draft("a", "other", { id: "x" })]);
    assert.deepEqual(third, { offset: again?.offset, id: "x", duplicate: true });
    await log.retain(); // deletes the first event, but not the id of the second
    const [fourth] = await log.append([draft("a", "other", { id: "x" })]);
    assert.deepEqual(fourth, { offset: again?.offset, id: "x", duplicate: true });
  });

  testLog("append() accepts an id again after the channel was deleted", async (log) => {
    await log.append([draft("a", "1", { id: "x" })]);
    await log.delete(A);
    const [again] = await log.append([draft("a", "other", { id: "x" })]);
    assert.equal(again?.duplicate, false);
    await log.retain();
    const [third] = await log.append([draft("a", "other", { id: "x" })]);
    assert.deepEqual(third, { offset: again?.offset, id: "x", duplicate: true });
  });

  testLog("append() compares a repeated large event with the stored one", async (log) => {
    const large = new Uint8Array(MiB).fill(7);
    const [first] = await log.append([draft("a", large, { id: "x" })]);
    const [again] = await log.append([draft("a", large.slice(), { id: "x" })]);
    assert.deepEqual(again, { offset: first?.offset, id: "x", duplicate: true });
    const other = large.with(MiB - 1, 8);
    await assert.rejects(
      log.append([draft("a", other, { id: "x" })]),
      problem("idempotency_conflict", 0),
    );
    assert.deepEqual(sequencesOf(await readEvents(log, A)), [1]);
  });

  // --- sizes ---

  for (
    const [what, data] of [
      ["text", `"${"x".repeat(MiB - 2)}"`],
      ["text of one byte above what a value holds", "x".repeat(65_537)],
      ["text that is not Latin-1", "😀".repeat(MiB / 4)],
      ["text of characters of three bytes", "€".repeat(349_525) + "x"],
      ["bytes", new Uint8Array(MiB).map((_, i) => i * 31)],
      ["text that is cut from wider text", `😀${"x".repeat(47_990)}`.slice(2)],
    ] as const
  ) {
    testLog(`append() stores large ${what} exactly`, async (log) => {
      await log.append([draft("a", "before"), draft("a", data), draft("a", "after")]);
      const events = await readEvents(log, A);
      assert.deepEqual(sequencesOf(events), [1, 2, 3]);
      assert.ok(equalData(events[1]?.data, data), "the data came back otherwise");
      assert.equal((await log.head(A))?.bytes, draft("a", data).bytes + 11);
    });
  }

  testLog("append() stores many events that are cut from wider text", async (log) => {
    const pieces = upTo(400).map((i) => `😀${"x".repeat(140)}${i}`.slice(2));
    await log.append(pieces.map((piece) => draft("a", piece)));
    assert.deepEqual(dataOf(await readEvents(log, A)), pieces);
  });

  testLog("append() stores a call that is larger than one commit of the store", async (log) => {
    const sizes = [3 * MiB / 4, 10, 300_000, 4_096, 4_097, 200_000, 65_536, 0];
    const data = sizes.map((size, i) => i % 2 === 0 ? "é".repeat(size / 2) : new Uint8Array(size));
    const drafts = data.map((value, i) => draft(i % 3 === 0 ? "b" : "a", value));
    await log.append(drafts);
    for (const channel of ["a", "b"]) {
      const expected = drafts.filter((d) => d.channelKey === testChannelKey(channel)).map((d) =>
        d.data
      );
      const events = await readEvents(log, testChannelKey(channel));
      assert.deepEqual(sequencesOf(events), upTo(expected.length));
      assert.ok(events.every(({ data }, i) => equalData(data, expected[i])));
    }
  });

  testLog("append() stores a hundred events with the longest names", async (log) => {
    const long = (i: number) => `${i} `.padEnd(252, "n") + "😀";
    const count = 9;
    const channels = upTo(count).map((i) => `${i} `.padEnd(252, "c") + "😀");
    for (const size of [2_390, 2_990, 4_080]) {
      const drafts = upTo(100).map((i) =>
        draft(channels[i % count] ?? "", `${i} `.padEnd(size, "y"), {
          id: long(i + size),
          type: long(1),
          key: long(i),
          publisher: "€".repeat(256),
          contentType: `text/${long(2)}`,
        })
      );
      const appended = await Promise.all([log.append(drafts), log.append(drafts)]);
      assert.ok(appended[1]?.every(({ duplicate }) => duplicate));
    }
    const head = await headOf(log, testChannelKey(channels[0] ?? ""));
    assert.equal(head.last, 3 * Math.floor(100 / count));
  });

  testLog("append() stores many small events with the longest names at once", async (log) => {
    const long = (i: number) => `${i} `.padEnd(252, "n") + "😀";
    const channel = "€".repeat(85);
    const drafts = upTo(800).map((i) =>
      draft(channel, "", {
        id: long(i),
        type: long(1),
        key: long(i),
        publisher: "€".repeat(256),
        contentType: long(2),
      })
    );
    await Promise.all(drafts.map((one) => log.append([one])));
    assert.deepEqual(
      (await readEvents(log, testChannelKey(channel))).map(({ id }) => id),
      upTo(800).map(long),
    );
  });

  // --- read ---

  testLog(
    "read() begins after any position, and returns about as many events as asked",
    async (log) => {
      for (const size of [1, 5, 2, 12, 30]) {
        await log.append(upTo(size).map((i) => draft("a", `${i}`)));
      }
      const { epoch } = await headOf(log);
      const places = [0, ...upTo(50)].flatMap((after) =>
        [1, 7, 100].map((limit) => [after, limit])
      );
      await Promise.all(places.map(async ([after = 0, limit = 0]) => {
        const { runs, head } = await log.read(A, { epoch, sequence: after }, limit);
        const expected = upTo(50).slice(after, after + limit);
        assert.deepEqual(sequencesOf(eventsOf(runs)), expected);
        assert.ok(runs.every((run) => run.gap === undefined && run.epoch === epoch));
        assert.equal(head?.last, 50);
      }));
    },
  );

  testLog("read() returns at least one event, and only a few large ones", async (log) => {
    const large = new Uint8Array(500_000);
    await log.append(upTo(4).map(() => draft("a", large)));
    const { runs } = await log.read(A, ORIGIN, 100);
    assert.deepEqual(sequencesOf(eventsOf(runs)), [1]);
    assert.deepEqual(sequencesOf(await readEvents(log, A)), upTo(4));
  });

  testLog("read() of a channel that does not exist returns no events and no head", async (log) => {
    assert.deepEqual(await log.read(A, ORIGIN, 10), { runs: [], head: undefined });
    assert.equal(await log.head(A), undefined);
  });

  testLog("read() from the origin begins with the first event, without a gap", async (log) => {
    await log.append([draft("a", "1")]);
    const { runs } = await log.read(A, ORIGIN, 10);
    assert.deepEqual(itemsOf(runs).map((item) => "event" in item && item.event.data), ["1"]);
    const elsewhere = await log.read(A, { epoch: NO_EPOCH, sequence: 9 }, 10);
    assert.deepEqual(sequencesOf(eventsOf(elsewhere.runs)), [1]);
    assert.equal(elsewhere.runs[0]?.gap, undefined);
  });

  testLog("read() returns a gap for events that retention has dropped", async (log) => {
    await log.configure(A, { events: 2 });
    await log.append(upTo(5).map((i) => draft("a", `${i}`)));
    await log.retain();
    const { epoch } = await headOf(log);
    for (const [sequence, lost] of [[0, 3], [1, 2], [2, 1]] as const) {
      const { runs } = await log.read(A, { epoch, sequence }, 10);
      assert.deepEqual(runs.map(({ gap, after }) => ({ gap, after })), [{
        gap: {
          reason: "expired",
          requested: formatOffset(epoch, sequence),
          firstAvailable: formatOffset(epoch, 4),
          lost,
        },
        after: 3,
      }]);
      assert.deepEqual(sequencesOf(eventsOf(runs)), [4, 5]);
    }
    const { runs } = await log.read(A, { epoch, sequence: 3 }, 10);
    assert.equal(runs[0]?.gap, undefined);
    const { runs: fromOrigin } = await log.read(A, ORIGIN, 10);
    assert.equal(fromOrigin[0]?.gap?.lost, 3);
  });

  testLog("read() returns one gap if all events were dropped", async (log, clock) => {
    await log.configure(A, { age: 1_000 });
    await log.append(upTo(3).map((i) => draft("a", `${i}`)));
    clock.advance(1_001);
    await log.retain();
    const { epoch } = await headOf(log);
    const { runs } = await log.read(A, { epoch, sequence: 1 }, 10);
    assert.deepEqual(itemsOf(runs), [{
      gap: {
        reason: "expired",
        requested: formatOffset(epoch, 1),
        firstAvailable: formatOffset(epoch, 4),
        lost: 2,
      },
    }]);
    assert.equal(runs[0]?.last, 3);
    assert.deepEqual((await log.read(A, { epoch, sequence: 3 }, 10)).runs, []);
    await log.append([draft("a", "4")]);
    assert.deepEqual(sequencesOf(await readEvents(log, A, { epoch, sequence: 3 })), [4]);
  });

  testLog("read() from a position ahead of the log returns a gap and starts over", async (log) => {
    await log.append([draft("a", "1"), draft("a", "2")]);
    const { epoch } = await headOf(log);
    const { runs } = await log.read(A, { epoch, sequence: 3 }, 10);
    assert.deepEqual(runs[0]?.gap, {
      reason: "ahead",
      requested: formatOffset(epoch, 3),
      firstAvailable: formatOffset(epoch, 1),
      lost: null,
    });
    assert.deepEqual(sequencesOf(eventsOf(runs)), [1, 2]);
  });

  testLog(
    "read() from an earlier epoch returns a gap and starts with the new epoch",
    async (log) => {
      await log.append([draft("a", "1"), draft("a", "2")]);
      const old = await headOf(log);
      await log.delete(A);
      await log.append([draft("a", "new")]);
      const { epoch } = await headOf(log);
      for (const sequence of [0, 1, 2, 9]) {
        const { runs } = await log.read(A, { epoch: old.epoch, sequence }, 10);
        assert.deepEqual(runs[0]?.gap, {
          reason: "recreated",
          requested: formatOffset(old.epoch, sequence),
          firstAvailable: formatOffset(epoch, 1),
          lost: null,
        });
        assert.deepEqual(dataOf(eventsOf(runs)), ["new"]);
      }
      assert.deepEqual(dataOf(eventsOf((await log.read(A, ORIGIN, 10)).runs)), ["new"]);
    },
  );

  testLog("bounds() of a deleted channel are between its events and the next ones", async (log) => {
    assert.deepEqual(await log.bounds(A), { start: ORIGIN, end: ORIGIN });
    await log.append([draft("a", "1"), draft("a", "2")]);
    const { epoch } = await headOf(log);
    assert.deepEqual(await log.bounds(A), {
      start: { epoch, sequence: 0 },
      end: { epoch, sequence: 2 },
    });
    await log.delete(A);
    const { start, end } = await log.bounds(A);
    assert.deepEqual(start, end);
    assert.ok(end.epoch > epoch);
    assert.deepEqual((await log.read(A, end, 10)).runs, []);
    await log.append([draft("a", "next")]);
    const { runs } = await log.read(A, end, 10);
    assert.deepEqual(dataOf(eventsOf(runs)), ["next"]);
    assert.deepEqual(runs.map(({ gap }) => gap), [undefined]);
  });

  testLog("read() of a deleted channel returns a gap and no head", async (log) => {
    await log.append([draft("a", "1")]);
    const { epoch } = await headOf(log);
    await log.delete(A);
    const { runs, head } = await log.read(A, { epoch, sequence: 1 }, 10);
    assert.equal(head, undefined);
    assert.equal(runs[0]?.gap?.reason, "recreated");
    assert.deepEqual(eventsOf(runs), []);
    assert.deepEqual((await log.read(A, ORIGIN, 10)).runs, []);
  });

  test("read() finds the events that another isolate has stored", async (store) => {
    const [writer, reader] = [await store.isolate(), await store.isolate()];
    for (const i of upTo(20)) {
      await writer.append([draft("a", `${i}`)]);
      const { runs, head } = await reader.read(A, ORIGIN, 100);
      assert.equal(eventsOf(runs).length, i);
      assert.equal(head?.last, i);
    }
  });

  // --- readBefore ---

  testLog(
    "readBefore() ends before any position, and returns as many events as asked",
    async (log) => {
      for (const size of [1, 5, 2, 12, 30]) {
        await log.append(upTo(size).map((i) => draft("a", `${i}`)));
      }
      const { epoch } = await headOf(log);
      const places = [undefined, 0, ...upTo(53)].flatMap((before) =>
        [1, 7, 100].map((limit) => [before, limit] as const)
      );
      await Promise.all(places.map(async ([before, limit]) => {
        const position = before === undefined ? undefined : { epoch, sequence: before };
        const { runs, start, end } = await log.readBefore(A, position, limit);
        const last = Math.max(0, Math.min(50, (before ?? Infinity) - 1));
        const after = Math.max(0, last - limit);
        assert.deepEqual(sequencesOf(eventsOf(runs)), upTo(last).slice(after));
        assert.deepEqual(end, { epoch, sequence: last });
        assert.deepEqual(start, after === 0 ? undefined : { epoch, sequence: after });
      }));
    },
  );

  testLog("readBefore() returns at least one event, and only a few large ones", async (log) => {
    await log.append(upTo(4).map(() => draft("a", new Uint8Array(500_000))));
    await log.append(upTo(30).map(() => draft("a", "x".repeat(20_000))));
    const sizes: number[] = [];
    const all: number[] = [];
    let before: Position | undefined;
    while (true) {
      const { runs, start } = await log.readBefore(A, before, 100);
      sizes.push(eventsOf(runs).length);
      all.unshift(...sequencesOf(eventsOf(runs)));
      if (start === undefined) break;
      before = { epoch: start.epoch, sequence: start.sequence + 1 };
    }
    assert.deepEqual(sizes, [13, 13, 4, 1, 1, 1, 1]);
    assert.deepEqual(all, upTo(34));
  });

  testLog("readBefore() returns nothing of other lives of a channel", async (log) => {
    const nothing = { runs: [], end: ORIGIN, start: undefined };
    assert.deepEqual(await log.readBefore(A, undefined, 10), nothing);
    await log.append([draft("a", "1"), draft("a", "2")]);
    const old = await headOf(log);
    await log.delete(A);
    assert.deepEqual((await log.readBefore(A, undefined, 10)).runs, []);
    await log.append([draft("a", "new")]);
    const { epoch } = await headOf(log);
    for (const sequence of [0, 1, 9]) {
      const { runs, start } = await log.readBefore(A, { epoch: old.epoch, sequence }, 10);
      assert.deepEqual([runs, start], [[], undefined]);
    }
    const { runs } = await log.readBefore(A, { epoch, sequence: 9 }, 10);
    assert.deepEqual(dataOf(eventsOf(runs)), ["new"]);
  });

  testLog(
    "readBefore() leaves out what has expired, and ends at what is kept",
    async (log, clock) => {
      await log.configure(A, { events: 3 });
      await log.append(upTo(6).map((i) => draft("a", `${i}`, i === 5 ? { ttlMs: 1_000 } : {})));
      await log.retain();
      clock.advance(1_000);
      const { epoch } = await headOf(log);
      const all = await log.readBefore(A, undefined, 10);
      assert.deepEqual(sequencesOf(eventsOf(all.runs)), [4, 6]);
      assert.deepEqual(all.start, undefined);
      const expired = await log.readBefore(A, { epoch, sequence: 6 }, 1);
      assert.deepEqual(eventsOf(expired.runs), []);
      assert.deepEqual(expired.start, { epoch, sequence: 4 });
      for (const sequence of [0, 1, 4]) {
        const { runs, start } = await log.readBefore(A, { epoch, sequence }, 10);
        assert.deepEqual([runs, start], [[], undefined]);
      }
    },
  );

  // --- time ---

  testLog("readers get a gap for an event that is past its time to live", async (log, clock) => {
    const ttl = 1_000;
    await log.append([
      draft("a", "1", { ttlMs: ttl }),
      draft("a", "2"),
      draft("a", "3", { ttlMs: ttl }),
      draft("a", "4", { ttlMs: ttl }),
      draft("a", "5", { ttlMs: 5_000 }),
      draft("a", "6", { ttlMs: ttl }),
    ]);
    const { epoch } = await headOf(log);
    clock.advance(ttl - 1);
    assert.equal(eventsOf((await log.read(A, ORIGIN, 10)).runs).length, 6);
    clock.advance(1);
    const gap = (requested: number, firstAvailable: number, lost: number) => ({
      reason: "expired",
      requested: formatOffset(epoch, requested),
      firstAvailable: formatOffset(epoch, firstAvailable),
      lost,
    });
    const { runs } = await log.read(A, { epoch, sequence: 0 }, 10);
    assert.deepEqual(
      itemsOf(runs).map((item) => "gap" in item ? item.gap : item.event.data),
      [gap(0, 2, 1), "2", gap(2, 5, 2), "5", gap(5, 7, 1)],
    );
    assert.equal(runs.at(-1)?.last, 6);
  });

  testLog("time never goes backwards in a channel, even if the clock does", async (log, clock) => {
    const start = clock.now();
    await log.append([draft("a", "1")]);
    clock.set(start - 60_000);
    await log.append([draft("a", "2")]);
    clock.set(start + 5);
    await log.append([draft("a", "3")]);
    clock.set(start + 3);
    await log.append([draft("a", "4")]);
    const events = await readEvents(log, A);
    assert.deepEqual(events.map(({ time }) => time - start), [0, 0, 5, 5]);
    assert.equal((await log.head(A))?.time, start + 5);
  });

  testLog("a clock that was once ahead does not prolong the time to live", async (log, clock) => {
    const start = clock.now();
    clock.set(start + 24 * 60 * 60 * 1_000);
    await log.append([draft("a", "from tomorrow")]);
    clock.set(start);
    await log.append([draft("a", "short", { ttlMs: 500 }), draft("a", "long", { ttlMs: 5_000 })]);
    clock.set(start + 499);
    const before = await readEvents(log, A);
    assert.deepEqual(before.map(({ data }) => data), ["from tomorrow", "short", "long"]);
    assert.deepEqual(before.map(({ expiresAt }) => expiresAt), [
      undefined,
      start + 500,
      start + 5_000,
    ]);
    clock.set(start + 500);
    const after = await readEvents(log, A);
    assert.deepEqual(after.map(({ data }) => data), ["from tomorrow", "long"]);
  });

  // --- delete, configure, channels ---

  testLog(
    "delete() ends an epoch, and the next epoch is later even if the clock goes backwards",
    async (log, clock) => {
      assert.equal(await log.delete(A), false);
      const epochs: string[] = [];
      for (const step of [0, 0, -3_600_000, 1, 0]) {
        clock.advance(step);
        await log.append([draft("a", "1")]);
        epochs.push((await headOf(log)).epoch);
        assert.equal(await log.delete(A), true);
        assert.equal(await log.head(A), undefined);
        assert.equal(await log.delete(A), false);
      }
      assert.deepEqual([...new Set(epochs)].toSorted(), epochs);
      await log.append([draft("a", "1")]);
      assert.equal((await log.head(A))?.last, 1);
    },
  );

  test("appends notice that another isolate has deleted the channel", async (store) => {
    const [log, other] = [await store.isolate(), await store.isolate()];
    await log.append([draft("a", "1"), draft("a", "2")]);
    const before = await headOf(log);
    await other.delete(A);
    const [appended] = await log.append([draft("a", "new")]);
    const { epoch, sequence } = parseOffset(appended?.offset ?? "");
    assert.equal(sequence, 1);
    assert.ok(epoch > before.epoch);
    assert.deepEqual(dataOf(await readEvents(other, A)), ["new"]);
  });

  testLog("configure() creates a channel and sets its retention", async (log, clock) => {
    const head = await log.configure(A, { events: 3 });
    assert.deepEqual(head, await log.head(A));
    assert.deepEqual(head, {
      epoch: head.epoch,
      first: 1,
      last: 0,
      time: clock.now(),
      bytes: 0,
      retention: { events: 3 },
    });
    await log.append([draft("a", "12345")]);
    const after = await log.configure(A, { age: 5 });
    assert.deepEqual(after, { ...head, last: 1, bytes: 5, retention: { age: 5 } });
    await log.append([draft("a", "6")]);
    assert.deepEqual((await log.head(A))?.retention, { age: 5 });
    await log.delete(A);
    assert.deepEqual((await log.configure(A, {})).retention, {});
  });

  testLog("channels() lists by name, page by page, without deleted channels", async (log) => {
    const names = ["a", "a\u0020", "aa", "a:1", "b", "é", "😀", "z", "B", "a/2"];
    for (const name of names) await log.append([draft(name, "1")]);
    await log.append([draft("gone", "1")]);
    await log.delete(testChannelKey("gone"));
    const utf8 = new TextEncoder();
    const sorted = names.toSorted((a, b) => compareBytes(utf8.encode(a), utf8.encode(b)));
    const all = await log.channels(DEFAULT_TENANT, "", 100);
    assert.deepEqual(all.map(({ channel }) => channel), sorted);
    assert.ok(all.every(({ last, bytes }) => last === 1 && bytes === 1));
    for (const limit of [1, 3]) {
      const paged: string[] = [];
      while (true) {
        const page = await log.channels(DEFAULT_TENANT, paged.at(-1) ?? "", limit);
        if (page.length === 0) break;
        assert.ok(page.length <= limit);
        paged.push(...page.map(({ channel }) => channel));
      }
      assert.deepEqual(paged, sorted);
    }
    assert.equal((await log.channels(DEFAULT_TENANT, "no such", 1))[0]?.channel, "z");
  });

  test("channels() and retain() read no rows of deleted channels", async (store) => {
    const listed: Deno.KvKey[] = [];
    const log = await store.isolate({ kv: listingKv(store.kv, (key) => listed.push(key)) });
    const names = upTo(40).map((i) => `c${i}`);
    await Promise.all(names.map((name) => log.append([draft(name, "1")])));
    await log.retain();
    await Promise.all(names.slice(2).map((name) => log.delete(testChannelKey(name))));
    await log.retain(); // sweeps what the deleted channels have left
    for (const list of [() => log.channels(DEFAULT_TENANT, "", 100), () => log.retain()]) {
      listed.length = 0;
      await list();
      const kept = names.slice(0, 2).map((name) => keys.head(testChannelKey(name)));
      assert.deepEqual(listed.toSorted(), kept.toSorted());
    }
  });

  for (const isKnown of [false, true]) {
    test(
      `a channel that was created and deleted since ${
        isKnown ? "it was found deleted" : "it was not found"
      } is not created with an earlier epoch`,
      async (store) => {
        const { now } = new FakeClock(); // stands still, so that epochs differ only by their order
        const other = await store.isolate({ now });
        const live = async () => {
          const [appended] = await other.append([draft("a", "deleted")]);
          await other.delete(A);
          return parseOffset(appended?.offset ?? "").epoch;
        };
        if (isKnown) await live();
        let last = "";
        const kv = failingKv(store.kv, () => undefined, async () => {
          if (last === "") last = await live(); // after the commit was planned
        });
        const log = await store.isolate({ kv, now });
        const [appended] = await log.append([draft("a", "kept")]);
        const { epoch, sequence } = parseOffset(appended?.offset ?? "");
        assert.equal(sequence, 1);
        assert.ok(epoch > last, `${epoch} is after ${last}`);
        await other.retain(); // deletes the events of the earlier lives
        assert.deepEqual(dataOf(await readEvents(other, A)), ["kept"]);
        const sweeps = await Array.fromAsync(store.kv.list({ prefix: keys.sweeps() }));
        assert.deepEqual(sweeps, []);
      },
    );
  }

  test("two isolates that create a channel at the same time create the same one", async (store) => {
    const { now } = new FakeClock();
    const other = await store.isolate({ now });
    const isDone = new Set<string>();
    const kv = failingKv(store.kv, () => undefined, async ({ set }) => {
      for (const [kind, , channel] of set) {
        if (kind !== "head" || isDone.has(String(channel))) continue;
        isDone.add(String(channel));
        if (channel === "a") await other.append([draft("a", "theirs")]);
        else await other.configure(B, { events: 5 });
      }
    });
    const log = await store.isolate({ kv, now });
    await log.append([draft("a", "mine")]);
    await log.append([draft("b", "mine")]);
    assert.deepEqual(dataOf(await readEvents(other, A)), ["theirs", "mine"]);
    assert.deepEqual(dataOf(await readEvents(other, B)), ["mine"]);
    assert.deepEqual((await headOf(other, B)).retention, { events: 5 });
  });

  testLog("channels of a store without rows of lives continue", async (log, clock, store) => {
    await log.append([draft("a", "1"), draft("b", "1"), draft("c", "1")]);
    const [a, b, c] = await Promise.all(["a", "b", "c"].map(async (name) => {
      const { value } = await store.kv.get<StoredHead>(keys.head(testChannelKey(name)));
      return value ?? assert.fail();
    })) as [StoredHead, StoredHead, StoredHead];
    // The earlier form of a deleted channel: its head says so.
    const next = { ...newHead(clock.now(), b.epoch), deleted: true };
    await store.kv.set(keys.head(B), next);
    for (const name of ["a", "b", "c"]) await store.kv.delete(keys.life(testChannelKey(name)));
    const old = await store.isolate({ now: clock.now });

    const names = async () =>
      (await old.channels(DEFAULT_TENANT, "", 9)).map(({ channel }) => channel);
    assert.deepEqual(await names(), ["a", "c"]);
    assert.equal(await old.head(B), undefined);
    assert.equal(await old.delete(B), false);
    const { runs } = await old.read(B, { epoch: b.epoch, sequence: 1 }, 10);
    assert.equal(runs[0]?.gap?.reason, "recreated");
    const [again] = await old.append([draft("b", "2")]);
    assert.equal(again?.offset, formatOffset(next.epoch, 1));

    assert.deepEqual((await old.append([draft("a", "2")]))[0]?.offset, formatOffset(a.epoch, 2));
    for (const channelKey of [B, testChannelKey("c")]) {
      assert.equal(await old.delete(channelKey), true);
      assert.equal(await old.delete(channelKey), false);
    }
    assert.deepEqual(await names(), ["a"]);
    const created = await old.append([draft("b", "3"), draft("c", "3")]);
    const epochs = created.map(({ offset }) => parseOffset(offset).epoch);
    assert.ok((epochs[0] ?? "") > next.epoch && (epochs[1] ?? "") > c.epoch);
  });

  // --- retention ---

  testLog("retain() keeps the newest events up to a count", async (log) => {
    await log.configure(A, { events: 3 });
    await log.append(upTo(3).map((i) => draft("a", `${i}`)));
    await log.retain();
    assert.equal((await headOf(log)).first, 1);
    await log.append(upTo(4).map((i) => draft("a", `${i}`)));
    await log.retain();
    const { first, last, bytes } = await headOf(log);
    assert.deepEqual({ first, last, bytes }, { first: 5, last: 7, bytes: 3 });
  });

  testLog("retain() keeps the newest events up to a size", async (log) => {
    await log.configure(A, { bytes: 100_010 });
    await log.append([
      draft("a", "x".repeat(10)),
      draft("a", "€".repeat(20_000)),
      draft("a", new Uint8Array(40_000)),
    ]);
    await log.retain();
    assert.equal((await headOf(log)).first, 1);
    await log.append([draft("a", "x".repeat(10))]);
    await log.retain();
    const { first, bytes } = await headOf(log);
    assert.deepEqual({ first, bytes }, { first: 2, bytes: 100_010 });
    await log.append([draft("a", "1")]);
    await log.retain();
    assert.deepEqual((await headOf(log)).bytes, 40_011);
    await log.append([draft("a", "x".repeat(100_011))]);
    await log.retain();
    const head = await headOf(log);
    assert.deepEqual({ first: head.first, last: head.last, bytes: head.bytes }, {
      first: 7,
      last: 6,
      bytes: 0,
    });
  });

  testLog("retain() keeps the newest events up to an age", async (log, clock) => {
    await log.configure(A, { age: 1_000 });
    for (const step of [0, 400, 400, 400]) {
      clock.advance(step);
      await log.append([draft("a", "1")]);
    }
    await log.retain();
    assert.equal((await headOf(log)).first, 2);
    clock.advance(200);
    await log.retain();
    assert.equal((await headOf(log)).first, 2, "exactly as old as the limit is kept");
    clock.advance(1);
    await log.retain();
    assert.equal((await headOf(log)).first, 3);
    clock.advance(10_000);
    await log.retain();
    const { first, last } = await headOf(log);
    assert.deepEqual({ first, last }, { first: 5, last: 4 });
    await log.append([draft("a", "5")]);
    await log.retain();
    assert.equal((await headOf(log)).first, 5);
    clock.advance(1_001);
    await log.retain();
    assert.equal((await headOf(log)).first, 6);
  });

  testLog("retain() uses the defaults for channels without retention of their own", async (log) => {
    await log.append(upTo(9).map((i) => draft("a", `${i}`)));
    await log.configure(B, { bytes: 1_000 });
    await log.append(upTo(9).map((i) => draft("b", `${i}`)));
    await log.configure(testChannelKey("c"), { events: 8 });
    await log.append(upTo(9).map((i) => draft("c", `${i}`)));
    await log.retain();
    assert.equal((await headOf(log)).first, 6);
    assert.equal((await log.head(B))?.first, 6);
    assert.equal((await log.head(testChannelKey("c")))?.first, 2);
  }, { retention: { ...KEEP_ALL, events: 4 } });

  test("retain() is done by one isolate at a time", async (store) => {
    const clock = new FakeClock();
    const log = await store.isolate({ now: clock.now });
    const other = await store.isolate({ now: clock.now });
    await log.configure(A, { events: 1 });
    await log.retain();
    await log.append([draft("a", "1"), draft("a", "2")]);
    await other.retain();
    assert.equal((await headOf(log)).first, 1);
    await log.close();
    await other.retain();
    assert.equal((await headOf(other)).first, 2, "a log that closes leaves the work to others");
    const third = await store.isolate({ now: clock.now });
    await third.append([draft("a", "3")]);
    await third.retain();
    assert.equal((await headOf(third)).first, 2, "it is the other's");
    clock.advance(60_000);
    await third.retain();
    assert.equal((await headOf(third)).first, 3, "an isolate that died loses it after a while");
  });

  test("retain() leaves the appends of all isolates dense", async (store) => {
    const [log, other] = [await store.isolate(), await store.isolate()];
    await log.configure(A, { events: 5 });
    const appended: string[] = [];
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all([
        ...upTo(8).map((i) => (i % 2 ? log : other).append([draft("a", `${round} ${i}`)])),
        log.retain().then(() => []),
      ]);
      appended.push(...answers.flat().map(({ offset }) => offset));
    }
    await log.retain();
    const sequences = appended.map((offset) => parseOffset(offset).sequence);
    assert.deepEqual(sequences.toSorted((a, b) => a - b), upTo(40));
    assert.deepEqual(sequencesOf(await readEvents(log, A)), [36, 37, 38, 39, 40]);
  });

  // --- listen ---

  testLog("listen() delivers this isolate's appends in order", async (log) => {
    const recorder = new Recorder();
    using _listening = log.listen(A, recorder);
    await Promise.all(
      upTo(50).map((i) => log.append([draft("a", `${i}`), draft("b", `${i}`)])),
    );
    const events = eventsOf(recorder.runs);
    assert.deepEqual(sequencesOf(events), upTo(50));
    assert.deepEqual(events, await readEvents(log, A));
    let after = 0;
    for (const run of recorder.runs) {
      assert.equal(run.after, after);
      assert.equal(run.channelKey, A);
      after = run.last;
    }
    assert.throws(() => log.listen(A, recorder));
  });

  testLog("listen() delivers no event for a repeated id", async (log) => {
    const recorder = new Recorder();
    using _listening = log.listen(A, recorder);
    await log.append([draft("a", "1", { id: "x" })]);
    await log.append([draft("a", "1", { id: "x" })]);
    await log.append([draft("a", "1", { id: "x" }), draft("a", "2")]);
    assert.deepEqual(sequencesOf(eventsOf(recorder.runs)), [1, 2]);
  });

  testLog("listen() delivers nothing after it is disposed", async (log) => {
    const recorder = new Recorder();
    log.listen(A, recorder)[Symbol.dispose]();
    await log.append([draft("a", "1")]);
    assert.deepEqual(recorder.runs, []);
    using _again = log.listen(A, recorder);
    await log.append([draft("a", "2")]);
    assert.deepEqual(sequencesOf(eventsOf(recorder.runs)), [2]);
  });

  test("listen() rings, or delivers, when another isolate changes the channel", async (store) => {
    const [log, other] = [await store.isolate(), await store.isolate()];
    const recorder = new Recorder();
    using _listening = log.listen(A, recorder);
    for (const drafts of [[draft("a", "1")], [draft("b", "0"), draft("a", "2")]]) {
      const { calls } = recorder;
      await other.append(drafts);
      await recorder.until(() => recorder.calls > calls);
    }
    const stored = await readEvents(log, A);
    for (const event of eventsOf(recorder.runs)) {
      assert.deepEqual(event, stored[event.sequence - 1]);
    }
    const delivered = recorder.runs.length;
    const works = [
      () => other.configure(A, { events: 1 }),
      () => other.retain(),
      () => other.delete(A),
    ];
    for (const work of works) {
      const { changes } = recorder;
      await work();
      await recorder.until(() => recorder.changes > changes);
    }
    assert.equal(recorder.runs.length, delivered);
  });

  test("listen() rings, or delivers, for many channels of another isolate", async (store) => {
    const [log, other] = [await store.isolate(), await store.isolate()];
    const recorders = upTo(30).map(() => new Recorder());
    using stack = new DisposableStack();
    for (const [i, recorder] of recorders.entries()) {
      stack.use(log.listen(testChannelKey(`c${i}`), recorder));
      // In between, so that listening starts while other channels already ring.
      await other.append([draft(`c${i}`, "1")]);
    }
    await Promise.all(recorders.map((recorder) => recorder.until(() => recorder.calls > 0)));
    const before = recorders.map(({ calls }) => calls);
    for (const i of recorders.keys()) await other.append([draft(`c${i}`, "2")]);
    await Promise.all(
      recorders.map((recorder, i) => recorder.until(() => recorder.calls > (before[i] ?? 0))),
    );
  });

  test("listen() rings for what a failed doorbell has missed", async (store) => {
    const log = await store.isolate({ doorbell: SILENT_DOORBELL, safetyPollMs: 20 });
    const other = await store.isolate({ doorbell: SILENT_DOORBELL });
    const recorder = new Recorder();
    using _listening = log.listen(A, recorder);
    for (const i of upTo(3)) {
      const { changes } = recorder;
      await other.append([draft("a", `${i}`)]);
      await recorder.until(() => recorder.changes > changes);
    }
  });

  // --- several isolates, and the end ---

  test("appends of several isolates lose and repeat no event", async (store) => {
    const logs = [await store.isolate(), await store.isolate()];
    const channels = ["a", "b", "c"];
    const sent = new Map<string, string>(); // channel and data → offset
    await Promise.all(logs.map(async (log, who) => {
      for (let round = 0; round < 6; round++) {
        await Promise.all(
          upTo(10).map(async (i) => {
            const to = i % 4 === 0 ? channels : [channels[i % 3] ?? "a"];
            const data = `${who} ${String(round * 10 + i).padStart(3, "0")}`;
            const appended = await log.append(to.map((channel) => draft(channel, data)));
            to.forEach((channel, at) => sent.set(`${channel} ${data}`, appended[at]?.offset ?? ""));
          }),
        );
      }
    }));
    const stored = new Map<string, string>();
    for (const channel of channels) {
      const runs = await readRuns(logs[0] as Log, testChannelKey(channel));
      const events = eventsOf(runs);
      assert.deepEqual(sequencesOf(events), upTo(events.length));
      for (const { data, sequence } of events) {
        const key = `${channel} ${data}`;
        assert.ok(!stored.has(key), `${key} is there twice`);
        stored.set(key, formatOffset(runs[0]?.epoch ?? NO_EPOCH, sequence));
      }
      for (const who of ["0 ", "1 "]) {
        const own = dataOf(events).filter((data) => String(data).startsWith(who));
        assert.deepEqual(own.toSorted(), own, `the order of isolate ${who}in ${channel}`);
      }
    }
    assert.deepEqual(stored, new Map([...sent].toSorted(byStored)));

    function byStored([a]: [string, string], [b]: [string, string]): number {
      const order = [...stored.keys()];
      return order.indexOf(a) - order.indexOf(b);
    }
  });

  testLog("close() finishes the appends under way and refuses new ones", async (log) => {
    const appends = upTo(30).map((i) => log.append([draft("a", `${i}`)]));
    const closing = log.close();
    await assert.rejects(log.append([draft("a", "late")]), problem("shutting_down"));
    await closing;
    const appended = await Promise.all(appends);
    assert.deepEqual(
      appended.map(([one]) => parseOffset(one?.offset ?? "").sequence),
      upTo(30),
    );
    await log.close();
  });
}

async function headOf(log: Log, of = A) {
  const head = await log.head(of);
  if (head === undefined) throw new Error("there is no head");
  return head;
}

function equalData(a: string | Uint8Array | undefined, b: string | Uint8Array | undefined) {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a !== undefined && b !== undefined && compareBytes(a, b) === 0;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? 0);
}

/** Returns `kv`, which calls `onRow` with the key of each row that it lists. */
function listingKv(kv: Deno.Kv, onRow: (key: Deno.KvKey) => void): Deno.Kv {
  return overridingKv(kv, {
    async *list(...args: Parameters<Deno.Kv["list"]>) {
      for await (const entry of kv.list(...args)) {
        onRow(entry.key);
        yield entry;
      }
    },
  });
}
