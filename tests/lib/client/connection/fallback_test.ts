import assert from "node:assert/strict";
import type {
  ConnectionState,
  ConnectOptions,
  TransportName,
  Weir,
} from "../../../../lib/client/api.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import type { Platform } from "../../../../lib/client/core/platform.ts";
import { FakePlatform } from "../../../support/client_platform.ts";
import { proxyFor, withTransport } from "../../../support/every_transport.ts";
import { answerOf, FaultProxy } from "../../../support/fault_proxy.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

const HEARTBEAT = 15_000;

/** A server behind a proxy, and a clock that the test controls. */
class Setting implements AsyncDisposable {
  readonly device = new FakePlatform();
  readonly proxy: FaultProxy;
  readonly server: LocalServer;
  readonly #clients: Weir[] = [];

  private constructor(server: LocalServer, proxy: FaultProxy) {
    this.server = server;
    this.proxy = proxy;
  }

  /** @param transport one that is to work. */
  static async start(transport: TransportName = "websocket"): Promise<Setting> {
    const server = await withTransport(transport, await LocalServer.start());
    return new Setting(server, proxyFor(transport, server));
  }

  connect(options: ConnectOptions = {}, platform: Partial<Platform> = {}): Weir {
    const weir = makeClient(this.proxy.url, options, this.device.platform(platform));
    this.#clients.push(weir);
    return weir;
  }

  /** Lets time pass until `isMet` holds. */
  async passUntil(what: string, isMet: () => boolean): Promise<void> {
    await until(what, () => {
      if (!isMet()) this.device.clock.advance(100);
      return isMet();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.cut(); // a silent peer does not close by itself
    await Promise.all(this.#clients.map((weir) => weir.close()));
    assert.equal(this.device.clock.timers, 0, "timers are left");
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

function read(weir: Weir, channel: string): unknown[] {
  const found: unknown[] = [];
  weir.listen(channel, {
    after: "earliest",
    onEvent: ({ data }) => void found.push(data),
    onGap: "throw",
    onError: (error) => found.push(error),
  });
  return found;
}

async function openBy(weir: Weir, transport: string): Promise<void> {
  await until(`it is open by ${transport}`, () => {
    const state = weir.state.value;
    return state.status === "open" && state.transport === transport;
  });
}

/** Waits for the next `reconnecting` state after `last`. */
async function nextWait(
  weir: Weir,
  last?: ConnectionState,
): Promise<ConnectionState & { readonly status: "reconnecting" }> {
  const isNext = () => weir.state.value.status === "reconnecting" && weir.state.value !== last;
  await until("it waits", isNext);
  const state = weir.state.value;
  assert.ok(state.status === "reconnecting");
  return state;
}

async function isState(
  weir: Weir,
  status: ConnectionState["status"],
): Promise<ConnectionState> {
  await until(`it is ${status}`, () => weir.state.value.status === status);
  return weir.state.value;
}

Deno.test("events arrive by SSE while upgrades are blocked, and by WebSocket once it works", async () => {
  await using setting = await Setting.start();
  const { server, proxy, device } = setting;
  proxy.on(["websocket"], { act: "answer", text: answerOf("400 Bad Request", "text/html", "no") });
  const weir = setting.connect();
  const channel = newChannel();
  const found = read(weir, channel);
  await openBy(weir, "sse");
  await publish(server.url, channel, 1);
  await until("it came", () => found.length === 1);

  proxy.cut(["sse"]);
  await isState(weir, "reconnecting");
  device.clock.advance(1_500);
  await openBy(weir, "sse");
  assert.equal(proxy.count(["websocket"]), 1); // it remembers what works

  // The server's heartbeats follow its own clock, so events take their place.
  const passAlive = async (seconds: number) => {
    for (let left = seconds; left > 0; left -= 10) {
      device.clock.advance(10_000);
      await publish(server.url, channel, found.length + 1);
      const count = found.length + 1;
      await until("the other one continues", () => found.length === count);
    }
  };
  await passAlive(30);
  await until("the better one was tried", () => proxy.count(["websocket"]) === 2);
  proxy.off();
  await passAlive(50);
  assert.equal(proxy.count(["websocket"]), 2); // the wait has doubled
  device.clock.advance(10_000);
  await until("the WebSocket has subscribed, and is used", () => {
    device.clock.advance(10); // the client looks each 10 ms
    const state = weir.state.value;
    return state.status === "open" && state.transport === "websocket";
  });
  await publish(server.url, channel, found.length + 1);
  await until("it came", () => found.length === 10);
  assert.deepEqual(found, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await until("the stream is closed", () => proxy.open(["sse"]) === 0);
});

Deno.test("transports that do not open in time are skipped, down to short polling", async () => {
  await using setting = await Setting.start();
  const { server, proxy, device } = setting;
  proxy.on(["websocket"], { act: "stall" });
  proxy.on(["sse"], { act: "buffer" });
  proxy.on(["long-poll"], { act: "stall" });
  const weir = setting.connect();
  const channel = newChannel();
  const found = read(weir, channel);
  await until("a socket was asked for", () => proxy.count(["websocket"]) === 1);
  device.clock.advance(10_000);
  await until("a stream was asked for", () => proxy.count(["sse"]) === 1);
  device.clock.advance(10_000);
  await openBy(weir, "long-poll");
  await until("it waits", () => proxy.count(["long-poll"]) === 1);
  device.clock.advance(2 * HEARTBEAT);
  await isState(weir, "reconnecting");
  device.clock.advance(1_000);
  await openBy(weir, "short-poll");
  await publish(server.url, channel, 1);
  await setting.passUntil("it came", () => found.length === 1);
});

for (const transport of ["webtransport", "websocket", "sse"] as const) {
  Deno.test(`${transport} is given up after two silent heartbeats`, async () => {
    await using setting = await Setting.start(transport);
    const { server, proxy, device } = setting;
    const weir = setting.connect({ transports: [transport, "short-poll"] });
    const channel = newChannel();
    const found = read(weir, channel);
    await openBy(weir, transport);
    await publish(server.url, channel, 1);
    await until("it came", () => found.length === 1);
    proxy.hush();
    device.clock.advance(2 * HEARTBEAT - 1);
    assert.equal(weir.state.value.status, "open");
    device.clock.advance(1);
    await isState(weir, "reconnecting");
    device.clock.advance(1_500);
    await openBy(weir, "short-poll");
    await publish(server.url, channel, 2);
    await setting.passUntil("it came", () => found.length === 2);
    assert.deepEqual(found, [1, 2]);
  });
}

Deno.test("an idle socket answers pings and stays open", async () => {
  await using setting = await Setting.start();
  const { device, server } = setting;
  const weir = setting.connect();
  const channel = newChannel();
  const found = read(weir, channel);
  await openBy(weir, "websocket");
  for (let i = 0; i < 5; i++) {
    device.clock.advance(HEARTBEAT);
    await publish(server.url, channel, i); // the pong arrives before it
    await until("it came", () => found.length === i + 1);
  }
  assert.equal(setting.proxy.count(["websocket"]), 1);
});

Deno.test("after the machine slept the socket is checked immediately", async () => {
  await using setting = await Setting.start();
  const { proxy, device } = setting;
  const weir = setting.connect();
  read(weir, newChannel());
  await openBy(weir, "websocket");
  proxy.hush();
  device.clock.sleep(3_600_000);
  assert.equal(weir.state.value.status, "open");
  device.clock.advance(5_000);
  await isState(weir, "reconnecting");
});

Deno.test("retries to an absent server become rarer, and begin with the best transport", async () => {
  await using setting = await Setting.start();
  const { proxy, server, device } = setting;
  const weir = setting.connect();
  const channel = newChannel();
  const found = read(weir, channel);
  await openBy(weir, "websocket");
  proxy.on(ALL_KINDS, { act: "refuse" });
  proxy.cut();
  const before = proxy.count();
  const waits: number[] = [];
  device.random = 0.999;
  const start = device.clock.now();
  let wait = await nextWait(weir);
  while (device.clock.now() - start < 3_600_000) {
    assert.equal(wait.at - wait.delay, device.clock.now());
    assert.equal(wait.error.code, "unreachable");
    waits.push(wait.delay);
    device.clock.advance(wait.delay);
    wait = await nextWait(weir, wait);
  }
  const bounds = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
  assert.deepEqual(waits.slice(0, 8), bounds.map((bound) => bound * device.random));
  const requests = proxy.count() - before;
  assert.ok(requests <= 4 * waits.length, `${requests} requests in an hour`);
  proxy.off();
  device.clock.advance(wait.delay);
  await openBy(weir, "websocket");
  await publish(server.url, channel, 1);
  await until("it came", () => found.length === 1);
});

Deno.test("events of the page end the wait, at most once a second", async () => {
  await using setting = await Setting.start();
  const { proxy, device } = setting;
  const weir = setting.connect();
  read(weir, newChannel());
  await openBy(weir, "websocket");
  device.clock.advance(20_000);
  await new Promise((resolve) => setTimeout(resolve)); // the pong
  device.random = 0.999;
  proxy.on(ALL_KINDS, { act: "refuse" });
  proxy.cut();
  let wait = await nextWait(weir);
  for (let i = 0; i < 6; i++) {
    device.clock.advance(wait.delay);
    wait = await nextWait(weir, wait);
  }
  const before = proxy.count(["websocket"]);
  device.changed();
  device.clock.advance(0);
  assert.equal(weir.state.value.status, "reconnecting");
  device.clock.advance(1_000);
  await until("it tries", () => proxy.count(["websocket"]) === before + 1);
});

Deno.test("without a network the client waits for it, and a hidden page waits longer", async () => {
  await using setting = await Setting.start();
  const { proxy, device } = setting;
  const weir = setting.connect();
  read(weir, newChannel());
  await openBy(weir, "websocket");
  device.isOnline = false;
  device.changed();
  await isState(weir, "offline");
  device.clock.advance(3_600_000);
  assert.equal(proxy.count(["websocket"]), 1);
  device.isOnline = true;
  device.changed();
  device.clock.advance(0);
  await openBy(weir, "websocket");

  device.isHidden = true;
  proxy.cut();
  const hidden = await isState(weir, "reconnecting");
  assert.ok(hidden.status === "reconnecting" && hidden.delay >= 10_000);
  device.isHidden = false;
  device.changed();
  device.clock.advance(1_000);
  await openBy(weir, "websocket");
});

Deno.test("retry() shortens the wait for the next try, but not to less than a second", async () => {
  await using setting = await Setting.start();
  const { proxy, device } = setting;
  const weir = setting.connect();
  read(weir, newChannel());
  await openBy(weir, "websocket");
  device.isHidden = true;
  proxy.on(["websocket"], { act: "refuse" });
  proxy.cut();
  await isState(weir, "reconnecting");
  device.clock.advance(0);
  weir.link.retry();
  weir.link.retry();
  const before = proxy.count(["websocket"]);
  device.clock.advance(999);
  assert.equal(proxy.count(["websocket"]), before);
  proxy.off();
  device.clock.advance(1);
  await openBy(weir, "websocket");
});

Deno.test("Retry-After and goodbyes are respected, and nothing shortens them", async () => {
  await using setting = await Setting.start();
  const { proxy, device } = setting;
  const problem = JSON.stringify({ code: "overloaded", detail: "Too much." });
  const text = answerOf("503 Service Unavailable", "application/problem+json", problem)
    .replace("\r\n", "\r\nRetry-After: 120\r\n");
  proxy.on(["short-poll"], { act: "answer", text });
  const weir = setting.connect({ transports: ["short-poll"] });
  read(weir, newChannel());
  const state = await isState(weir, "reconnecting");
  assert.ok(state.status === "reconnecting" && state.error.code === "overloaded");
  assert.ok(state.delay >= 120_000);
  proxy.off();
  device.changed();
  device.clock.advance(119_999);
  assert.equal(proxy.count(), 1);
  device.clock.advance(1);
  await openBy(weir, "short-poll");
});

Deno.test("without a WebSocket in the runtime the next transport is used", async () => {
  await using setting = await Setting.start();
  const weir = setting.connect({}, { WebSocket: undefined });
  read(weir, newChannel());
  await openBy(weir, "sse");
  const none = setting.connect({ transports: ["websocket"] }, { WebSocket: undefined });
  read(none, newChannel());
  const closed = await isState(none, "closed");
  assert.ok(closed.status === "closed" && closed.error?.code === "unreachable");
});

const ALL_KINDS = ["websocket", "sse", "long-poll", "short-poll", "publish", "other"] as const;
