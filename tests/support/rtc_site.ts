import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Chromium, CHROMIUM_MISSING } from "./chromium.ts";
import { bundleModule } from "./client_bundle.ts";

const PAGE = new URL("../lib/client/rtc/page.ts", import.meta.url);
/** Flags of a Chromium with a camera and a microphone that need no permission. */
export const FAKE_DEVICES = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

/** Registers a test of rooms that are all in one page, on a double of the server. */
export function pageTest(name: string, run: (page: Page) => Promise<void>): void {
  Deno.test(`rooms in one page: ${name}`, { ignore: CHROMIUM_MISSING }, async () => {
    await using site = await RtcSite.open();
    await run(site.page);
    assert.deepEqual(site.chromium.errors, []);
  });
}

/** A site whose pages have `weir-client/rtc` as the global `rtc`, in a browser with fake devices. */
export class RtcSite implements AsyncDisposable {
  readonly chromium: Chromium;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(chromium: Chromium, server: Deno.HttpServer<Deno.NetAddr>) {
    this.chromium = chromium;
    this.#server = server;
  }

  static async open(): Promise<RtcSite> {
    const script = await bundleModule(PAGE);
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      const isScript = url.endsWith("/page.js");
      const html =
        `<!doctype html><title>RTC</title><link rel="icon" href="data:,"><script src="page.js"></script>`;
      const type = isScript ? "text/javascript" : "text/html";
      return new Response(isScript ? script : html, { headers: { "Content-Type": type } });
    });
    const site = new RtcSite(await Chromium.open(FAKE_DEVICES), server);
    await site.#load(site.page);
    return site;
  }

  get page(): Page {
    return this.chromium.page;
  }

  async newTab(): Promise<Page> {
    return await this.#load(await this.chromium.newTab());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.chromium[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }

  async #load(page: Page): Promise<Page> {
    await page.goto(`http://127.0.0.1:${this.#server.addr.port}/`);
    return page;
  }
}
