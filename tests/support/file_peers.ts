import type { Page } from "playwright-core";
import { bundleFile } from "./client_bundle.ts";
import { Chromium } from "./chromium.ts";
import type { FilePeerPage } from "./file_peer_page.ts";
import { until } from "./until.ts";

/** Names a page of a secure context, which needs no server. */
const URL_OF_PAGES = "http://localhost:1/";

/** Two tabs, ann's and bob's, which transfer files with each other. */
export class FilePeers implements AsyncDisposable {
  readonly chromium: Chromium;
  readonly ann: FilePeer;
  readonly bob: FilePeer;

  private constructor(chromium: Chromium, ann: Page, bob: Page) {
    this.chromium = chromium;
    this.ann = new FilePeer(ann);
    this.bob = new FilePeer(bob);
  }

  /** @param program starts the browser. */
  static async open(program?: string): Promise<FilePeers> {
    const script = await bundleFile(new URL("file_peer_page.ts", import.meta.url));
    // Without it, hosts are names that a machine without multicast does not resolve.
    const flags = ["--disable-features=WebRtcHideLocalIpsWithMdns"];
    const chromium = await Chromium.open(flags, program);
    await chromium.page.context().route(`${URL_OF_PAGES}**`, (route) =>
      route.fulfill(
        route.request().url().endsWith(".js") ? { contentType: "text/javascript", body: script } : {
          contentType: "text/html",
          body:
            `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/p.js"></script>`,
        },
      ));
    const bob = await chromium.newTab();
    const peers = new FilePeers(chromium, chromium.page, bob);
    await peers.ann.load("ann");
    await peers.bob.load("bob");
    return peers;
  }

  /** Connects the two. */
  async connect(connections?: number): Promise<void> {
    if (connections !== undefined) await this.ann.call("setConnections", connections);
    await this.bob.call("call", connections);
    await this.ann.call("connected");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.chromium[Symbol.asyncDispose]();
  }
}

type Functions = {
  [Name in keyof FilePeerPage]: (...args: Parameters<FilePeerPage[Name]>) => unknown;
};

export class FilePeer {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Opens the page, again too. */
  async load(name: string): Promise<void> {
    await this.page.goto(`${URL_OF_PAGES}#${name}`);
    await this.page.waitForFunction(() => "page" in globalThis);
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.page.waitForFunction(() => "page" in globalThis);
  }

  /** Calls a function in the page. */
  async call<Name extends keyof Functions>(
    name: Name,
    ...args: Parameters<FilePeerPage[Name]>
  ): Promise<Awaited<ReturnType<FilePeerPage[Name]>>> {
    return await this.page.evaluate(
      // deno-lint-ignore no-explicit-any -- a global of the page
      ([name, args]) => (globalThis as any).page[name](...args),
      [name, args] as const,
    );
  }

  /** Resolves once the nth file that this side sends, or receives, has a status. */
  async reaches(list: "sent" | "received", n: number, status: string): Promise<void> {
    let last: unknown;
    await until(`file ${n} is ${status}`, async () => {
      const state = (await this.call(list))[n];
      if (state?.status === "failed" && status !== "failed") throw new Error(state.error);
      last = state;
      return state?.status === status;
    }, 240_000).catch((cause) => {
      throw new Error(`${list} ${n}: ${JSON.stringify(last)}`, { cause });
    });
  }

  /** Resolves once the first file that this side receives has so many bytes. */
  async hasBytes(bytes: number): Promise<void> {
    await until(`${bytes} bytes have arrived`, async () => {
      return ((await this.call("received"))[0]?.bytes ?? 0) >= bytes;
    });
  }

  /** Resolves once nothing is left of received files. */
  async storesNoFiles(): Promise<void> {
    await until("the files are deleted", async () => await this.call("storedFiles") === 0);
  }
}
