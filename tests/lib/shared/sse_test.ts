import assert from "node:assert/strict";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import * as fc from "fast-check";
import { parseEventType } from "../../../lib/shared/event.ts";
import { SSE_HEARTBEAT, sseEvent, sseNotice, sseOpening } from "../../../lib/shared/sse.ts";

const CURSOR = "0mwptawfq_0000000000000007";

/** Parses `stream` as a client does. */
function parse(stream: string) {
  const events: EventSourceMessage[] = [];
  const comments: string[] = [];
  const retries: number[] = [];
  const errors: unknown[] = [];
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onComment: (comment) => comments.push(comment),
    onRetry: (retry) => retries.push(retry),
    onError: (error) => errors.push(error),
  });
  parser.feed(stream);
  return { events, comments, retries, errors };
}

const fields = fc.constantFrom(
  ...[
    "data: x",
    "id: 1",
    "event: y",
    "retry: 1",
    ":",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\0",
    "\ufeff",
  ],
);
const data = fc.array(fc.oneof(fields, fc.string({ unit: "binary" }))).map((all) => all.join(""));
const type = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((text) => {
  try {
    return parseEventType(text) === text;
  } catch {
    return false;
  }
});
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/);

const normalized = (text: string) => text.replace(/\r\n|\r/g, "\n");

Deno.test("sseEvent() formats exactly one event from any data", () => {
  fc.assert(
    fc.property(id, fc.option(type, { nil: undefined }), data, (id, type, data) => {
      const { events, comments, retries, errors } = parse(sseEvent(id, type, data));
      assert.deepEqual(events.map((event) => ({ ...event })), [
        { id, event: type, data: normalized(data) },
      ]);
      assert.deepEqual([comments, retries, errors], [[], [], []]);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("events are parsed separately, wherever the stream is split into chunks", () => {
  fc.assert(
    fc.property(fc.array(data, { maxLength: 4 }), fc.nat(), (all, cut) => {
      const frames = all.map((data, i) => sseEvent(`${i}`, undefined, data) + SSE_HEARTBEAT);
      const stream = sseOpening(500, CURSOR) + frames.join("");
      const events: EventSourceMessage[] = [];
      const parser = createParser({ onEvent: (event) => events.push(event) });
      const at = cut % (stream.length + 1);
      parser.feed(stream.slice(0, at));
      parser.feed(stream.slice(at));
      assert.equal(events.shift()?.event, "weir.open");
      assert.deepEqual(events.map(({ data }) => data), all.map(normalized));
      assert.deepEqual(events.map(({ id }) => id), all.map((_, i) => `${i}`));
    }),
    { numRuns: 300 },
  );
});

Deno.test("sseNotice() formats one event without an id", () => {
  fc.assert(fc.property(data, (data) => {
    const { events, errors } = parse(sseNotice("weir.gap", data));
    assert.deepEqual(events.map((event) => ({ ...event })), [
      { id: undefined, event: "weir.gap", data: normalized(data) },
    ]);
    assert.deepEqual(errors, []);
  }));
});

Deno.test("sseOpening() sets the reconnection time and has the cursor as an event", () => {
  const { events, comments, retries, errors } = parse(sseOpening(1_500, CURSOR));
  assert.deepEqual([comments, retries, errors], [["weir"], [1_500], []]);
  assert.deepEqual(events.map((event) => ({ ...event })), [
    { id: CURSOR, event: "weir.open", data: JSON.stringify({ cursor: CURSOR }) },
  ]);
});

Deno.test("no empty line follows a comment, and every block before one has data", () => {
  const stream = sseOpening(500, CURSOR) + SSE_HEARTBEAT + sseEvent("1", "a", "") + SSE_HEARTBEAT;
  const blocks = stream.split("\n\n").slice(0, -1);
  assert.equal(blocks.length, 2);
  for (const block of blocks) assert.match(block, /^data:/m);
  assert.ok(stream.endsWith("\n\n:\n"));
});

Deno.test("a heartbeat is a comment", () => {
  const { events, comments, errors } = parse(SSE_HEARTBEAT);
  assert.deepEqual([events, comments, errors], [[], [""], []]);
});
