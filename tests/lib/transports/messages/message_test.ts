import assert from "node:assert/strict";
import { parseLargeMessage, parseMessage } from "../../../../lib/transports/messages/message.ts";
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

Deno.test("`received` is an op only where events come on streams", () => {
  const line = `{"op":"received","streams":{"1":5,"20":0}}`;
  assert.equal(refusal(line), "bad_op undefined");
  assert.deepEqual(parseMessage(line, { hasStreams: true }), JSON.parse(line));
});

Deno.test("`received` has counts of bytes by numbers of streams, and not too many", () => {
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [i + 1, 0]));
  const wrong = [{ "0": 1 }, { "01": 1 }, { a: 1 }, { "1": -1 }, { "1": 0.5 }, { "1": 2 ** 53 }];
  for (const streams of [...wrong, { "1": "1" }, many, [1], null, "1"]) {
    const line = JSON.stringify({ op: "received", ref: 7, streams });
    const parsed = parseMessage(line, { hasStreams: true });
    assert.ok("problem" in parsed, line);
    assert.deepEqual([parsed.problem.code, parsed.ref], ["bad_message", 7], line);
  }
});

Deno.test("a refusal names the member that is missing", () => {
  const parsed = parseMessage(`{"op":"publish","ref":7,"channel":"a"}`);
  assert.ok("problem" in parsed);
  assert.equal(parsed.problem.detail, "Cannot use the publish message: data is missing.");
});

Deno.test("a message that is read as a large one is the same", async () => {
  const lines = [
    `{"op":"publish","ref":1,"channel":"a","data":[1, {"a":"\\u00e9"}]}`,
    `{"op":"ping","ref":"x"}`,
    `{"op":"none","ref":2}`,
    `{"ref":2}`,
    `{"op":"publish","ref":3}`,
    `{"op":"publish","ref":4,"channel":"a","data":1,"more":1}`,
    `[1]`,
    `"x"`,
    `1`,
    `{"op":"ping",}`,
    `{"op":"ping"`,
    "",
    `{"op":"enter","ref":1,"channel":"a","data":${nested(MAX_JSON_DEPTH + 1)}}`,
    `{"op":"ping","ref":7,${Array.from({ length: 40 }, (_, i) => `"m${i}":1`).join()}}`,
  ];
  for (const line of lines) {
    const { message, dataText } = await parseLargeMessage(line);
    assert.equal(dataText, undefined);
    const same = (parsed: typeof message) =>
      "problem" in parsed ? { ref: parsed.ref, code: parsed.problem.code } : { ...parsed };
    assert.deepEqual(same(message), same(parseMessage(line)), line);
  }
});

Deno.test("the data of a large message is given as text, which no member can have", async () => {
  const data = `[${"[],".repeat(100_000)}1]`;
  const large = (op: string) => `{"op":"${op}","ref":1,"data": ${data},"channel":"a"}`;
  const { message, dataText } = await parseLargeMessage(large("publish"));
  assert.deepEqual([message.ref, "channel" in message && message.channel], [1, "a"]);
  assert.equal(dataText, data);
  const { message: entered } = await parseLargeMessage(large("enter"));
  assert.ok("data" in entered);
  assert.equal(entered.data, data, "a text, which is as long as the data and so refused");
});

Deno.test("a large message with another long member or many members is refused", async () => {
  const subscribe = `{"op":"subscribe","ref":7,"channels":[${`"a",`.repeat(50_000)}"a"]}`;
  const members = Array.from({ length: 100_000 }, (_, i) => `"m${i}":1`).join();
  for (
    const [line, detail] of [
      [subscribe, /"channels" is too long/],
      [`{"op":"ping","ref":7,${members}}`, /too many members/],
    ] as const
  ) {
    const { message } = await parseLargeMessage(line);
    assert.ok("problem" in message);
    assert.deepEqual([message.ref, message.problem.code], [7, "bad_message"]);
    assert.match(message.problem.detail, detail);
  }
});

Deno.test("ref and ttl are numbers however they are written, also next to digits that are kept", async () => {
  const line = `{"op":"publish","ref":1.0,"channel":"a","ttl":60.0,"data":12345678901234567}`;
  const { message: large } = await parseLargeMessage(line);
  for (const message of [parseMessage(line), large]) {
    assert.ok("op" in message && message.op === "publish", JSON.stringify(message));
    assert.equal(message.ref, 1);
    assert.equal(message.ttl, 60);
  }
});
