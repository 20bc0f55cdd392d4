import assert from "node:assert/strict";
import { build, stop } from "esbuild";
import type { BrowserContext, Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

const CLIENT = new URL("../../../../lib/client/", import.meta.url).pathname;
const options = { ignore: CHROMIUM_MISSING };

Deno.test(
  "tabs share one WebSocket, and no event is lost when the leader closes under load",
  options,
  async () => {
    await using world = await World.make();
    const { url, channel } = world;
    const tabs = [await world.openTab(), await world.openTab(), await world.openTab()];
    await until("all read", () => tabs.every(({ isReading }) => isReading));
    assert.equal(world.sockets, 1);

    let published = 0;
    const load = (async () => {
      while (published < 400) await publish(url, channel, `load ${++published}`);
    })();
    for (const tab of tabs.slice(1)) await tab.publish(30);
    await until("some are there", () => tabs.every(({ seen }) => seen.length > 50));
    await world.leader().page.close();
    await until("another tab leads", () => world.sockets === 2);
    await until("it continues", () => published > 200);
    const [second, last] = tabs.slice(1).sort((a) => a === world.leader() ? -1 : 1);
    assert.ok(second !== undefined && last !== undefined);
    await second.published();
    await second.page.close();
    await load;
    await last.published();

    const log = await world.log();
    assert.equal(log.length, 460);
    assert.equal(new Set(log).size, 460);
    await until("the last tab has all", () => last.seen.length >= 460);
    assert.deepEqual(last.seen, log);
    assert.deepEqual(second.seen, log.slice(0, second.seen.length));
    await until("the last leads", () => world.sockets === 3); // all tabs may have read everything before
    for (const name of [second.name, last.name]) {
      const own = log.filter((data) => data.startsWith(name));
      assert.deepEqual(own, Array.from({ length: 30 }, (_, i) => `${name} ${i}`));
    }
    assert.deepEqual(world.errors, []);
  },
);

Deno.test("another tab takes over when the leader crashes", options, async () => {
  await using world = await World.make();
  const tabs = [await world.openTab(), await world.openTab()];
  await until("all read", () => tabs.every(({ isReading }) => isReading));
  await tabs[1]?.enter();
  await until("a member is there", async () => (await world.members()).length === 1);
  const leader = world.leader();
  assert.equal(leader, tabs[0]);
  const session = await leader.page.context().newCDPSession(leader.page);
  // The tab crashes before it can answer.
  void session.send("Page.crash").catch(() => {});
  await until("another tab leads", () => world.sockets === 2);
  await publish(world.url, world.channel, "after");
  await until("it is read", () => tabs[1]?.seen.at(-1) === "after");
  assert.deepEqual(await world.members(), ["follower"]);
});

/** One tab of the site. */
class Tab {
  readonly seen: string[] = [];
  readonly page: Page;
  readonly name: string;
  isReading = false;

  constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
  }

  /** Publishes this many events from the tab. */
  async publish(count: number): Promise<void> {
    await this.page.evaluate((count) => {
      const tab = globalThis as unknown as TabGlobals;
      tab.publishes = Promise.all(Array.from({ length: count }, (_, i) => tab.send(i)));
    }, count);
  }

  /** Resolves once all publishes are acknowledged. */
  async published(): Promise<void> {
    await this.page.evaluate(() => (globalThis as unknown as TabGlobals).publishes);
  }

  async enter(): Promise<void> {
    await this.page.evaluate(() => (globalThis as unknown as TabGlobals).enter());
  }
}

/** What the page's script exposes to a test. */
interface TabGlobals {
  publishes: Promise<unknown>;
  send(n: number): Promise<unknown>;
  enter(): Promise<void>;
}

/** A server, and a site whose tabs read a channel over one connection. */
class World implements AsyncDisposable {
  readonly channel = newChannel();
  readonly tabs: Tab[] = [];
  readonly #server: LocalServer;
  readonly #site: Deno.HttpServer<Deno.NetAddr>;
  readonly #chromium: Chromium;
  readonly #context: BrowserContext;
  /** Uncaught errors and errors in the console. */
  readonly errors: string[] = [];
  /** Each WebSocket that was opened, in order. */
  readonly #opened: Tab[] = [];

  private constructor(
    server: LocalServer,
    chromium: Chromium,
    context: BrowserContext,
    script: string,
  ) {
    this.#server = server;
    this.#context = context;
    this.#chromium = chromium;
    this.#site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      const isScript = url.endsWith("/weir.js");
      const type = isScript ? "text/javascript" : "text/html";
      return new Response(isScript ? script : this.#page(), { headers: { "Content-Type": type } });
    });
  }

  static async make(): Promise<World> {
    const { outputFiles: [bundle] } = await build({
      stdin: {
        contents: `export * from "./client.ts"; export * from "./tabs/tabs.ts";`,
        resolveDir: CLIENT,
      },
      bundle: true,
      format: "esm",
      target: "es2022",
      write: false,
    }).finally(stop);
    const chromium = await Chromium.open();
    const context = await chromium.page.context().browser()?.newContext();
    assert.ok(context !== undefined);
    return new World(await LocalServer.start(), chromium, context, bundle?.text ?? "");
  }

  get url(): string {
    return this.#server.url;
  }

  /** Number of WebSockets that were opened. */
  get sockets(): number {
    return this.#opened.length;
  }

  async openTab(): Promise<Tab> {
    const page = await this.#context.newPage();
    const tab = new Tab(page, `tab${this.tabs.length}`);
    this.tabs.push(tab);
    page.on("websocket", () => this.#opened.push(tab));
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && this.errors.push(message.text()));
    await page.exposeFunction("seen", (data: string) => void tab.seen.push(data));
    await page.exposeFunction("reading", () => void (tab.isReading = true));
    await page.goto(`http://127.0.0.1:${this.#site.addr.port}/?${tab.name}`);
    return tab;
  }

  /** The tab that has the connection. */
  leader(): Tab {
    const leader = this.#opened.at(-1);
    if (leader === undefined) throw new Error("no tab leads");
    return leader;
  }

  /** Returns the stored events. */
  async log(): Promise<readonly string[]> {
    const path = `/v1/channels/${encodeURIComponent(this.channel)}/events?limit=1000`;
    const { events } = await (await fetch(`${this.url}${path}`)).json();
    return events.map(({ data }: { data: string }) => data);
  }

  async members(): Promise<readonly string[]> {
    const path = `/v1/channels/${encodeURIComponent(this.channel)}/members`;
    const { members } = await (await fetch(`${this.url}${path}`)).json();
    return members.map(({ member }: { member: string }) => member);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chromium[Symbol.asyncDispose]();
    await this.#site.shutdown();
    await this.#server[Symbol.asyncDispose]();
  }

  #page(): string {
    return `<!doctype html><title>Tab</title><link rel="icon" href="data:,"><script type="module">
      import { connect, sharedTabs } from "../weir.js";
      const weir = connect("${this.url}", { tabs: sharedTabs("test"), transports: ["websocket"] });
      const channel = "${this.channel}";
      const name = location.search.slice(1);
      weir.listen(channel, {
        after: "earliest",
        onStart: () => reading(),
        onEvent: ({ data }) => seen(data),
        onGap: "throw",
        onError: (error) => console.error(String(error)),
      });
      globalThis.send = (n) => weir.publish(channel, name + " " + n);
      globalThis.enter = () => weir.presence(channel).enter(1, { member: "follower" });
    </script>`;
  }
}
