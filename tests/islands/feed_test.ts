import assert from "node:assert/strict";
import {
  eventItem,
  MAX_ITEMS,
  startFeed,
  withConnection,
  withEnd,
  withEvent,
  withExpiry,
  withGap,
  withGoodbye,
} from "../../islands/feed.ts";
import { parseChannel } from "../../lib/shared/channel.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { epochAt, formatOffset } from "../../lib/shared/offset.ts";

const EPOCH = epochAt(1);
const at = (sequence: number) => formatOffset(EPOCH, sequence);

Deno.test("a feed has the newest event first and no more than its limit", () => {
  let feed = startFeed(at(0), []);
  for (let i = 1; i <= MAX_ITEMS + 5; i++) feed = withEvent(feed, event(i), at(i));
  assert.equal(feed.items.length, MAX_ITEMS);
  assert.deepEqual(feed.items[0], eventItem(event(MAX_ITEMS + 5)));
  assert.equal(feed.received, MAX_ITEMS + 5);
  assert.equal(feed.cursor, at(MAX_ITEMS + 5));
});

Deno.test("a feed says how many events it did not hear, where they are missing", () => {
  const feed = withEvent(withEvent(startFeed(at(3), []), event(4), at(4)), event(7), at(7));
  const [newest, notice, oldest] = feed.items;
  assert.deepEqual([newest, oldest], [eventItem(event(7)), eventItem(event(4))]);
  assert.ok(notice?.kind === "unheard" && notice.text.startsWith("2 events of other types"));
});

Deno.test("a gap moves the cursor, so what it lost is not said twice", () => {
  const gap = { reason: "expired", requested: at(1), firstAvailable: at(9), lost: 7 } as const;
  const feed = withEvent(withGap(startFeed(at(1), []), gap, at(8)), event(9), at(9));
  assert.deepEqual(feed.items.map(({ kind }) => kind), ["event", "gap"]);
  assert.match(feed.items[1]?.kind === "gap" ? feed.items[1].text : "", /^Gap: 7 events are/);
});

Deno.test("a goodbye is a line and leaves the cursor", () => {
  const feed = withGoodbye(withConnection(startFeed(at(1), []), "open"), "stopping");
  assert.equal(feed.items.length, 1);
  assert.equal(feed.cursor, at(1));
  assert.equal(feed.connection, "open");
});

Deno.test("a session's end is a line before it comes, and then the feed's state", () => {
  const warned = withExpiry(withConnection(startFeed(at(1), []), "open"), 1_400);
  assert.deepEqual(warned.items.map(({ kind }) => kind), ["expiring"]);
  assert.match(warned.items[0]?.kind === "expiring" ? warned.items[0].text : "", /in 1 second\./);
  assert.deepEqual(withEnd(warned, "Over."), { ...warned, connection: "ended", ended: "Over." });
});

Deno.test("an event's data is shown as text, and cut where it is long", () => {
  assert.equal(eventItem({ ...event(1), data: { a: [1] } }).text, '{"a":[1]}');
  assert.equal(eventItem({ ...event(1), data: "plain" }).text, "plain");
  assert.equal(eventItem({ ...event(1), data: "x".repeat(5_000) }).text.length, 2_001);
});

function event(sequence: number): WireEvent {
  return {
    channel: parseChannel("a"),
    offset: at(sequence),
    id: at(sequence),
    type: "message",
    time: "2026-01-01T00:00:00.000Z",
    contentType: "application/json",
    data: sequence,
  };
}
