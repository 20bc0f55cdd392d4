import assert from "node:assert/strict";
import { LOAD_DEFAULTS, type LoadOptions, type Wire } from "../../bench/options.ts";
import { PROTOCOLS } from "../../bench/rivals.ts";
import { channelCount, channelName, PublishRequest, subscribeRequest } from "../../bench/wire.ts";

const HOST = "127.0.0.1:8000";
const OPTIONS: LoadOptions = { ...LOAD_DEFAULTS, publishAt: HOST, subscribeAt: HOST };
const WIRES = Object.keys(PROTOCOLS) as readonly Wire[];
const TIME = 1_700_000_000_000_000;

function split(bytes: Uint8Array): { readonly head: string; readonly body: string } {
  const [head = "", body = ""] = new TextDecoder().decode(bytes).split("\r\n\r\n");
  return { head, body };
}

for (const wire of WIRES) {
  Deno.test(`a request to ${wire} is used again for other channels and times`, () => {
    const request = new PublishRequest({ ...OPTIONS, wire });
    request.prepare(123, TIME);
    request.prepare(4567, TIME + 89.6);
    const { head, body } = split(request.bytes);
    const text = `${head}\n${body}`;
    assert.ok(text.includes(channelName(4567)), text);
    assert.ok(!text.includes(channelName(123)) && !text.includes(channelName(0)), text);
    assert.match(body, /"~1700000000000089"/);
    assert.match(head, new RegExp(`^Content-Length: ${body.length}$`, "m"));
    JSON.parse(body);
  });

  Deno.test(`a subscriber of ${wire} names its own channel`, async () => {
    for (const transport of ["sse", "websocket"] as const) {
      const options = { ...OPTIONS, wire, transport, ownChannels: true };
      const { head, hello } = await subscribeRequest(options, 12);
      const text = new TextDecoder().decode(head) + new TextDecoder().decode(hello);
      assert.ok(text.includes(channelName(12)), text);
      assert.match(text, /\r\n\r\n/);
    }
  });
}

Deno.test("each event of a batch has the size and the time", () => {
  const request = new PublishRequest({ ...OPTIONS, batch: 3, size: 150 });
  request.prepare(1, TIME);
  const { body } = split(request.bytes);
  for (const { channel, data } of JSON.parse(body).events) {
    assert.equal(channel, channelName(1));
    assert.equal(JSON.stringify(data).length, 150);
    assert.equal(data.at, `~${TIME}`);
  }
});

Deno.test("there are as many channels as subscribers if each has its own", () => {
  assert.equal(channelCount({ ownChannels: true, channels: 1, subscribers: 20 }), 20);
  assert.equal(channelCount({ ownChannels: false, channels: 5, subscribers: 20 }), 5);
  assert.equal(channelCount({ ownChannels: false, channels: 1, subscribers: 0 }), 1);
});

const ACCEPTED: readonly [Wire, number, string, events: number, isAccepted: boolean][] = [
  ["weir", 201, '{"offset":"1"}', 1, true],
  ["weir", 201, "{}", 1, false],
  ["weir", 200, '{"offset":"1"}', 1, false],
  ["weir", 201, '{"events":[{"offset":"1"},{"offset":"2"}]}', 2, true],
  ["weir", 201, '{"events":[{"offset":"1"}]}', 2, false],
  ["weir", 201, '{"events":[{"offset":"1"},{}]}', 2, false],
  ["bare", 201, "", 1, true],
  ["bare", 500, "", 1, false],
  ["bare-kv", 201, "", 1, true],
  ["durable-streams", 204, "", 1, true],
  ["durable-streams", 404, "", 1, false],
  ["centrifugo", 200, '{"result":{}}', 1, true],
  ["centrifugo", 200, '{"error":{"code":100}}', 1, false],
];

for (const [wire, status, body, events, isAccepted] of ACCEPTED) {
  Deno.test(`${wire}: ${status} ${body} ${isAccepted ? "accepts" : "refuses"} ${events}`, () => {
    assert.equal(PROTOCOLS[wire].accepts({ status, body }, events), isAccepted);
  });
}
