import assert from "node:assert/strict";
import {
  isKept,
  isWithinLimits,
  neededMark,
  retentionOf,
} from "../../../lib/log/retention_limits.ts";
import { inboxChannel, parseChannel, presenceChannel } from "../../../lib/shared/channel.ts";

const NOW = 1_000_000;
const DEFAULTS = { age: 1_000, events: 10, bytes: 100 };
const NO_LIMITS = { age: Infinity, events: Infinity, bytes: Infinity };

/** A log that is exactly within {@link DEFAULTS}: events 6 to 15, with 10 bytes each. */
const FULL = {
  first: 6,
  last: 15,
  time: NOW,
  oldest: NOW - 1_000,
  startBytes: 50,
  endBytes: 150,
};

Deno.test("isWithinLimits() is exact in each limit", () => {
  assert.ok(isWithinLimits(FULL, DEFAULTS, NOW));
  assert.ok(!isWithinLimits({ ...FULL, first: 5 }, DEFAULTS, NOW));
  assert.ok(!isWithinLimits({ ...FULL, oldest: NOW - 1_001 }, DEFAULTS, NOW));
  assert.ok(!isWithinLimits({ ...FULL, startBytes: 49 }, DEFAULTS, NOW));
  assert.ok(!isWithinLimits(FULL, DEFAULTS, NOW + 1));
  assert.ok(isWithinLimits({ ...FULL, first: 1, oldest: 0, startBytes: 0 }, NO_LIMITS, NOW));
});

Deno.test("isKept() is exact in each limit", () => {
  const event = { sequence: 6, time: NOW - 1_000, startBytes: 50 };
  assert.ok(isKept(event, FULL, DEFAULTS, NOW));
  assert.ok(!isKept({ ...event, sequence: 5 }, FULL, DEFAULTS, NOW));
  assert.ok(!isKept({ ...event, time: NOW - 1_001 }, FULL, DEFAULTS, NOW));
  assert.ok(!isKept({ ...event, startBytes: 49 }, FULL, DEFAULTS, NOW));
  assert.ok(isKept({ sequence: 1, time: 0, startBytes: 0 }, FULL, NO_LIMITS, NOW));
});

Deno.test("isKept() keeps no event if the limit is 0", () => {
  const last = { sequence: 15, time: NOW, startBytes: 140 };
  assert.ok(!isKept(last, FULL, { ...NO_LIMITS, events: 0 }, NOW));
  assert.ok(!isKept(last, FULL, { ...NO_LIMITS, bytes: 0 }, NOW));
});

Deno.test("retentionOf() uses the defaults where the channel has no limit of its own", () => {
  const channel = parseChannel("a");
  assert.deepEqual(retentionOf(channel, {}, DEFAULTS), DEFAULTS);
  assert.deepEqual(retentionOf(channel, { events: 5 }, DEFAULTS), { ...DEFAULTS, events: 5 });
});

Deno.test("retentionOf() keeps an hour of presence, unless the channel has its own limits", () => {
  const channel = presenceChannel(parseChannel("a"));
  const { age, events, bytes } = retentionOf(channel, {}, DEFAULTS);
  assert.deepEqual([age, events, bytes], [3_600_000, 10_000, 100]);
  assert.equal(retentionOf(channel, { age: 5 }, DEFAULTS).age, 5);
});

Deno.test("retentionOf() keeps a minute of signals, and at most 4,096 and 16 MiB of them", () => {
  const inbox = inboxChannel({ channel: parseChannel("a"), member: "ann", session: "s" });
  const kept = { age: 60_000, events: 4_096, bytes: 16 * 1024 ** 2 };
  assert.deepEqual(retentionOf(inbox, {}, DEFAULTS), kept);
  assert.deepEqual(retentionOf(inbox, {}, NO_LIMITS), kept);
});

/** The limits of events whose times are a day ahead of the clock. */
const AHEAD = { ...FULL, time: NOW + 86_400_000, oldest: NOW + 86_400_000 };

Deno.test("events whose times are ahead of the clock are as old as their mark says", () => {
  const event = { sequence: 10, time: AHEAD.time, startBytes: 90 };
  assert.ok(isKept(event, AHEAD, DEFAULTS, NOW), "without a mark nothing is known");
  const mark = { last: 10, time: NOW - 1_001 };
  assert.ok(!isWithinLimits({ ...AHEAD, mark }, DEFAULTS, NOW));
  assert.ok(!isKept(event, { ...AHEAD, mark }, DEFAULTS, NOW));
  assert.ok(isKept({ ...event, sequence: 11 }, { ...AHEAD, mark }, DEFAULTS, NOW));
  assert.ok(isKept(event, { ...AHEAD, mark: { ...mark, time: NOW - 1_000 } }, DEFAULTS, NOW));
  assert.ok(isWithinLimits({ ...AHEAD, first: 11, last: 15, mark }, DEFAULTS, NOW));
  // A mark of a clock that was behind says nothing about times that are right.
  const event2 = { ...event, time: NOW };
  assert.ok(isKept(event2, { ...FULL, mark }, DEFAULTS, NOW));
});

Deno.test("a log needs a mark while its times are ahead, and another once that is too old", () => {
  assert.equal(neededMark(FULL, DEFAULTS, NOW), undefined);
  assert.equal(neededMark({ ...FULL, time: NOW + 299_000 }, DEFAULTS, NOW), undefined);
  assert.deepEqual(neededMark(AHEAD, DEFAULTS, NOW), { last: 15, time: NOW });
  const mark = { last: 10, time: NOW - 1_000 };
  assert.equal(neededMark({ ...AHEAD, mark }, DEFAULTS, NOW), undefined);
  assert.deepEqual(neededMark({ ...AHEAD, mark }, DEFAULTS, NOW + 1), { last: 15, time: NOW + 1 });
});
