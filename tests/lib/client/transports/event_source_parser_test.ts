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

/** Parses the whole text with another parser, which takes a CR for a line end once more follows. */
function expected(text: string): readonly StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = "message", data }) => events.push({ type: event || "message", data }),
  });
  parser.feed(`${text}: end\n`);
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
const stream = fc.array(fc.tuple(line, lineEnd), { maxLength: 30 })
  .map((lines) => lines.map(([text, end]) => text + end).join(""));

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
  assert.deepEqual(parser.push(utf8.encode("\ndata: b\r\n")), []);
  assert.deepEqual(parser.push(utf8.encode("\r")), [{ type: "message", data: "a\nb" }]);
  assert.deepEqual(parser.push(utf8.encode("\ndata: c\n\n")), [{ type: "message", data: "c" }]);
});

Deno.test("a CR at the end of what has arrived holds no event back", () => {
  const parser = new EventSourceParser();
  const event = (data: string) => [{ type: "message", data }];
  assert.deepEqual(parser.push(utf8.encode("data: a\r\r")), event("a"));
  assert.deepEqual(parser.push(utf8.encode("data: b\r\n\r")), event("b"));
  assert.deepEqual(parser.push(new Uint8Array()), []);
  assert.deepEqual(parser.push(utf8.encode("\n")), []);
  assert.deepEqual(parser.push(utf8.encode("data: c\n\r")), event("c"));
  assert.deepEqual(parser.push(utf8.encode("\r")), []);
  assert.deepEqual(parser.push(utf8.encode("data: d\n\n")), event("d"));
});

/** What a stream yields: the data of its events, with the type if that is not `message`. */
const CASES: readonly (readonly [what: string, stream: string, ...events: string[]])[] = [
  ["no events", ""],
  ["one event", "data: a\n\n", "a"],
  ["two events", "data: a\n\ndata: b\n\n", "a", "b"],
  ["several lines of data", "data: a\ndata: b\ndata: c\n\n", "a\nb\nc"],
  ["empty lines of data", "data:\ndata\ndata: \n\n", "\n\n"],
  ["an event with empty data", "data\n\n", ""],
  ["an event without data", "event: x\nid: 1\n\ndata: a\n\n", "a"],
  ["empty lines between events", "\n\n\ndata: a\n\n\n\ndata: b\n\n", "a", "b"],
  ["an event that is cut off", "data: a\n\ndata: b\n", "a"],
  ["one space after the colon is removed", "data:a\n\ndata: a\n\ndata:  a\n\n", "a", "a", " a"],
  ["other white space stays", "data:\ta \n\n", "\ta "],
  ["colons in data", "data:: a: b:\n\n", ": a: b:"],
  ["a type", "event: x\ndata: a\n\ndata: b\n\n", "x a", "b"],
  ["the last type counts", "event: x\nevent: y\ndata: a\n\n", "y a"],
  ["an empty type is message", "event: x\nevent\ndata: a\n\n", "a"],
  ["comments", ":\n: a\n:data: a\ndata: b\n: c\n\n:\n\n", "b"],
  ["unknown fields", "foo: a\ndatum: b\ndata : c\n data: d\nDATA: e\ndata: f\n\n", "f"],
  ["a line without a colon", "foo\ndata: a\n\n", "a"],
  ["ids, one with NUL", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\nid\ndata: c\n\n", "a", "b", "c"],
  ["NUL in data", "data: a\0b\n\n", "a\0b"],
  ["retry", "retry: 5\ndata: a\n\nretry: x\n\nretry\n\n", "a"],
  ["a byte order mark", "\ufeffdata: a\n\n", "a"],
  ["a second byte order mark is text", "\ufeff\ufeffdata: a\n\ndata: \ufeffb\n\n", "\ufeffb"],
  ["characters of several bytes", "data: ü€😀\n\ndata: 😀\n\n", "ü€😀", "😀"],
  ["other line ends of Unicode are text", "data: a\u2028b\u0085c\fd\n\n", "a\u2028b\u0085c\fd"],
];

Deno.test("each part of the format is read, with each line end and however the stream is cut", () => {
  for (const [what, stream, ...events] of CASES) {
    for (const end of ["\n", "\r", "\r\n"]) {
      const bytes = utf8.encode(stream.replaceAll("\n", end));
      const read = (cuts: readonly number[]) =>
        parse(cutAt(bytes, cuts)).map(({ type, data }) =>
          type === "message" ? data : `${type} ${data}`
        );
      const name = `${what}, ${JSON.stringify(end)}`;
      assert.deepEqual(read([]), events, name);
      assert.deepEqual(read([...bytes.keys()]), events, `${name}, byte by byte`);
      for (const at of bytes.keys()) assert.deepEqual(read([at]), events, `${name}, cut at ${at}`);
    }
  }
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
