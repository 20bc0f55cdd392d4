import assert from "node:assert/strict";
import fc from "fast-check";
import {
  appendLines,
  countUnread,
  eventLine,
  firstUnread,
  gapLine,
  type RoomLine,
  trimLines,
} from "../../../islands/chat/lines.ts";
import { rowsOf } from "../../../islands/chat/rows.ts";
import type { WeirEvent } from "../../../lib/client/api.ts";

const me = { member: "abc" };

Deno.test("a visitor's messages are recognized by the browser's id, or by name when signed in", () => {
  const mine = eventLine(event(1, { name: "Ann", text: "Hi" }, { id: "abc-1" }), me);
  const others = eventLine(event(2, { name: "Ann", text: "Hi" }, { id: "xyz-1" }), me);
  assert.ok(mine.kind === "message" && mine.isMine);
  assert.ok(others.kind === "message" && !others.isMine);
  const signedIn = eventLine(event(1, { name: "ann", text: "Hi" }), { ...me, subject: "ann" });
  assert.ok(signedIn.kind === "message" && signedIn.isMine);
});

Deno.test("a message that was sent late shows when it was written", () => {
  const written = (at: string) => {
    const line = eventLine(event(100, { name: "Ann", text: "Hi", at }), me);
    return line.kind === "message" ? line.writtenAt : undefined;
  };
  assert.equal(written(timeOf(30)), timeOf(30));
  assert.equal(written(timeOf(99.5)), undefined);
  assert.equal(written(timeOf(130)), undefined); // by a clock that is ahead
});

Deno.test("consecutive other events of one type form one line", () => {
  const other = (n: number, type: string) => eventLine(event(n, { a: 1 }, { type }), me);
  const lines = appendLines([], [other(1, "a"), other(2, "a"), other(3, "b"), message(4)]);
  assert.deepEqual(
    lines.map((line) => line.kind === "other" ? [line.type, line.count] : line.kind),
    [["a", 2], ["b", 1], "message"],
  );
  assert.deepEqual(appendLines(lines, [other(5, "b"), other(6, "b")]).length, 4);
  // The type alone doesn't make a message.
  assert.equal(eventLine(event(1, "text", { type: "chat.message" }), me).kind, "other");
});

Deno.test("gapLine() says what is missing", () => {
  const gap = { kind: "gap", channel: "chat:x", requested: at(1), firstAvailable: at(5) } as const;
  const text = (reason: "expired" | "recreated" | "ahead", lost: number | null) =>
    gapLine({ ...gap, reason, lost }).text;
  assert.match(text("expired", 3), /^3 messages here are no longer stored/);
  assert.match(text("expired", 1), /^One message here is no longer stored/);
  assert.match(text("expired", null), /^Some messages here are no longer stored/);
  assert.match(text("recreated", null), /deleted and created again/);
  assert.match(text("ahead", null), /earlier state/);
});

Deno.test("unread messages are those of others after the offset, and the first is marked", () => {
  fc.assert(fc.property(
    fc.array(fc.boolean(), { maxLength: 30 }),
    fc.nat(30),
    (areMine, readTo) => {
      const lines = areMine.map((isMine, i) => message(i + 1, isMine));
      const expected = lines.filter(({ isMine }, i) => !isMine && i + 1 > readTo);
      assert.equal(countUnread(lines, at(readTo)), expected.length);
      assert.equal(firstUnread(lines, at(readTo)), expected[0]);
    },
  ));
});

Deno.test("a long room keeps its newest lines", () => {
  const lines = Array.from({ length: 1_001 }, (_, i) => message(i + 1));
  assert.equal(trimLines(lines.slice(1)).length, 1_000);
  const kept = trimLines(lines);
  assert.equal(kept.length, 600);
  assert.equal(kept.at(-1), lines.at(-1));
});

Deno.test("messages of one person form a group until a pause, a new day or the mark", () => {
  const ann = (minute: number) => ({ ...message(60 * minute), name: "Ann" });
  const bob = { ...message(60 * 3), name: "Bob" };
  const first = ann(1);
  const marked = ann(11);
  const lines: readonly RoomLine[] = [first, ann(2), bob, ann(4), ann(10), marked, ann(24 * 60)];
  const rows = rowsOf(lines, marked, (time) => time.slice(0, 10));
  assert.deepEqual(rows.map(({ isFirst }) => isFirst), [true, false, true, true, true, true, true]);
  assert.deepEqual(rows.map(({ isNewDay }) => isNewDay).indexOf(true, 1), 6);
  assert.equal(rows.findIndex(({ isNew }) => isNew), 5);
});

function message(n: number, isMine = false) {
  return {
    kind: "message",
    offset: at(n),
    id: `m${n}`,
    time: timeOf(n),
    name: "Ann",
    text: String(n),
    isMine,
  } as const;
}

/** Makes the `n`th event, stored in the second `n` of a day. */
function event(n: number, data: unknown, options: { id?: string; type?: string } = {}): WeirEvent {
  const { id = `e${n}`, type = "chat.message" } = options;
  const time = timeOf(n);
  const contentType = "application/json";
  return { kind: "event", channel: "chat:x", offset: at(n), id, type, time, contentType, data };
}

function at(sequence: number): string {
  return `0mwpu38co_${String(sequence).padStart(16, "0")}`;
}

function timeOf(second: number): string {
  return new Date(Date.UTC(2026, 10, 21) + 1_000 * second).toISOString();
}
