import assert from "node:assert/strict";
import fc from "fast-check";
import { parseChannelLine, valueText } from "../../../lib/store_cli/channel_lines.ts";
import { eventMembers, type LogEvent } from "../../../lib/shared/event.ts";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";

const EPOCH = epochAt(Date.UTC(2026, 0, 1));
const EVENT: LogEvent = {
  sequence: 7,
  id: undefined,
  type: "message",
  time: Date.UTC(2026, 0, 2),
  contentType: "application/json",
  data: `{ "a":1.0,"n":12345678901234567890, "s":"\\u00e4\\"}]" }`,
  key: undefined,
  publisher: undefined,
  traceparent: undefined,
  expiresAt: undefined,
};

function lineOf(event: LogEvent, channel = "a"): string {
  return `{${eventMembers(JSON.stringify(channel), EPOCH, event)}}`;
}

Deno.test("an event of an export is parsed as it was stored", () => {
  const events: readonly LogEvent[] = [
    EVENT,
    { ...EVENT, id: "x", type: "t", key: "k", publisher: "ann", expiresAt: EVENT.time + 1 },
    { ...EVENT, contentType: "text/plain", data: `"},"data":"\n\r\u2028` },
    { ...EVENT, contentType: "image/png", data: new Uint8Array([0, 255, 10]) },
    { ...EVENT, traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
  ];
  for (const event of events) {
    const line = parseChannelLine(lineOf(event, `"data":1`));
    assert.deepEqual(line, { kind: "event", channel: `"data":1`, epoch: EPOCH, event });
  }
});

Deno.test("the text of a value is found in any JSON object", () => {
  fc.assert(fc.property(
    fc.dictionary(fc.string(), fc.jsonValue()),
    fc.jsonValue(),
    fc.dictionary(fc.string(), fc.jsonValue()),
    fc.constantFrom("", " ", "\n\t"),
    (before, value, after, space) => {
      delete before["data"];
      delete after["data"];
      const members = [
        ...Object.entries(before),
        ["data", value] as const,
        ...Object.entries(after),
      ].map(([name, item]) => `${JSON.stringify(name)}${space}:${space}${JSON.stringify(item)}`);
      const text = `${space}{${space}${members.join(`${space},${space}`)}${space}}`;
      assert.equal(valueText(text, "data"), JSON.stringify(value));
    },
  ));
  assert.throws(() => valueText(`{"data":1,"d\\u0061ta":2}`, "data"), /twice/);
});

Deno.test("lines that are no part of an export are refused", () => {
  const offset = formatOffset(EPOCH, 7);
  const head = {
    channel: "a",
    first: offset,
    last: offset,
    changed: "2026-01-01T00:00:00.000Z",
    retention: { age: 1, events: 1, bytes: 1 },
  };
  assert.equal(parseChannelLine(JSON.stringify(head)).kind, "head");
  assert.equal(parseChannelLine(`{"channel":"a","end":true,"events":3}`).kind, "end");
  const event = JSON.parse(lineOf(EVENT));
  const wrong: readonly unknown[] = [
    1,
    [],
    {},
    { ...head, first: "x" },
    { ...head, channel: "$audit" },
    { ...head, retention: { age: -1, events: 1, bytes: 1 } },
    { ...head, more: 1 },
    { channel: "a", end: true, events: 1.5 },
    { ...event, time: "yesterday" },
    { ...event, type: "weir.gap" },
    { ...event, data: undefined },
    { ...event, contentType: "text/plain", data: 1 },
    { ...event, encoding: "base64", data: "%" },
    { ...event, id: "" },
    { ...event, publisher: "" },
    { ...event, data: "x".repeat(1_048_576) },
    { ...event, channel: ".." },
  ];
  for (const line of wrong) {
    const text = JSON.stringify(line);
    assert.throws(() => parseChannelLine(text), /./, text.slice(0, 200));
  }
  assert.throws(() => parseChannelLine("{"), /not JSON/);
});
