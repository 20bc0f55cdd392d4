import assert from "node:assert/strict";
import fc from "fast-check";
import { takeGroup } from "../../../lib/log/append_group.ts";
import type { PendingAppend } from "../../../lib/log/pending_append.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { pendingAppend } from "../../support/pending_appends.ts";

const NONE: ReadonlySet<ChannelKey> = new Set();

/** Creates appends with one event in each of these channels, such as "a" and "a b". */
function appends(...channels: readonly string[]): PendingAppend[] {
  return channels.map((names) =>
    pendingAppend(...names.split(" ").map((name) => draft(name, "1")))
  );
}

function namesOf(group: readonly PendingAppend[]): readonly string[] {
  return group.map(({ drafts }) => drafts.map(({ channelKey }) => channelKey.slice(8)).join(" "));
}

function take(queue: PendingAppend[], busy: readonly string[] = [], maxChecks = 100) {
  const taken = takeGroup(queue, new Set(busy.map(testChannelKey)), maxChecks);
  return { group: namesOf(taken.group), queue: namesOf(taken.queue) };
}

Deno.test("takeGroup() takes all appends that fit, in order", () => {
  assert.deepEqual(take(appends("a", "b", "a b", "a")), {
    group: ["a", "b", "a b", "a"],
    queue: [],
  });
  assert.deepEqual(take([]), { group: [], queue: [] });
});

Deno.test("takeGroup() leaves the appends of busy channels, and takes the others", () => {
  assert.deepEqual(take(appends("a", "b", "a", "c"), ["a"]), {
    group: ["b", "c"],
    queue: ["a", "a"],
  });
});

Deno.test("takeGroup() keeps the order of a channel that shares an append with a busy one", () => {
  assert.deepEqual(take(appends("b", "a b", "b", "b c", "c", "d"), ["a"]), {
    group: ["b", "d"],
    queue: ["a b", "b", "b c", "c"],
  });
});

Deno.test("takeGroup() leaves the queue as it is if all channels are busy", () => {
  const queue = appends("a", "a b");
  assert.equal(takeGroup(queue, new Set([testChannelKey("a")]), 10).queue, queue);
});

Deno.test("takeGroup() takes one check for each channel and each checked row", () => {
  assert.deepEqual(take(appends("a", "b", "a", "c d", "e"), [], 3), {
    group: ["a", "b", "a"],
    queue: ["c d", "e"],
  });
  const rows = {
    checks: [{ key: ["row"], versionstamp: "1" }],
    absent: [],
    keyBytes: 1,
    valueBytes: 1,
    write() {},
  };
  const [a, withRow, b] = [...appends("a"), pendingAppend({ ...draft("a", "1"), rows })];
  assert.ok(a !== undefined && withRow !== undefined && b === undefined);
  assert.deepEqual(takeGroup([a, withRow], NONE, 1).group, [a]);
  assert.deepEqual(takeGroup([a, withRow], NONE, 2).group, [a, withRow]);
});

Deno.test("takeGroup() stops before the append whose data does not fit", () => {
  const half = () =>
    pendingAppend(...Array.from({ length: 7 }, () => draft("a", "x".repeat(40_000))));
  const [first, second, third] = [half(), half(), half()];
  const small = pendingAppend(draft("b", "1"));
  const { group, queue } = takeGroup([first, second, third, small], NONE, 100);
  assert.deepEqual(group, [first, second]);
  assert.deepEqual(queue, [third, small], "no append overtakes one that could have been taken");
});

Deno.test("takeGroup() stops before the append whose keys do not fit", () => {
  const long = (n: number) => pendingAppend(draft("a", "1", { id: `${n} `.padEnd(256, "i") }));
  const queue = Array.from({ length: 300 }, (_, n) => long(n));
  const { group, queue: rest } = takeGroup(queue, NONE, 100);
  assert.ok(group.length > 100 && group.length < 300, `${group.length} appends`);
  assert.deepEqual([...group, ...rest], queue);
});

Deno.test("takeGroup() gives an append with early chunks a commit of its own", () => {
  const huge = () => pendingAppend(draft("a", new Uint8Array(800_000)));
  const [first, second] = [huge(), huge()];
  const [small] = appends("b");
  assert.ok(small !== undefined && first.stored.early !== undefined);
  assert.deepEqual(takeGroup([first, small], NONE, 100), { group: [first], queue: [small] });
  assert.deepEqual(takeGroup([small, first], NONE, 100), { group: [small], queue: [first] });
  assert.deepEqual(takeGroup([first, second], NONE, 100), { group: [first], queue: [second] });
});

Deno.test("takeGroup() loses no append, and keeps the order of each channel", () => {
  const name = fc.constantFrom(..."abcdef");
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).map((each) => each.join(" "));
  fc.assert(
    fc.property(
      fc.array(names, { maxLength: 30 }),
      fc.uniqueArray(name, { maxLength: 3 }),
      fc.integer({ min: 3, max: 6 }),
      (channels, busy, maxChecks) => {
        const queue = appends(...channels);
        const busyKeys = new Set(busy.map(testChannelKey));
        const { group, queue: rest } = takeGroup(queue, busyKeys, maxChecks);
        assert.deepEqual(new Set([...group, ...rest]), new Set(queue));
        assert.equal(group.length + rest.length, queue.length);
        assert.ok(new Set(group.flatMap(({ channelKeys }) => channelKeys)).size <= maxChecks);
        for (const { channelKeys } of group) {
          assert.ok(channelKeys.every((channelKey) => !busyKeys.has(channelKey)));
        }
        for (const channel of "abcdef") {
          const isOf = ({ channelKeys }: PendingAppend) =>
            channelKeys.includes(testChannelKey(channel));
          assert.deepEqual([...group.filter(isOf), ...rest.filter(isOf)], queue.filter(isOf));
        }
      },
    ),
  );
});
