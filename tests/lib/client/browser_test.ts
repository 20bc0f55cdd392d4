import assert from "node:assert/strict";
import type { CDPSession, Page } from "playwright-core";
import { type TransportName, TRANSPORTS } from "../../../lib/client/api.ts";
import { Chromium, CHROMIUM_MISSING } from "../../support/chromium.ts";
import { bundleClient } from "../../support/client_bundle.ts";
import { FaultProxy, READS } from "../../support/fault_proxy.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { readAll } from "../../support/readers.ts";
import { WeirServer } from "../../support/server.ts";
import { checkRandomFaults, type RemoteClient } from "../../support/random_faults.ts";
import { until } from "../../support/until.ts";

const HEARTBEAT = { WEIR_HEARTBEAT: "1s" };

function test(name: string, work: () => Promise<void>): void {
  Deno.test(`in Chromium ${name}`, { ignore: CHROMIUM_MISSING }, work);
}

/** A page of another origin that reads a channel, in its own browser. */
class Site implements RemoteClient {
  readonly page: Page;
  readonly data: string[] = [];
  readonly states: string[] = [];
  readonly #chromium: Chromium;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Uncaught errors. */
  readonly #uncaught: string[] = [];

  private constructor(chromium: Chromium, server: Deno.HttpServer<Deno.NetAddr>) {
    this.#chromium = chromium;
    this.#server = server;
    this.page = chromium.page;
    this.page.on("pageerror", (error) => this.#uncaught.push(String(error)));
  }

  static async open(
    url: string,
    channel: string,
    transports: readonly TransportName[] = TRANSPORTS,
  ): Promise<Site> {
    const script = await bundleClient();
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ url: asked }) =>
        asked.endsWith("/weir.js")
          ? new Response(script, { headers: { "Content-Type": "text/javascript" } })
          : new Response(PAGE, { headers: { "Content-Type": "text/html" } }),
    );
    const site = new Site(await Chromium.open(), server);
    await site.page.exposeFunction("seen", (data: string) => void site.data.push(data));
    await site.page.exposeFunction("state", (state: string) => void site.states.push(state));
    await site.page.goto(`http://127.0.0.1:${server.addr.port}/`);
    await site.page.evaluate(
      (args) => (globalThis as unknown as PageGlobals).start(...args),
      [url, channel, transports] as const,
    );
    return site;
  }

  /** Publishes from the page and resolves once all publishes are acknowledged. */
  async publish(...data: readonly string[]): Promise<void> {
    await this.page.evaluate(
      (data) => (globalThis as unknown as PageGlobals).publish(data),
      data,
    );
  }

  async close(): Promise<void> {
    await this.page.evaluate(() => (globalThis as unknown as PageGlobals).close());
  }

  cdp(): Promise<CDPSession> {
    return this.page.context().newCDPSession(this.page);
  }

  /** Sets whether the page is hidden. */
  async setHidden(isHidden: boolean): Promise<void> {
    await this.page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden ? "hidden" : "visible");
  }

  /** Waits until `what` was read, and checks that it equals the log, in order. */
  async assertRead(url: string, channel: string, what: string): Promise<void> {
    await until(`${what} is read`, () => this.data.includes(what));
    const log = await readAll(url, channel);
    await until("all is read", () => this.data.length >= log.length);
    assert.deepEqual(this.data, log.map(({ data }) => data));
    assert.deepEqual(this.#uncaught, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chromium[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}

interface PageGlobals {
  /** The last wait before a retry, in ms. */
  readonly delay: number;
  start(url: string, channel: string, transports: readonly TransportName[]): void;
  publish(data: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

const PAGE = `<!doctype html><title>Site</title><link rel="icon" href="data:,">
<script type="module">
  import { connect } from "./weir.js";
  globalThis.start = (url, channel, transports) => {
    const weir = connect(url, { transports });
    let next = 0;
    weir.state.subscribe(({ status, transport, at, delay }) => {
      if (status === "reconnecting") [next, globalThis.delay] = [at, delay];
      if (status === "connecting" && Date.now() < next) state("early");
      state(status === "open" ? transport : status);
    });
    weir.listen(channel, {
      after: "earliest",
      onEvent: ({ data }) => seen(data),
      onGap: "throw",
      onError: (error) => state(String(error)),
    });
    globalThis.publish = (data) => Promise.all(data.map((one) => weir.publish(channel, one)));
    globalThis.close = () => weir.close();
  };
</script>`;

for (const transport of READS) {
  test(`over ${transport}: cuts, silence and publishes meanwhile cause no loss or duplicates`, async () => {
    await using server = await LocalServer.start(HEARTBEAT);
    await using proxy = new FaultProxy(server.port);
    const channel = newChannel();
    await using site = await Site.open(proxy.url, channel, [transport]);
    await publish(server.url, channel, "live");
    await until("it is read", () => site.data.length === 1);
    proxy.cut();
    await publish(server.url, channel, "after a cut");
    await until("it is read", () => site.data.length === 2);
    proxy.next([transport], { act: "cut", way: "down", after: 170 });
    proxy.cut([transport]);
    await publish(server.url, channel, "after a cut within an answer");
    await until("it is read", () => site.data.length === 3);
    // Long polls do not know the server's heartbeat, so silence is detected after 30 s.
    if (transport !== "long-poll") proxy.hush([transport]);
    proxy.next(["publish"], { act: "cut", way: "down", after: 12 });
    await site.publish("own 1", "own 2", "own 3");
    await publish(server.url, channel, "last");
    await site.assertRead(server.url, channel, "last");
    assert.ok(proxy.requests.length < 120, `${proxy.requests.length} requests`);
    await site.close();
    // Chromium waits for the close frame of the server, which a silent one never sends.
    proxy.cut(["websocket"]);
    await until("every connection is closed", () => proxy.open() === 0);
  });
}

test("each event arrives once and in order, despite random faults", () =>
  checkRandomFaults(Site.open));

test("an offline page reports it, and catches up and publishes when it is back online", async () => {
  await using server = await LocalServer.start(HEARTBEAT);
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  await using site = await Site.open(proxy.url, channel);
  await until("it is open", () => site.states.includes("websocket"));
  for (let round = 0; round < 3; round++) {
    await site.page.context().setOffline(true);
    await until("it says so", () => site.states.at(-1) === "offline");
    const own = site.publish(`own ${round}a`, `own ${round}b`);
    await publish(server.url, channel, `meanwhile ${round}`);
    const asked = proxy.requests.length;
    await site.page.context().setOffline(false);
    await own;
    await site.assertRead(server.url, channel, `meanwhile ${round}`);
    assert.equal(site.states.at(-1), "websocket");
    assert.ok(proxy.requests.length - asked < 12, `${proxy.requests.length - asked} requests`);
  }
  const log = (await readAll(server.url, channel)).map(({ data }) => String(data));
  assert.deepEqual(
    log.filter((data) => data.startsWith("own")),
    [0, 1, 2].flatMap((round) => [`own ${round}a`, `own ${round}b`]),
  );
});

test("reading continues after the server is killed and restarted on its file", async () => {
  await using server = await WeirServer.start({ env: HEARTBEAT });
  const channel = newChannel();
  await using site = await Site.open(server.url, channel);
  await publish(server.url, channel, "before");
  await until("it is read", () => site.data.length === 1);
  for (let round = 0; round < 2; round++) {
    await server.kill();
    await until("it has noticed", () => site.states.at(-1) !== "websocket");
    const own = site.publish(`own ${round}`);
    await server.start();
    await publish(server.url, channel, `after ${round}`);
    await own;
    await site.assertRead(server.url, channel, `after ${round}`);
  }
});

test("a hidden page rarely retries an absent server, and immediately when it is shown", async () => {
  const server = await LocalServer.start(HEARTBEAT);
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  await using site = await Site.open(proxy.url, channel);
  await until("it is open", () => site.states.includes("websocket"));
  await site.setHidden(true);
  await server[Symbol.asyncDispose]();
  await until("it has noticed", () => site.states.at(-1) === "reconnecting");
  await using again = await LocalServer.start(HEARTBEAT);
  proxy.target = again.port;
  const delay = await site.page.evaluate(() => (globalThis as unknown as PageGlobals).delay);
  assert.ok(delay >= 10_000, `${delay} ms`);
  // The proxy is no witness of retries: a request that the client gave up may still arrive there.
  const { length } = site.states;
  await publish(again.url, channel, "x");
  assert.deepEqual(site.states.slice(length), []);
  await site.setHidden(false);
  await until("it is open again", () => site.states.at(-1) === "websocket");
  assert.ok(site.states.includes("early"), "it came back before its wait was over");
  await site.assertRead(again.url, channel, "x");
});

test("a page that was frozen, as by a sleeping laptop, continues where it was", async () => {
  await using server = await LocalServer.start(HEARTBEAT);
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  await using site = await Site.open(proxy.url, channel);
  await until("it is open", () => site.states.includes("websocket"));
  const cdp = await site.cdp();
  await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
  // The page cannot know what the network does meanwhile.
  proxy.hush();
  for (let n = 0; n < 20; n++) await publish(server.url, channel, `asleep ${n}`);
  await cdp.send("Page.setWebLifecycleState", { state: "active" });
  await site.setHidden(false);
  await site.assertRead(server.url, channel, "asleep 19");
});

test("a slow network does not count as silence", async () => {
  await using server = await LocalServer.start(HEARTBEAT);
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  await using site = await Site.open(proxy.url, channel, ["sse", "long-poll", "short-poll"]);
  await until("it is open", () => site.states.includes("sse"));
  const cdp = await site.cdp();
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 400,
    downloadThroughput: 25_000,
    uploadThroughput: 25_000,
  });
  proxy.cut();
  for (let n = 0; n < 40; n++) await publish(server.url, channel, `${n} ${"x".repeat(1_000)}`);
  await site.publish("own 1", "own 2");
  await publish(server.url, channel, "last");
  await site.assertRead(server.url, channel, "last");
  const asked = proxy.requests.length;
  await publish(server.url, channel, "one more");
  await site.assertRead(server.url, channel, "one more");
  assert.equal(proxy.requests.length, asked, "it stays on its stream");
});
