import assert from "node:assert/strict";
import * as fc from "fast-check";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import {
  dataText,
  encodeBase64,
  eventMembers,
  formatTime,
  gapMembers,
  isJsonType,
  isTextType,
  type LogEvent,
  parseEventId,
  parseEventKey,
  parseEventType,
} from "../../../lib/shared/event.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { problem } from "../../support/log_reading.ts";

const EPOCH = epochAt(Date.UTC(2026, 0, 1));
const name = fc.string({ unit: "binary", minLength: 1, maxLength: 20 });
const time = fc.integer({ min: 0, max: 8.64e15 });

/** Text that tries to escape its field. */
const nasty = fc.constantFrom(
  ...["\n", "\r", "\r\n", "\0", "\u2028", "\u2029", '"', "\\", "}", "</script>", "😀", "\ufeff"],
);
const text = fc.array(fc.oneof(nasty, fc.string({ unit: "binary" }))).map((parts) =>
  parts.join("")
);

/** JSON with line ends between its tokens. */
const json = fc.tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, "\t"), text).map(
  ([value, space, text]) => JSON.stringify({ value, text }, undefined, space),
);

const content = fc.oneof(
  fc.tuple(
    fc.constantFrom("application/json", "application/ld+json", "Application/JSON; charset=utf-8"),
    fc.oneof(json, json.map((text) => text.replaceAll("\n", "\r\n"))),
  ),
  fc.tuple(fc.constantFrom("text/plain", "text/html; charset=utf-8"), text),
  fc.tuple(fc.constantFrom("application/octet-stream", "application/json"), fc.uint8Array()),
);

const event: fc.Arbitrary<LogEvent> = fc.record({
  sequence: fc.maxSafeNat(),
  id: fc.option(name, { nil: undefined }),
  type: fc.oneof(name, fc.constant("message")),
  time,
  content,
  key: fc.option(name, { nil: undefined }),
  publisher: fc.option(name, { nil: undefined }),
  traceparent: fc.constantFrom(`00-${"a".repeat(32)}-${"b".repeat(16)}-01`, undefined),
  expiresAt: fc.option(time, { nil: undefined }),
}).map(({ content: [contentType, data], ...rest }) => ({ ...rest, contentType, data }));

Deno.test("eventMembers() formats all of an event as JSON on one line", () => {
  fc.assert(
    fc.property(name, event, (channel, event) => {
      const line = `{${eventMembers(JSON.stringify(channel), EPOCH, event)}}`;
      assert.doesNotMatch(line, /[\r\n]/);
      const offset = formatOffset(EPOCH, event.sequence);
      const isBinary = event.data instanceof Uint8Array;
      assert.deepEqual(JSON.parse(line), {
        channel,
        offset,
        id: event.id ?? offset,
        type: event.type,
        time: new Date(event.time).toISOString(),
        contentType: event.contentType,
        data: event.data instanceof Uint8Array
          ? event.data.toBase64()
          : isJsonType(event.contentType)
          ? JSON.parse(event.data)
          : event.data,
        ...isBinary && { encoding: "base64" },
        ...event.key !== undefined && { key: event.key },
        ...event.publisher !== undefined && { publisher: event.publisher },
        ...event.traceparent !== undefined && { traceparent: event.traceparent },
        ...event.expiresAt !== undefined && { expiresAt: new Date(event.expiresAt).toISOString() },
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("gapMembers() formats all of a gap as JSON on one line", () => {
  for (const lost of [3, null]) {
    const gap = {
      reason: "expired",
      requested: formatOffset(EPOCH, 1),
      firstAvailable: formatOffset(EPOCH, 5),
      lost,
    } as const;
    const line = `{${gapMembers(JSON.stringify('a"\n'), gap)}}`;
    assert.deepEqual(JSON.parse(line), { channel: 'a"\n', ...gap });
    assert.doesNotMatch(line, /\n/);
  }
});

Deno.test("encodeBase64() encodes any number of bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
    assert.equal(encodeBase64(bytes), bytes.toBase64());
  }));
  for (const length of [8_191, 8_192, 8_193, 100_000]) {
    const bytes = new Uint8Array(length).map((_, i) => i * 7);
    assert.equal(encodeBase64(bytes), bytes.toBase64());
  }
  assert.equal(dataText(new Uint8Array([255])), "/w==");
  assert.equal(dataText("as it is"), "as it is");
});

Deno.test("formatTime() formats each time, also after others", () => {
  fc.assert(fc.property(fc.array(time, { maxLength: 5 }), (times) => {
    for (const time of [...times, ...times]) {
      assert.equal(formatTime(time), new Date(time).toISOString());
    }
  }));
});

Deno.test("isJsonType() and isTextType() recognize content types", () => {
  const json = ["application/json", "application/json;charset=utf-8", "application/a+JSON ; x=y"];
  for (const type of [...json, "text/json"]) assert.ok(isJsonType(type), type);
  for (const type of ["application/jsonl", "text/plain", "a/b;x=/json", "application/json5", ""]) {
    assert.ok(!isJsonType(type), type);
  }
  for (const type of ["text/plain", "TEXT/html; charset=utf-8"]) assert.ok(isTextType(type));
  for (const type of ["application/text", "a/text/", ""]) assert.ok(!isTextType(type));
});

for (
  const [parse, code] of [
    [parseEventId, "bad_event_id"],
    [parseEventKey, "bad_event_key"],
    [parseEventType, "bad_event_type"],
  ] as const
) {
  Deno.test(`${parse.name}() accepts 1 to 256 bytes of UTF-8 without control characters`, () => {
    for (const text of ["a", "order.placed", " x ", "x".repeat(256), "😀".repeat(64), "\u2028"]) {
      assert.equal(parse(text), text);
    }
    const bad = ["", "x".repeat(257), "€".repeat(86), "a\nb", "\r", "\0", "\x7f", "\ud83d"];
    for (const text of bad) assert.throws(() => parse(text), problem(code), JSON.stringify(text));
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      try {
        assert.equal(parse(text), text);
        assert.ok(new TextEncoder().encode(text).length <= 256);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(text, /[\0-\x1f\x7f]/);
      } catch (cause) {
        if (!(cause instanceof Problem)) throw cause;
        assert.equal(cause.code, code);
      }
    }));
  });
}

Deno.test("parseEventType() rejects reserved types, which start with weir.", () => {
  assert.throws(() => parseEventType("weir.gap"), problem("bad_event_type"));
  assert.equal(parseEventType("weir"), "weir");
});
