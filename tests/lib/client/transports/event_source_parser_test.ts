import assert from "node:assert/strict";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import {
  EventSourceParser,
  type StreamEvent,
} from "../../../../lib/client/transports/event_source_parser.ts";

const utf8 = new TextEncoder();

function parse(pieces: readonly Uint8Array[]): readonly StreamEvent[] {
  const parser = new EventSourceParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

/** Parses the whole text with another parser. */
function expected(text: string): readonly StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = "message", data }) => events.push({ type: event || "message", data }),
  });
  parser.feed(text);
  return events;
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}

const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const line = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: "binary" }).map((text) => `data: ${clean(text)}`) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme" }).map((text) => `data:${clean(text)}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "data",
      "event: weir.gap",
      "event:",
      ": comment",
      ":",
      "id: 1",
      "x: y",
    ),
  },
  { weight: 3, arbitrary: fc.constant("") },
);
const stream = fc.array(fc.tuple(line, lineEnd), { maxLength: 30 }).map((lines) =>
  // Another line at the end, because after a CR it is unknown whether an LF follows.
  `${lines.map(([text, end]) => text + end).join("")}: end\n\n`
);

function clean(text: string): string {
  return text.replace(/[\r\n\ufeff]/g, "").toWellFormed();
}

Deno.test("a stream yields the same events however it is cut and whichever line ends it has", () => {
  fc.assert(fc.property(stream, fc.array(fc.nat()), (text, cuts) => {
    const bytes = utf8.encode(text);
    assert.deepEqual(parse([bytes]), expected(text));
    assert.deepEqual(parse(cutAt(bytes, cuts)), expected(text));
    assert.deepEqual(parse(cutAt(bytes, bytes.keys().toArray())), expected(text));
  }));
});

Deno.test("a CRLF split over two pieces is one line end", () => {
  const parser = new EventSourceParser();
  assert.deepEqual(parser.push(utf8.encode("data: a\r")), []);
  assert.deepEqual(parser.push(utf8.encode("\ndata: b\r\n\r")), []);
  assert.deepEqual(parser.push(utf8.encode("\n")), [{ type: "message", data: "a\nb" }]);
});

Deno.test("a byte order mark and an unfinished event are ignored", () => {
  assert.deepEqual(parse([utf8.encode("\ufeffdata: a\n\ndata: b\n")]), [
    { type: "message", data: "a" },
  ]);
});

Deno.test("retry is used if it is a number", () => {
  const parser = new EventSourceParser();
  parser.push(utf8.encode("retry: soon\n\n"));
  assert.equal(parser.retryMs, undefined);
  parser.push(utf8.encode("retry: 1500\nretry: -1\n\n"));
  assert.equal(parser.retryMs, 1_500);
});

Deno.test("endless lines and events are refused", () => {
  const chunk = new Uint8Array(1024 ** 2).fill(97);
  const fill = (parser: EventSourceParser, text: string) => {
    for (let i = 0; i < 20; i++) {
      parser.push(utf8.encode(text));
      parser.push(chunk);
    }
  };
  assert.throws(() => fill(new EventSourceParser(), ""), RangeError);
  assert.throws(() => fill(new EventSourceParser(), "\ndata:"), RangeError);
});
