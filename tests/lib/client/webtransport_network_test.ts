import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { connect, TransportName } from "../../../lib/client/client.ts";
import { CHROMIUM_MISSING } from "../../support/chromium.ts";
import { bundleClient } from "../../support/client_bundle.ts";
import { LoopbackNetwork } from "../../support/loopback_network.ts";
import { NAMESPACES_MISSING } from "../../support/lossy_network.ts";
import { WeirServer } from "../../support/server.ts";
import { until } from "../../support/until.ts";

/** The channels: of small events, and of large ones. */
const SIZES = { small: 0, large: 100_000 } as const;
type Channel = keyof typeof SIZES;

/** What the page has received, by channel, and the transports that it used. */
interface Seen {
  readonly small: number[];
  readonly large: number[];
  readonly transports: TransportName[];
}

declare const seen: Seen;

/** A server and a browser in a network of their own. */
class World implements AsyncDisposable {
  readonly network: LoopbackNetwork;
  readonly server: WeirServer;
  readonly #page: Page;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    network: LoopbackNetwork,
    server: WeirServer,
    page: Page,
    resources: AsyncDisposableStack,
  ) {
    this.network = network;
    this.server = server;
    this.#page = page;
    this.#resources = resources;
  }

  /** Opens a page that reads both channels from their start. */
  static async open(transports: readonly TransportName[]): Promise<World> {
    await using resources = new AsyncDisposableStack();
    const network = resources.use(await LoopbackNetwork.create());
    const server = resources.use(await WeirServer.start({ within: network.within }));
    const { page } = await network.openChromium();
    const script = await bundleClient();
    await page.route(
      "**/test/*",
      (route) =>
        route.request().url().endsWith(".js")
          ? route.fulfill({ contentType: "text/javascript", body: script })
          : route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Test</title>" }),
    );
    await page.goto(`${server.url}/test/page`);
    await page.evaluate(async ([transports, channels]) => {
      const path = "/test/weir.js";
      const client: { readonly connect: typeof connect } = await import(path);
      const seen: Seen = { small: [], large: [], transports: [] };
      Object.assign(globalThis, { seen });
      const weir = client.connect(location.origin, { transports });
      weir.state.subscribe((state) => {
        if (state.status === "open") seen.transports.push(state.transport);
      });
      for (const channel of channels) {
        weir.listen<{ readonly n: number }>(channel, {
          after: "earliest",
          onGap: "throw",
          onEvent: ({ data }) => void seen[channel].push(data.n),
        });
      }
    }, [transports, Object.keys(SIZES) as Channel[]] as const);
    await until("the page is connected", () => page.evaluate(() => seen.transports.length > 0));
    return new World(network, server, page, resources.move());
  }

  async seen(): Promise<Seen> {
    return await this.#page.evaluate(() => seen);
  }

  /** Publishes `from` to `to` on both channels at once, from the page. */
  async publish(from: number, to: number): Promise<void> {
    await this.#page.evaluate(async ([from, to, sizes]) => {
      const work = Object.entries(sizes).map(async ([channel, size]) => {
        for (let n = from; n <= to; n++) {
          const response = await fetch(`/v1/channels/${channel}/events`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ n, pad: "x".repeat(size) }),
          });
          if (!response.ok) throw new Error(await response.text());
        }
      });
      await Promise.all(work);
    }, [from, to, SIZES] as const);
  }

  /** Checks that the page receives 1 to `count` on both channels, each once and in order. */
  async receives(count: number): Promise<void> {
    let last: Seen | undefined;
    await until(`${count} events have come on both channels`, async () => {
      last = await this.seen();
      return last.small.length >= count && last.large.length >= count;
    });
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    assert.deepEqual(last?.small, numbers);
    assert.deepEqual(last?.large, numbers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function test(name: string, work: () => Promise<void>): void {
  Deno.test(`in Chromium ${name}`, { ignore: CHROMIUM_MISSING || NAMESPACES_MISSING }, work);
}

test("WebTransport loses and repeats nothing where 5 % of the packets are lost", async () => {
  await using world = await World.open(["webtransport"]);
  await world.network.lose(world.server.port, 0.05);
  await world.publish(1, 100);
  await world.receives(100);
  const { transports } = await world.seen();
  assert.equal(transports.at(-1), "webtransport");
});

test("a client whose UDP is blocked continues over WebSocket, and loses nothing", async () => {
  await using world = await World.open(["webtransport", "websocket"]);
  await world.publish(1, 20);
  await world.receives(20);
  assert.deepEqual((await world.seen()).transports, ["webtransport"]);
  await world.network.blockUdp();
  await world.publish(21, 40);
  await world.receives(40);
  assert.deepEqual((await world.seen()).transports, ["webtransport", "websocket"]);
});
