import assert from "node:assert/strict";
import { FilteredRows } from "../../../islands/console/filtered_rows.ts";
import { Timeline } from "../../../islands/console/timeline.ts";
import { EPOCH, eventAt, sequencesOf } from "./support.ts";

const typed = (sequence: number, type: string, data: unknown) =>
  eventAt(sequence, EPOCH, { type, data });

Deno.test("a filter matches types and texts in any case and keeps gaps", () => {
  const timeline = new Timeline();
  timeline.append(typed(1, "order.paid", { customer: "Ann" }));
  timeline.append(typed(2, "order.created", { customer: "Ann" }));
  timeline.addNotice({ kind: "connection", text: "The connection was lost." });
  timeline.append(typed(3, "order.paid", { customer: "Bob" }));
  const found = (type: string, text: string) =>
    sequencesOf(new FilteredRows(timeline, { type, text }));
  assert.deepEqual(found("PAID", ""), [1, "connection", 3]);
  assert.deepEqual(found("", "ann"), [1, 2, "connection"]);
  assert.deepEqual(found("paid", "bob"), ["connection", 3]);
  assert.deepEqual(found("", "0000000003"), ["connection", 3]); // of its id
});

Deno.test("new rows are filtered too and keep their place", () => {
  const timeline = new Timeline();
  const matches = new FilteredRows(timeline, { type: "", text: "a" });
  for (const [sequence, data] of [[1, "a"], [2, "b"], [3, "ab"]] as const) {
    const event = typed(sequence, "message", data);
    timeline.append(event);
    matches.push({ kind: "event", key: event.offset, event });
  }
  assert.deepEqual(sequencesOf(matches), [1, 3]);
  assert.equal(matches.indexOf(eventAt(3).offset), 1);
});

Deno.test("a filter searches back to the first event that is not in memory and continues from there", () => {
  const timeline = new Timeline();
  timeline.addRange(EPOCH, 1, 2_500);
  timeline.setEvents([typed(2_500, "message", "a"), typed(2_499, "message", "b")]);
  const matches = new FilteredRows(timeline, { type: "", text: "a" });
  assert.deepEqual([sequencesOf(matches), matches.unsearched], [[2_500], 2_498]);
  let reads = 0;
  for (let asked = matches.next(); asked !== undefined; asked = matches.next()) {
    const end = Number(asked.before.slice(10)) - 1;
    const start = Math.max(0, end - asked.limit);
    const events = Array.from(
      { length: end - start },
      (_, i) => typed(start + i + 1, "message", (start + i + 1) % 500 === 0 ? "a" : "b"),
    );
    timeline.fill(asked, {
      events,
      before: start === 0 ? undefined : eventAt(start + 1).offset,
    });
    matches.goBack();
    reads++;
  }
  assert.equal(reads, 3);
  assert.equal(matches.unsearched, 0);
  assert.deepEqual(sequencesOf(matches), [500, 1_000, 1_500, 2_000, 2_500]);
});
