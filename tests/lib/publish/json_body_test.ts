import assert from "node:assert/strict";
import { clearImmediate, setImmediate } from "node:timers";
import fc from "fast-check";
import { draftOfBody } from "../../../lib/publish/draft.ts";
import { parseJsonBody } from "../../../lib/publish/json_body.ts";
import { TURN_CHARS } from "../../../lib/publish/large_text_turns.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { MAX_EVENT_BYTES } from "../../../lib/shared/event.ts";
import { MAX_JSON_DEPTH } from "../../../lib/shared/json_depth.ts";

import { testChannelKey } from "../../support/drafts.ts";

const utf8 = new TextEncoder();
const PRODUCER = { tenant: DEFAULT_TENANT, publisher: undefined };
const parse = (text: string) => parseJsonBody(PRODUCER, utf8.encode(text));
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const event = (data: string) => `{"channel":"a","data":${data}}`;
const batch = (...events: readonly string[]) => `{"events":[${events.join(",")}]}`;
/** Makes a body so long that it is parsed in parts. */
const pad = (text: string) => " ".repeat(TURN_CHARS) + text;

Deno.test("data of 64 levels is accepted however it is published, and no deeper data", async () => {
  for (const wrap of [event, (data: string) => batch(event("1"), event(data))]) {
    for (const size of [(text: string) => text, pad]) {
      const deepest = size(wrap(nested(MAX_JSON_DEPTH)));
      assert.equal((await parse(deepest)).drafts.at(-1)?.data, nested(MAX_JSON_DEPTH));
      for (const levels of [MAX_JSON_DEPTH + 1, 1_000_000]) {
        await assert.rejects(parse(size(wrap(nested(levels)))), { code: "bad_json" });
      }
    }
  }
});

Deno.test("a long body is parsed as a short one is", async () => {
  const brackets = fc.string({ unit: fc.constantFrom(...'[]{},:"\\ u0a'), maxLength: 12 });
  const anything = fc.oneof(fc.jsonValue(), brackets);
  const member = fc.record({ channel: fc.constant("a"), data: anything }, {
    noNullPrototype: true,
  });
  const damage = fc.tuple(fc.nat(), fc.constantFrom(...'[]{},:"\\ 0'));
  await fc.assert(fc.asyncProperty(
    fc.array(member, { minLength: 1, maxLength: 4 }),
    fc.option(damage),
    async (events, damaged) => {
      let text = JSON.stringify({ events });
      if (damaged !== null) {
        const at = damaged[0] % text.length;
        text = text.slice(0, at) + damaged[1] + text.slice(at + 1);
      }
      const [short, long] = await Promise.allSettled([parse(text), parse(pad(text))]);
      assert.equal(long.status, short.status, text);
      if (long.status === "fulfilled") assert.deepEqual(long, short);
    },
  ));
});

Deno.test("numbers keep their digits in a long body as in a short one", async () => {
  const text = batch(event("1.0"), event("12345678901234567"));
  assert.deepEqual(await parse(pad(text)), await parse(text));
});

Deno.test("others get a turn of the event loop for each part of a long body", async () => {
  const data = JSON.stringify(Array.from({ length: 10_000 }, (_, i) => ({ i })));
  const body = batch(...Array.from({ length: 50 }, () => event(data)));
  using turns = new TurnCounter();
  const { drafts } = await parse(body);
  assert.equal(drafts.length, 50);
  assert.ok(turns.count >= 50, `${turns.count} turns`);
});

Deno.test("a long body is decoded part by part", async () => {
  using decoded = new DecodeCounter();
  const data = `"${"é".repeat(TURN_CHARS)}"`;
  assert.equal((await parse(batch(event(data)))).drafts[0]?.data, data);
  const body = utf8.encode(data);
  const draft = await draftOfBody(
    { channelKey: testChannelKey("a"), publisher: undefined },
    "text/plain",
    body,
    {},
  );
  assert.equal(draft.data, data);
  assert.ok(decoded.longest <= TURN_CHARS, `${decoded.longest} bytes at once`);
});

Deno.test("two long bodies take turns", async () => {
  const body = batch(...Array.from({ length: 20 }, () => event(`"${"x".repeat(TURN_CHARS)}"`)));
  const small = batch(event("1"), event(`"${"x".repeat(TURN_CHARS)}"`));
  const order: string[] = [];
  await Promise.all([
    parse(body).then(() => order.push("large")),
    parse(small).then(() => order.push("small")),
  ]);
  assert.deepEqual(order, ["small", "large"]);
});

Deno.test("the data of a large event is not parsed as a whole", async () => {
  const data = `[${"[],".repeat(300_000)}{"a" : 1.0}]`;
  const names = `"type":"t","id":"i","channel":"a"`;
  for (
    const body of [
      `{${names},"data":${data}}`,
      batch(event("1"), `{"data":${data},${names}}`),
      ` {"data":1,"data":[ ${data.slice(1)},${names}}`,
    ]
  ) {
    using parsed = new ParseCounter();
    const { drafts } = await parse(body);
    assert.ok(parsed.longest <= TURN_CHARS, `${parsed.longest} characters at once`);
    const { channelKey, type, id, data: stored, bytes } = drafts.at(-1) ?? assert.fail();
    const compact = data.replace('{"a" : 1.0}', '{"a":1}');
    assert.deepEqual([channelKey, type, id, bytes], ["default/a", "t", "i", compact.length]);
    assert.equal(stored, compact);
  }
  const target = { channelKey: testChannelKey("a"), publisher: undefined };
  const bytes = utf8.encode(data);
  using parsed = new ParseCounter();
  assert.equal((await draftOfBody(target, "application/json", bytes, {})).data, data);
  assert.equal(parsed.chars, 0);
  const broken = bytes.slice(0, -1);
  await assert.rejects(draftOfBody(target, "application/json", broken, {}), { code: "bad_json" });
});

Deno.test("a large event is refused for the same reasons as a small one", async () => {
  const large = `[${"[],".repeat(30_000)}1]`;
  for (const data of ["[[],1]", large]) {
    const bodies: readonly (readonly [text: string, code: string, detail: RegExp])[] = [
      [
        `{"channel":"a","data":1,"type":${data}}`,
        "bad_body",
        /type/,
      ],
      [`{"channel":"a","data":1,"other":${data}}`, "bad_body", /other/],
      [`{"other":{"a":${data}},"data":1,"channel":"a"}`, "bad_body", /other/],
      [`{"channel":"a","dat":${data}}`, "bad_body", /dat/],
      [`{"channel":1,"data":${data}}`, "bad_body", /channel/],
      [`{"channel":"..","data":${data}}`, "bad_channel", /\.\./],
      [`[${data}]`, "bad_body", /expected object, received array/],
      [`{"other":1,"events":${data}}`, "bad_body", /other|events/],
      [`{"channel":"a","data":${data},}`, "bad_json", /Cannot read the JSON/],
      [`{"channel":"a","data":${data}} 1`, "bad_json", /Cannot read the JSON/],
      [`{"channel":"a","data":${data.replace("[]", "[}")}}`, "bad_json", /Cannot read the JSON/],
      [`{"channel":"a","data":${data}`, "bad_json", /Cannot read the JSON/],
    ];
    for (const [text, code, detail] of bodies) {
      await assert.rejects(parse(text), { code, detail }, text.slice(0, 60));
      const batched = { code, detail: code === "bad_json" ? detail : /event 1/i };
      if (text.startsWith("{") && code !== "bad_json") {
        await assert.rejects(parse(batch(event("1"), text)), batched, text.slice(0, 60));
      }
    }
  }
});

Deno.test("what is too large or too much is refused before it is parsed", async () => {
  const tooMuch = MAX_EVENT_BYTES + 5_000;
  const bodies: readonly (readonly [text: string, code: string])[] = [
    [event(`[${"[],".repeat(tooMuch / 3)}1]`), "event_too_large"],
    [batch(event("1"), event(`[${"1,".repeat(tooMuch / 2)}1]`)), "event_too_large"],
    [batch(event(`"${"x".repeat(tooMuch)}"`)), "event_too_large"],
    [event(`[${"12345678901234567,".repeat(tooMuch / 18)}1]`), "event_too_large"],
    [`{"events":[${"1,".repeat(1_000_000)}1]}`, "too_many_events"],
    [`{${Array.from({ length: 200_000 }, (_, i) => `"${i}":1`).join()}}`, "event_too_large"],
  ];
  for (const [text, code] of bodies) {
    using parsed = new ParseCounter();
    await assert.rejects(parse(text), { code });
    assert.equal(parsed.chars, 0);
  }
});

Deno.test("white space and escapes do not count as bytes of an event", async () => {
  const escaped = `"${"\\u00e9".repeat(400_000)}"`;
  assert.equal((await parse(event(escaped))).drafts[0]?.bytes, 800_002);
  const spaced = batch(event(`[${"1, \n  ".repeat(500_000)}1]`));
  assert.equal((await parse(spaced)).drafts[0]?.bytes, 1_000_003);
});

Deno.test("unknown members are refused without a list of all", async () => {
  const members = Array.from({ length: 90_000 }, (_, i) => `"m${i}":1`).join();
  for (const text of [`{"channel":"a","data":1,${members}}`, batch(`{${members}}`)]) {
    await assert.rejects(parse(text), { code: "bad_body", detail: /it has 9\d{4} members/ });
  }
});

/** Counts the turns of the event loop. */
class TurnCounter implements Disposable {
  count = 0;
  #next = setImmediate(() => this.#turn());

  #turn(): void {
    this.count++;
    this.#next = setImmediate(() => this.#turn());
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next);
  }
}

/** Notes how much a `TextDecoder` is given. */
class DecodeCounter implements Disposable {
  /** The most bytes of one call. */
  longest = 0;
  readonly #decode = TextDecoder.prototype.decode;

  constructor() {
    // deno-lint-ignore no-this-alias
    const counter = this;
    TextDecoder.prototype.decode = function (input, options) {
      counter.longest = Math.max(counter.longest, input?.byteLength ?? 0);
      return counter.#decode.call(this, input, options);
    };
  }

  [Symbol.dispose](): void {
    TextDecoder.prototype.decode = this.#decode;
  }
}

/** Counts the characters that `JSON.parse` is given. */
class ParseCounter implements Disposable {
  chars = 0;
  /** The most characters of one call. */
  longest = 0;
  readonly #parse = JSON.parse;

  constructor() {
    JSON.parse = (text, reviver) => {
      this.chars += text.length;
      this.longest = Math.max(this.longest, text.length);
      return this.#parse(text, reviver);
    };
  }

  [Symbol.dispose](): void {
    JSON.parse = this.#parse;
  }
}

Deno.test("a time to live is a number however it is written, also next to digits that are kept", async () => {
  const text = `{"channel":"a","ttl":60.0,"data":12345678901234567}`;
  for (const size of [text, pad(text), batch(text), pad(batch(text))]) {
    const { drafts: [draft] } = await parse(size);
    assert.equal(draft?.ttlMs, 60_000);
    assert.equal(draft?.data, "12345678901234567");
  }
});
