import assert from "node:assert/strict";
import { parseMessage } from "../../../../lib/transports/socket/message.ts";
import { MAX_JSON_DEPTH } from "../../../../lib/shared/json_depth.ts";

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const refusal = (line: string) => {
  const parsed = parseMessage(line);
  return "problem" in parsed ? `${parsed.problem.code} ${parsed.ref}` : undefined;
};

Deno.test("data of at most 64 levels is accepted, of publishes and of members", () => {
  for (const op of ["publish", "enter"]) {
    const message = (levels: number) =>
      `{"op":"${op}","ref":1,"channel":"a","data":${nested(levels)}}`;
    assert.equal(refusal(message(MAX_JSON_DEPTH)), undefined);
    for (const levels of [MAX_JSON_DEPTH + 1, 500_000]) {
      assert.equal(refusal(message(levels)), "bad_frame undefined");
    }
  }
});

Deno.test("brackets in strings are no levels", () => {
  const data = JSON.stringify(`\\"${"[".repeat(1_000)}`);
  assert.equal(refusal(`{"op":"publish","ref":1,"channel":"a","data":${data}}`), undefined);
});

Deno.test("a message with too many members or channels is refused without an error for each", () => {
  const members = Array.from({ length: 100_000 }, (_, i) => `"m${i}":1`).join();
  assert.equal(refusal(`{"op":"ping","ref":7,${members}}`), "bad_message 7");
  const channels = `[${"1,".repeat(100_000)}1]`;
  const parsed = parseMessage(`{"op":"subscribe","ref":7,"channels":${channels}}`);
  assert.ok("problem" in parsed);
  assert.match(parsed.problem.detail, /channels: too many/);
});
