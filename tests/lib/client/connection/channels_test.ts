import assert from "node:assert/strict";
import fc from "fast-check";
import { Channels, type WantedChannel } from "../../../../lib/client/connection/channels.ts";
import type { Feed, FeedListener } from "../../../../lib/client/core/link.ts";

const EPOCH = "0mwpu38co";
const offsetOf = (n: number) => `${EPOCH}_${String(n).padStart(16, "0")}`;

const SILENT: FeedListener = { started() {}, event() {}, gap() {}, ephemeral() {}, ended() {} };

interface TestReader {
  readonly from: number;
  readonly feed: Feed;
  readonly told: string[];
  isStarted: boolean;
  isClosed: boolean;
}

const step = fc.oneof(
  fc.record({ do: fc.constant("publish"), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ do: fc.constant("join"), behind: fc.nat() }),
  fc.record({ do: fc.constantFrom("pause", "resume", "close"), which: fc.nat() }),
  fc.record({ do: fc.constant("ask") }),
  fc.record({ do: fc.constant("answer") }),
  fc.record({ do: fc.constant("stop") }),
  fc.record({ do: fc.constant("deliver"), which: fc.nat(), count: fc.integer({ min: 1, max: 7 }) }),
);

/** A transport that reads one channel from its own position and may overlap with others. */
interface Reading {
  at: number;
  revision: number;
}

Deno.test("each reader receives each event once and in order, however transports overlap", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const channels = new Channels(() => {});
      const readers: TestReader[] = [];
      let readings: Reading[] = [];
      let asked: WantedChannel | undefined;
      let last = 0;
      for (const one of steps) {
        if (one.do === "publish") last += one.count;
        else if (one.do === "join") readers.push(join(channels, one.behind % (last + 1)));
        else if (one.do === "ask") [asked] = channels.wanted();
        else if (one.do === "answer") {
          const [wanted] = channels.wanted();
          if (asked === undefined || asked.revision !== wanted?.revision) continue;
          const at = Number(asked.after.slice(10));
          readings = [...readings.slice(-1), { at, revision: asked.revision }];
          channels.started("a", asked.after, asked.after);
          asked = undefined;
        } else if (one.do === "deliver") {
          // A transport begins again if its revision is no longer wanted.
          const [wanted] = channels.wanted();
          readings = readings.filter(({ revision }) => revision === wanted?.revision);
          const reading = readings[one.which % readings.length];
          for (let i = 0; reading !== undefined && i < one.count && reading.at < last; i++) {
            reading.at++;
            try {
              channels.event({ channel: "a", offset: offsetOf(reading.at), data: reading.at }, 1);
            } catch {
              // A reader joined behind it by an overlapping transport, so this one ends.
              readings = readings.filter((other) => other !== reading);
              if (readings.length === 0) stop(channels, readers);
              break;
            }
          }
        } else if (one.do === "stop") {
          readings = [];
          stop(channels, readers);
        } else change(readers[one.which % readers.length], one.do);
      }
      for (const { from, told } of readers) {
        assert.deepEqual(told, told.map((_, i) => offsetOf(from + i + 1)));
      }
      // With one working transport every reader reaches the end.
      for (const reader of readers) if (!reader.isClosed) change(reader, "resume");
      const [wanted] = channels.wanted();
      if (wanted === undefined) return;
      channels.started("a", wanted.after, wanted.after);
      for (let at = Number(wanted.after.slice(10)) + 1; at <= last; at++) {
        channels.event({ channel: "a", offset: offsetOf(at), data: at }, 1);
      }
      for (const { from, told, isClosed } of readers) {
        if (!isClosed) assert.equal(told.length, last - from);
      }
    }),
    { numRuns: 1_000 },
  );
});

function join(channels: Channels, from: number): TestReader {
  const told: string[] = [];
  const reader = { from, told, isStarted: false, isClosed: false };
  const feed = channels.add("a", offsetOf(from), {
    started: (cursor) => {
      assert.equal(cursor, offsetOf(from + told.length));
      assert.equal(reader.isStarted, false, "once for each connection");
      reader.isStarted = true;
    },
    event: ({ offset }) => {
      assert.equal(reader.isStarted, true, "after started()");
      told.push(offset);
    },
    gap: () => assert.fail(),
    ephemeral: () => assert.fail(),
    ended: () => assert.fail(),
  });
  return Object.assign(reader, { feed });
}

/** Ends the last transport. `started()` is called again when another one reads. */
function stop(channels: Channels, readers: readonly TestReader[]): void {
  channels.stopped();
  for (const reader of readers) reader.isStarted = false;
}

function change(reader: TestReader | undefined, what: string): void {
  if (reader === undefined) return;
  if (what === "pause") reader.feed.pause();
  if (what === "resume") reader.feed.resume();
  if (what === "close") {
    reader.feed.close();
    reader.isClosed = true;
  }
}

Deno.test("after a reconnect, each reader learns where its reading begins again", () => {
  const channels = new Channels(() => {});
  const readers = [join(channels, 1), join(channels, 2)];
  channels.started("a", offsetOf(1), offsetOf(1));
  channels.event({ channel: "a", offset: offsetOf(2), data: 0 }, 1);
  channels.event({ channel: "a", offset: offsetOf(3), data: 0 }, 1);
  stop(channels, readers);
  channels.started("a", offsetOf(3), offsetOf(3)); // join() checks the cursors
  assert.deepEqual(readers.map(({ isStarted, told }) => [isStarted, told.length]), [
    [true, 2],
    [true, 1],
  ]);
});

Deno.test("missing events without a gap are a bad answer", () => {
  const channels = new Channels(() => {});
  join(channels, 3);
  channels.started("a", offsetOf(3), offsetOf(3));
  channels.event({ channel: "a", offset: offsetOf(4), data: 0 }, 1);
  const missing = { name: "WeirError", code: "bad_answer" };
  assert.throws(() => channels.event({ channel: "a", offset: offsetOf(6), data: 0 }, 1), missing);
  const other = `zzzzzzzzz_${offsetOf(1).slice(10)}`;
  assert.throws(() => channels.event({ channel: "a", offset: other, data: 0 }, 1), missing);
  assert.throws(() => channels.event({ channel: "a", offset: "7", data: 0 }, 1), missing);
  assert.throws(() => channels.gap({ channel: "a", firstAvailable: "7" }), missing);
});

Deno.test("readers before a gap receive it, each with the number of events it lost", () => {
  const channels = new Channels(() => {});
  const gaps: unknown[][] = [];
  for (const at of [2, 5, 9]) {
    const told: unknown[] = [];
    gaps.push(told);
    channels.add("a", offsetOf(at), {
      started() {},
      event: ({ offset }) => void told.push(offset),
      gap: ({ requested, firstAvailable, lost }) =>
        void told.push([requested, firstAvailable, lost]),
      ephemeral() {},
      ended() {},
    });
  }
  channels.started("a", offsetOf(2), offsetOf(2));
  const gap = { channel: "a", reason: "expired", requested: offsetOf(2), lost: 5 };
  channels.gap({ ...gap, firstAvailable: offsetOf(8) });
  for (const n of [8, 9, 10]) channels.event({ channel: "a", offset: offsetOf(n), data: n }, 1);
  const rest = [8, 9, 10].map(offsetOf);
  assert.deepEqual(gaps, [
    [[offsetOf(2), offsetOf(8), 5], ...rest],
    [[offsetOf(5), offsetOf(8), 2], ...rest],
    [offsetOf(10)],
  ]);
});

Deno.test("a reader does not join a channel whose last reader paused during a frame", () => {
  let changes = 0;
  const channels = new Channels(() => changes++);
  const slow = join(channels, 1);
  channels.started("a", offsetOf(1), offsetOf(1));
  slow.feed.pause();
  channels.event({ channel: "a", offset: offsetOf(2), data: 0 }, 1);
  assert.deepEqual([channels.wanted(), changes], [[], 2]);
  const later = join(channels, 3);
  assert.deepEqual([channels.wanted()[0]?.after, changes], [offsetOf(3), 3]);
  channels.started("a", offsetOf(3), offsetOf(3));
  channels.event({ channel: "a", offset: offsetOf(4), data: 0 }, 1);
  assert.deepEqual([slow.told, later.told], [[], [offsetOf(4)]]);
});

Deno.test("when a reader leaves, reading begins again where the others are", () => {
  const channels = new Channels(() => {});
  const live = join(channels, 100);
  channels.started("a", offsetOf(100), offsetOf(100));
  const slow = join(channels, 3);
  const [replay] = channels.wanted();
  assert.equal(replay?.after, offsetOf(3));
  channels.started("a", offsetOf(3), offsetOf(3));
  channels.event({ channel: "a", offset: offsetOf(4), data: 0 }, 1);
  slow.feed.pause();
  const [restarted] = channels.wanted();
  assert.notEqual(restarted?.revision, replay?.revision);
  assert.equal(restarted?.after, offsetOf(100));
  // A reader that joins before the answer is not treated as already covered.
  const between = join(channels, 50);
  const [both] = channels.wanted();
  assert.notEqual(both?.revision, restarted?.revision);
  assert.equal(both?.after, offsetOf(50));
  channels.started("a", offsetOf(50), offsetOf(50));
  for (let n = 51; n <= 101; n++) channels.event({ channel: "a", offset: offsetOf(n), data: 0 }, 1);
  assert.deepEqual([slow.told, live.told], [[offsetOf(4)], [offsetOf(101)]]);
  assert.equal(between.told.length, 51);
});

Deno.test("a reader that paused before the answer is wanted again when it resumes", () => {
  let changes = 0;
  const channels = new Channels(() => changes++);
  const feed = channels.add("a", offsetOf(3), SILENT);
  feed.pause();
  channels.started("a", offsetOf(3), offsetOf(3));
  assert.deepEqual(channels.wanted(), []);
  const before = changes;
  feed.resume();
  assert.equal(changes, before + 1);
  assert.equal(channels.wanted().length, 1);
});
