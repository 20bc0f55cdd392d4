import assert from "node:assert/strict";
import { connect } from "../../../../lib/client/client.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import { ORIGIN } from "../../../../lib/shared/offset.ts";
import { FakePlatform } from "../../../support/client_platform.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { QUICK_RETRIES } from "../../../support/client_platform.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

/** Long enough for the rest of a test, in ms. */
const SLOW = { act: "delay", ms: 1_000 } as const;

Deno.test("long-poll: a reader that joins while the only other one leaves is served", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  await using weir = connect(proxy.url, { transports: ["long-poll"] });
  const channel = newChannel();
  const started: string[] = [];
  const options = { onGap: "throw", onEvent() {} } as const;
  const first = weir.listen(channel, { ...options, onStart: () => void started.push("first") });
  await until("the first is read", () => started.length === 1);
  const polls = proxy.count(["short-poll"]);
  proxy.next(["short-poll"], SLOW);
  const found: unknown[] = [];
  weir.listen(channel, {
    ...options,
    onStart: () => void started.push("second"),
    onEvent: ({ data }) => void found.push(data),
    onError: ({ code }) => void found.push(code),
  });
  await until("its offset is requested", () => proxy.count(["short-poll"]) > polls);
  first.close();
  await publish(server.url, channel, "meanwhile");
  await until("the second is read", () => started.length + found.length > 1);
  await publish(server.url, channel, "last");
  await until("it came", () => found.includes("last"));
  assert.ok(found.every((one) => one === "meanwhile" || one === "last"));
});

Deno.test("long-poll: a slow reader pauses while another one waits for its offset, and continues", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  await using weir = connect(proxy.url, { transports: ["long-poll"] });
  const channel = newChannel();
  const large = "x".repeat(1_000_000);
  await publish(server.url, channel, large);
  const slow = weir.subscribe(channel, { after: "earliest", onGap: "throw" })
    [Symbol.asyncIterator]();
  await slow.next();
  const polls = proxy.count(["short-poll"]);
  proxy.next(["short-poll"], SLOW);
  let isStarted = false;
  weir.listen(newChannel(), { onGap: "throw", onEvent() {}, onStart: () => isStarted = true });
  await until("its offset is requested", () => proxy.count(["short-poll"]) > polls);
  for (let i = 0; i < 6; i++) await publish(server.url, channel, large);
  await until("its offset is known", () => isStarted);
  for (let i = 0; i < 6; i++) assert.equal((await slow.next()).done, false);
});

Deno.test("long-poll: an early answer of a proxy is not followed by an immediate request", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  proxy.on(["long-poll"], {
    act: "answer",
    text: "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
  });
  const device = new FakePlatform();
  await using weir = makeClient(proxy.url, { transports: ["long-poll"] }, device.platform());
  const channel = newChannel();
  weir.listen(channel, { onGap: "throw", onEvent() {} });
  for (let polls = 1; polls <= 3; polls++) {
    await until("it asks", () => proxy.count(["long-poll"]) === polls);
    for (let i = 0; i < 5; i++) await weir.history(channel);
    assert.equal(proxy.count(["long-poll"]), polls);
    device.clock.advance(2_000);
  }
});

Deno.test("more than 400 channels are all read, and leave connections for other requests", async () => {
  await using server = await LocalServer.start({ WEIR_LIMITS: "address.subscribes=1000000" });
  await using proxy = new FaultProxy(server.port);
  await using weir = makeClient(proxy.url, { transports: ["sse"] }, QUICK_RETRIES);
  const channels = Array.from({ length: 520 }, newChannel);
  const found = new Set<string>();
  for (const channel of channels) {
    weir.listen(channel, {
      after: ORIGIN_OFFSET,
      onGap() {},
      onEvent: ({ channel }) => void found.add(channel),
    });
  }
  await until("all streams are there", () => proxy.open(["sse"]) >= 4);
  for (let at = 0; at < channels.length; at += 50) {
    const events = channels.slice(at, at + 50).map((channel) => ({ channel, data: 1 }));
    const body = JSON.stringify({ events });
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${server.url}/v1/events`, { method: "POST", headers, body });
    assert.equal(answer.status, 201, await answer.text());
  }
  await until("all have it", () => found.size === channels.length);
  assert.equal(proxy.open(["sse"]), 4);
});

const ORIGIN_OFFSET = `${ORIGIN.epoch}_0000000000000000`;
