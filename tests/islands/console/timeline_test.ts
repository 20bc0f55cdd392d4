import assert from "node:assert/strict";
import fc from "fast-check";
import type { WeirEvent } from "../../../lib/client/api.ts";
import { EventPages, PAGE_EVENTS } from "../../../islands/console/event_pages.ts";
import { MAX_NOTICES, offsetOf, Timeline } from "../../../islands/console/timeline.ts";
import { EARLIER_EPOCH, EPOCH, eventAt, sequencesOf } from "./support.ts";

Deno.test("a timeline has a row for every position and reads visible ones", () => {
  const timeline = new Timeline();
  timeline.addRange(EPOCH, 1, 1_000);
  timeline.setEvents([eventAt(999), eventAt(1_000)]);
  assert.equal(timeline.length, 1_000);
  assert.equal(timeline.at(0)?.kind, "unloaded");
  assert.equal(timeline.at(999)?.kind, "event");
  assert.deepEqual(timeline.unloaded(0, 40), {
    before: offsetOf({ epoch: EPOCH, sequence: PAGE_EVENTS + 1 }),
    limit: PAGE_EVENTS,
  });
  assert.equal(timeline.unloaded(998, 1_000), undefined);
});

Deno.test("append() extends a timeline and detects events that it has", () => {
  const timeline = new Timeline();
  timeline.addRange(EPOCH, 5, 7);
  assert.equal(timeline.append(eventAt(8)), true);
  assert.equal(timeline.append(eventAt(8)), false);
  assert.equal(timeline.append(eventAt(6)), false);
  assert.equal(timeline.append(eventAt(1, EARLIER_EPOCH)), true);
  assert.deepEqual(sequencesOf(timeline), ["unloaded", 6, "unloaded", 8, 1]);
});

Deno.test("fill() marks positions without an event as gone", () => {
  const timeline = new Timeline();
  timeline.addRange(EPOCH, 1, 10);
  const asked = { before: offsetOf({ epoch: EPOCH, sequence: 11 }), limit: 10 };
  const removed = timeline.fill(asked, { events: [eventAt(4), eventAt(6)], before: undefined });
  assert.equal(removed, 3);
  assert.deepEqual(sequencesOf(timeline), [4, "gone", 6, "gone", "gone", "gone", "gone"]);
  assert.equal(timeline.unloaded(0, 10), undefined);
});

Deno.test("a timeline drops only its oldest notices", () => {
  const timeline = new Timeline();
  const count = MAX_NOTICES + 3;
  for (let i = 1; i <= count; i++) {
    timeline.append(eventAt(i));
    timeline.addNotice({ kind: "connection", text: `after ${i}` });
  }
  assert.equal(timeline.length, count + MAX_NOTICES);
  assert.deepEqual(sequencesOf(timeline).slice(0, 6), [1, 2, 3, 4, "connection", 5]);
  const all = sequencesOf(timeline).filter((one) => typeof one === "number");
  assert.deepEqual(all, Array.from({ length: count }, (_, i) => i + 1));
});

Deno.test("a timeline has the same rows as a plain list", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append"), skip: fc.constantFrom(0, 0, 0, 1, 5) }),
    fc.record({ kind: fc.constant("note"), skip: fc.constant(0) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.nat(50), (steps, start) => {
    const timeline = new Timeline({ events: 20 });
    if (start > 0) timeline.addRange(EPOCH, 1, start);
    const keys = Array.from(
      { length: start },
      (_, i) => offsetOf({ epoch: EPOCH, sequence: i + 1 }),
    );
    let last = start;
    for (const { kind, skip } of steps) {
      if (kind === "note") {
        keys.push(timeline.addNotice({ kind: "connection", text: "x" }).key);
      } else {
        last += 1 + skip;
        timeline.append(eventAt(last));
        keys.push(offsetOf({ epoch: EPOCH, sequence: last }));
      }
    }
    assert.equal(timeline.length, keys.length);
    keys.forEach((key, index) => {
      assert.equal(timeline.at(index)?.key, key);
      assert.equal(timeline.indexOf(key), index);
    });
    assert.equal(timeline.at(keys.length), undefined);
    assert.equal(timeline.at(-1), undefined);
  }));
});

Deno.test("reading unloaded ranges repeatedly loads all events", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 450 }),
    fc.uniqueArray(fc.integer({ min: 1, max: 450 })),
    fc.integer({ min: 1, max: 450 }),
    (last, gone, first) => {
      const kept = Array.from({ length: last }, (_, i) => i + 1)
        .filter((sequence) => sequence >= first && !gone.includes(sequence));
      const timeline = new Timeline();
      timeline.addRange(EPOCH, 1, last);
      let reads = 0;
      for (;;) {
        const asked = timeline.unloaded(0, timeline.length);
        if (asked === undefined) break;
        assert.ok(++reads <= 10, "each read makes something known");
        const end = Number(asked.before.slice(10)) - 1;
        const start = Math.max(0, end - asked.limit);
        const events = kept.filter((sequence) => sequence > start && sequence <= end);
        const isComplete = start === 0 || kept.every((sequence) => sequence > start);
        timeline.fill(asked, {
          events: events.map((sequence) => eventAt(sequence)),
          before: isComplete ? undefined : offsetOf({ epoch: EPOCH, sequence: start + 1 }),
        });
      }
      const shown = sequencesOf(timeline);
      assert.deepEqual(shown.filter((one) => typeof one === "number"), kept);
      assert.ok(!shown.includes("unloaded"));
    },
  ));
});

Deno.test("event pages stay within their limits and keep recently used ones", () => {
  fc.assert(fc.property(fc.array(fc.nat(2_000), { maxLength: 400 }), (sequences) => {
    const pages = new EventPages({ events: 250 });
    for (const sequence of sequences) {
      pages.set({ epoch: EPOCH, sequence: sequence + 1 }, eventAt(sequence + 1));
      assert.ok(pages.size <= 250);
      assert.equal(pages.get({ epoch: EPOCH, sequence: sequence + 1 })?.kind, "event");
    }
  }));
});

Deno.test("large events reduce the number of pages", () => {
  const pages = new EventPages({ bytes: 1_000_000 });
  const large: WeirEvent = { ...eventAt(1), data: "x".repeat(200_000) };
  for (let i = 0; i < 50; i++) {
    pages.set({ epoch: EPOCH, sequence: 1 + i * PAGE_EVENTS }, { ...large });
  }
  assert.equal(pages.size, 2);
});
