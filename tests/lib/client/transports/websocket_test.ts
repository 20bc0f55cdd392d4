import assert from "node:assert/strict";
import type { ListenOptions, Weir } from "../../../../lib/client/api.ts";
import { connect } from "../../../../lib/client/client.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import { PLATFORM } from "../../../../lib/client/core/platform.ts";
import { FakePlatform } from "../../../support/client_platform.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

const transports = ["websocket"] as const;

/** Listens. Returns whether reading has begun. */
function start(weir: Weir, channel: string, options: Partial<ListenOptions<unknown>> = {}) {
  const seen = { isStarted: false, errors: [] as string[], close: () => {} };
  const listening = weir.listen(channel, {
    onEvent() {},
    onGap: "throw",
    onStart: () => seen.isStarted = true,
    onError: ({ code }) => void seen.errors.push(code),
    ...options,
  });
  seen.close = listening.close;
  return seen;
}

/** A socket that records its frames. */
function spied(sent: string[]): typeof WebSocket {
  return class extends WebSocket {
    override send(data: string): void {
      sent.push(data);
      super.send(data);
    }
  };
}

/** Resolves once all requests so far have been sent. */
function sentAll(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("short-lived subscriptions leave room for those that stay", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url, { transports });
  const first = start(weir, newChannel());
  await until("it is open", () => first.isStarted);
  for (let round = 0; round < 2; round++) {
    const view = Array.from({ length: 60 }, () => start(weir, newChannel()));
    await sentAll();
    for (const { close } of view) close();
    await sentAll();
  }
  const late = start(weir, newChannel());
  await until("the late one is read", () => late.isStarted);
});

Deno.test("unsubscribing from many channels respects the server's limit per frame", async () => {
  await using server = await LocalServer.start();
  const sent: string[] = [];
  await using weir = makeClient(server.url, { transports }, {
    ...PLATFORM,
    WebSocket: spied(sent),
  });
  const channels = Array.from({ length: 300 }, newChannel);
  const all = channels.map((channel) => start(weir, channel));
  await until("all are read", () => all.every(({ isStarted }) => isStarted));
  for (const { close } of all) close();
  await sentAll();
  const again = channels.map((channel) => start(weir, channel));
  const isSettled = () => again.every(({ isStarted, errors }) => isStarted || errors.length > 0);
  await until("all are read again", isSettled);
  assert.deepEqual(again.flatMap(({ errors }) => errors), []);
  assert.ok(sent.every((frame) => frame.split("\n").length <= 256));
});

Deno.test("an event too large for a frame is refused, and the connection stays open", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  await using weir = connect(proxy.url, { transports });
  const channel = newChannel();
  const reading = start(weir, channel);
  await until("it is open", () => reading.isStarted);
  const large = weir.publish(channel, "x".repeat(3 * 1024 ** 2));
  await assert.rejects(large, { code: "event_too_large" });
  const small = await weir.publish(channel, "y");
  assert.equal(small.channel, channel);
  const named = start(weir, "x".repeat(3 * 1024 ** 2));
  await until("it has ended", () => named.errors.length > 0);
  assert.deepEqual(named.errors, ["bad_channel"]);
  assert.equal(proxy.count(["websocket"]), 1);
});

Deno.test("a reader that waits for an offset over HTTP does not block others", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  proxy.on(["short-poll"], { act: "refuse" });
  const device = new FakePlatform();
  await using weir = makeClient(proxy.url, { transports }, device.platform());
  const channel = newChannel();
  await publish(server.url, channel, 1);
  const all = start(weir, channel, { after: "earliest" });
  await until("it is open", () => all.isStarted);
  const timers = device.clock.timers;
  const latest = start(weir, channel, { after: "latest" });
  await until("it waits to ask again", () => {
    return proxy.count(["short-poll"]) > 0 && device.clock.timers === timers + 1;
  });
  const other = start(weir, newChannel());
  await until("another is read", () => other.isStarted);
  assert.equal(latest.isStarted, false);
  proxy.off();
  device.clock.advance(2_000);
  await until("its offset is known", () => latest.isStarted);
});
