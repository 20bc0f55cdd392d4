import type { Page } from "playwright-core";
import { Chromium } from "./chromium.ts";
import { bundleModule } from "./client_bundle.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { chromiumIn, runCommand } from "./network_namespace.ts";

const PAGE = new URL("../lib/client/rtc/page.ts", import.meta.url);
/** Names a page of a secure context, which needs no server. */
const URL_OF_PAGE = "http://localhost:1/";
const FLAGS = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  // Hosts are names otherwise, which nothing resolves here; and the server is not on this host.
  "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
];

/** A host in a network namespace of its own, with a page that has the global `rtc`. */
export interface Host {
  readonly page: Page;
  /** The way to the server. */
  readonly proxy: FaultProxy;
  /** Unplugs the link to the other host, or plugs it in again. */
  plug(isPlugged: boolean): Promise<void>;
  /** Gives the host another address on this link, instead of the one that it has. */
  move(): Promise<void>;
}

/**
 * Two hosts with a link between them and one from each to the server. Needs what
 * `NAMESPACES_MISSING` of `lossy_network.ts` checks.
 */
export class TwoHosts implements AsyncDisposable {
  readonly hosts: readonly [Host, Host];
  readonly #resources: AsyncDisposableStack;

  private constructor(hosts: readonly [Host, Host], resources: AsyncDisposableStack) {
    this.hosts = hosts;
    this.#resources = resources;
  }

  /** @param port the server's, on 127.0.0.1. */
  static async create(port: number): Promise<TwoHosts> {
    await using resources = new AsyncDisposableStack();
    const script = await bundleModule(PAGE);
    // Parallel runs have other names and addresses.
    const id = crypto.randomUUID().slice(0, 6);
    const [x = 0, y = 0] = crypto.getRandomValues(new Uint8Array(2));
    const subnet = (link: number) => `10.${64 + x % 128}.${(y + link) % 256}`;
    const names = [`weir-${id}-1`, `weir-${id}-2`] as const;
    for (const name of names) {
      await runCommand(`ip netns add ${name}`);
      resources.defer(() => runCommand(`ip netns delete ${name}`));
    }
    await runCommand(
      `ip link add peer netns ${names[0]} type veth peer name peer netns ${names[1]}`,
    );
    const openHost = async (i: 0 | 1): Promise<Host> => {
      const name = names[i];
      const server = `w${id}${i}`;
      await runCommand(`ip link add ${server} type veth peer name server netns ${name}`);
      await runCommand(`ip address add ${subnet(i)}.1/24 dev ${server}`);
      await runCommand(`ip link set ${server} up`);
      await runCommand(`ip -netns ${name} address add ${subnet(i)}.2/24 dev server`);
      let address = `${subnet(2)}.${i + 1}/24`;
      await runCommand(`ip -netns ${name} address add ${address} dev peer`);
      for (const device of ["lo", "server", "peer"]) {
        await runCommand(`ip -netns ${name} link set ${device} up`);
      }
      const proxy = resources.use(new FaultProxy(port, `${subnet(i)}.1`));
      const chromium = resources.use(await openChromium(name, `${subnet(i)}.1`, resources));
      return {
        page: await openPage(chromium, script),
        proxy,
        plug: (isPlugged) =>
          runCommand(`ip -netns ${name} link set peer ${isPlugged ? "up" : "down"}`),
        move: async () => {
          await runCommand(`ip -netns ${name} address delete ${address} dev peer`);
          address = `${subnet(2)}.${i + 101}/24`;
          await runCommand(`ip -netns ${name} address add ${address} dev peer`);
        },
      };
    };
    const hosts = [await openHost(0), await openHost(1)] as const;
    return new TwoHosts(hosts, resources.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Opens a browser in the namespace. @param server the address to use instead of 127.0.0.1. */
async function openChromium(
  namespace: string,
  server: string,
  resources: AsyncDisposableStack,
): Promise<Chromium> {
  const folder = await Deno.makeTempDir({ prefix: "weir_host_" });
  resources.defer(() => Deno.remove(folder, { recursive: true }));
  const program = await chromiumIn(namespace, folder);
  return await Chromium.open([...FLAGS, `--host-resolver-rules=MAP 127.0.0.1 ${server}`], program);
}

async function openPage({ page }: Chromium, script: string): Promise<Page> {
  await page.route(`${URL_OF_PAGE}**`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><title>RTC</title><link rel="icon" href="data:,">`,
    }));
  await page.goto(URL_OF_PAGE);
  await page.addScriptTag({ content: script });
  return page;
}
