import assert from "node:assert/strict";
import fc from "fast-check";
import { WeirError } from "../../../lib/client/server/server.ts";
import { eventLine } from "../../../lib/publish_cli/event_line.ts";

function lineOf(text: string, channel?: string, id: string | undefined = "new") {
  const line = { number: 1, text, fault: undefined, endBytes: 0 };
  return eventLine(line, { channel, newId: () => id });
}

Deno.test("an event without an id gets one, and the rest of its text stays as it is", () => {
  const cases = [
    ['{"channel":"a","data":1}', '{"id":"new","channel":"a","data":1}', true],
    [' { "data": 1.00 }\r', ' {"id":"new", "data": 1.00 }\r', true],
    ['{"data":12345678901234567890}', '{"id":"new","data":12345678901234567890}', true],
    ['{"id":"x","data":1}', '{"id":"x","data":1}', true],
    ['{"\\u0069d":"x"}', '{"\\u0069d":"x"}', true],
    ['{"data":{"id":"x"}}', '{"id":"new","data":{"id":"x"}}', true],
    ['{"data":1,"ephemeral":true}', '{"data":1,"ephemeral":true}', false],
    // The server refuses them, however often they are sent.
    ["{}", "{}", true],
    ["no", "no", true],
    ["[1]", "[1]", true],
    ["null", "null", true],
  ] as const;
  for (const [text, expected, isRepeatable] of cases) {
    assert.deepEqual(lineOf(text), { text: expected, isRepeatable });
  }
  const line = { number: 1, text: '{"data":1}', fault: undefined, endBytes: 0 };
  const withoutIds = eventLine(line, { channel: undefined, newId: () => undefined });
  assert.deepEqual(withoutIds, { text: '{"data":1}', isRepeatable: false });
});

Deno.test("with a channel, a line is data and nothing else", () => {
  assert.deepEqual(lineOf('{"a":1}', 'x"'), {
    text: '{"channel":"x\\"","id":"new","data":{"a":1}}',
    isRepeatable: true,
  });
  for (const text of ["", "x", '1,"channel":"other"', '1}\n{"channel":"other"', "1} {", "{"]) {
    const refused = lineOf(text, "a");
    assert.ok(refused instanceof WeirError && refused.code === "bad_json", text);
  }
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
    const line = lineOf(text, "a");
    if (line instanceof WeirError) return assert.throws(() => JSON.parse(text));
    assert.deepEqual(JSON.parse(line.text), { channel: "a", id: "new", data: JSON.parse(text) });
  }));
});

Deno.test("lines that the server would not read are refused before they are sent", () => {
  const codeOf = (line: ReturnType<typeof eventLine>) => line instanceof WeirError && line.code;
  const options = { channel: undefined, newId: () => "new" };
  const bad = { number: 1, text: undefined, endBytes: 0 };
  assert.equal(codeOf(eventLine({ ...bad, fault: "too long" }, options)), "event_too_large");
  assert.equal(codeOf(eventLine({ ...bad, fault: "not UTF-8" }, options)), "bad_encoding");
  assert.equal(codeOf(lineOf(`"${"é".repeat(600_000)}"`, "a")), "event_too_large");
});
