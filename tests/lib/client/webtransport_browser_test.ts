import assert from "node:assert/strict";
import type { TransportName } from "../../../lib/client/api.ts";
import { bundleClient } from "../../../package/bundle.ts";
import { Chromium, CHROMIUM_MISSING } from "../../support/chromium.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { Firefox, FIREFOX_MISSING } from "../../support/firefox.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { checkRandomFaults, type RemoteClient } from "../../support/random_faults.ts";
import { readAll } from "../../support/readers.ts";
import { until } from "../../support/until.ts";

/** A page in a browser, which is closed with it. */
interface BrowserPage extends AsyncDisposable {
  /** Runs the body of an async function in the page. */
  run(body: string): Promise<unknown>;
  navigate(url: string): Promise<void>;
}

type OpenPage = (url: string) => Promise<BrowserPage>;

const openInChromium: OpenPage = async (url) => {
  const chromium = await Chromium.open();
  const { page } = chromium;
  await page.goto(url);
  return {
    run: (body) => page.evaluate(`(async () => {${body}})()`),
    navigate: async (other) => void await page.goto(other),
    [Symbol.asyncDispose]: () => chromium[Symbol.asyncDispose](),
  };
};

const openInFirefox: OpenPage = async (url) => {
  const firefox = await Firefox.open();
  const tab = await firefox.openPage(url, () => {});
  return {
    run: (body) => firefox.evaluate(tab, `(async () => {${body}})()`),
    navigate: (other) => firefox.navigate(tab, other),
    [Symbol.asyncDispose]: () => firefox[Symbol.asyncDispose](),
  };
};

/** Reads the channel that its URL names, with the minified client, and tells its site everything. */
const PAGE = `<!doctype html><title>page</title><script type="module">
import { connect } from "./weir.min.js";
const { url, channel, transports } = JSON.parse(decodeURIComponent(location.search.slice(1)));
let told = Promise.resolve();
const tell = (...what) => {
  told = told.then(() => fetch("/told", { method: "POST", body: JSON.stringify(what) }));
};
const weir = globalThis.weir = connect(url, { transports });
weir.state.subscribe(({ status, transport = "" }) => tell("state", (status + " " + transport).trim()));
weir.listen(channel, {
  after: "earliest",
  onGap: "throw",
  onEvent: ({ data }) => tell("data", data),
  onEphemeral: ({ data }) => tell("ephemeral", data),
  onError: (error) => tell("state", String(error)),
});
globalThis.publish = (data) => Promise.all(data.map((one) => weir.publish(channel, one)));
globalThis.shout = (data) => weir.publish(channel, data, { ephemeral: true });
</script>`;

/** The modules of the package, by their file names. */
let modules: Promise<ReadonlyMap<string, string>> | undefined;

async function buildModules(): Promise<ReadonlyMap<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "weir_modules_" });
  try {
    await bundleClient(new URL(`file://${folder}/`));
    const texts = new Map<string, string>();
    for await (const { name } of Deno.readDir(folder)) {
      if (name.endsWith(".min.js")) texts.set(name, await Deno.readTextFile(`${folder}/${name}`));
    }
    return texts;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a page has told, in order. */
interface Told {
  readonly data: string[];
  readonly ephemeral: unknown[];
  readonly state: string[];
}

/** A page of another origin that reads a channel, in its own browser. */
class Site implements RemoteClient {
  readonly told: Told;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #page: BrowserPage;

  private constructor(told: Told, server: Deno.HttpServer<Deno.NetAddr>, page: BrowserPage) {
    this.told = told;
    this.#server = server;
    this.#page = page;
  }

  static async open(
    openPage: OpenPage,
    url: string,
    channel: string,
    transports: readonly TransportName[] = ["webtransport", "websocket", "sse", "long-poll"],
  ): Promise<Site> {
    const files = await (modules ??= buildModules());
    const told: Told = { data: [], ephemeral: [], state: [] };
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    const server = Deno.serve(options, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/told") {
        const [kind, value]: [keyof Told, never] = await request.json();
        told[kind].push(value);
        return new Response();
      }
      const script = files.get(pathname.slice(1));
      const type = script === undefined ? "text/html" : "text/javascript";
      const text = script ?? (pathname === "/page" ? PAGE : "<!doctype html><title>other</title>");
      return new Response(text, { headers: { "Content-Type": type } });
    });
    const origin = `http://127.0.0.1:${server.addr.port}`;
    const query = encodeURIComponent(JSON.stringify({ url, channel, transports }));
    return new Site(told, server, await openPage(`${origin}/page?${query}`));
  }

  get data(): readonly string[] {
    return this.told.data;
  }

  /** Publishes from the page and resolves once all publishes are acknowledged. */
  async publish(...data: readonly string[]): Promise<void> {
    await this.#page.run(`await publish(${JSON.stringify(data)})`);
  }

  /** Publishes an ephemeral event. */
  async shout(data: unknown): Promise<void> {
    await this.#page.run(`await shout(${JSON.stringify(data)})`);
  }

  /** Opens another page in its place. */
  async leave(): Promise<void> {
    await this.#page.navigate(`http://127.0.0.1:${this.#server.addr.port}/other`);
  }

  async isOpenBy(transport: TransportName): Promise<void> {
    await until(
      `it is open by ${transport}`,
      () => this.told.state.at(-1) === `open ${transport}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#page[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}

async function startServer(): Promise<LocalServer> {
  const server = await LocalServer.start({ WEIR_HEARTBEAT: "1s" });
  await server.serveWebTransport();
  return server;
}

for (
  const [browser, ignore, openPage] of [
    ["Chromium", CHROMIUM_MISSING, openInChromium],
    ["Firefox", FIREFOX_MISSING, openInFirefox],
  ] as const
) {
  Deno.test(
    `${browser} over WebTransport: events, publishes and datagrams come, until the page is left`,
    { ignore },
    async () => {
      await using server = await startServer();
      const channel = newChannel();
      await publish(server.url, channel, "first");
      await using site = await Site.open(openPage, server.url, channel, ["webtransport"]);
      const { told } = site;
      await until("it is read", () => told.data.length === 1);
      await site.isOpenBy("webtransport");
      await site.publish("own 1", "own 2");
      const large = "x".repeat(300_000); // more than may be unacknowledged
      for (let i = 0; i < 4; i++) await publish(server.url, channel, large);
      await until("all are read", () => told.data.length === 7);
      assert.deepEqual(told.data, ["first", "own 1", "own 2", large, large, large, large]);
      await until("a datagram came back", async () => {
        await site.shout("small"); // one may be lost
        return told.ephemeral.includes("small");
      });
      await site.shout("y".repeat(2_000));
      await until("a large one came", () => told.ephemeral.length > 1);
      const connections = server.server.webTransport.openConnections;
      assert.equal(connections.size, 1);
      await site.leave();
      await until("the connection has ended", () => connections.size === 0);
    },
  );

  Deno.test(
    `${browser}: when UDP dies the next transport continues without loss`,
    { ignore },
    async () => {
      await using server = await startServer();
      await using proxy = FaultProxy.withUdp(server.port);
      const channel = newChannel();
      await using site = await Site.open(openPage, proxy.url, channel);
      await site.isOpenBy("webtransport");
      await publish(server.url, channel, "before");
      await until("it is read", () => site.data.length === 1);
      proxy.on(["webtransport"], { act: "refuse" });
      proxy.cut(["webtransport"]);
      const own = site.publish("own 1", "own 2");
      for (let i = 0; i < 10; i++) await publish(server.url, channel, `meanwhile ${i}`);
      await site.isOpenBy("websocket");
      await own;
      await publish(server.url, channel, "last");
      await until("all is read", () => site.data.includes("last"));
      const log = (await readAll(server.url, channel)).map(({ data }) => String(data));
      assert.deepEqual(site.data, log);
      assert.equal(log.length, 14);
    },
  );
}

Deno.test(
  "Chromium over WebTransport: each event arrives once and in order, despite random faults",
  { ignore: CHROMIUM_MISSING },
  () =>
    checkRandomFaults((url, channel) => Site.open(openInChromium, url, channel), {
      hasWebTransport: true,
    }),
);
