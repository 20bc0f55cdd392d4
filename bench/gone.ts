// deno-lint-ignore-file no-console
/**
 * Measures how long the server takes to notice that a client over WebTransport is gone: a page of
 * Chromium that closes its connection, navigates or closes, and a process that is stopped and sends
 * nothing any more. `deno run -A bench/gone.ts [rounds]`
 */
import { Chromium } from "../tests/support/chromium.ts";
import { LocalServer } from "../tests/support/local_server.ts";
import { until } from "../tests/support/until.ts";
import { quantile } from "./usage.ts";
import { webTransportAddress } from "./webtransport_subscriber.ts";

type Page = Chromium["page"];

const rounds = Number(Deno.args[0] ?? 20);
await using server = await LocalServer.start();
await server.serveWebTransport();
const { openConnections } = server.server.webTransport;
const { url, hashes } = await webTransportAddress(`127.0.0.1:${server.port}`);
await using chromium = await Chromium.open();

/** Opens a page with a connection. */
async function openPage(): Promise<Page> {
  const page = await chromium.newTab();
  await page.goto(`${server.url}/healthz`);
  await page.evaluate(async ([url, values]) => {
    const serverCertificateHashes = values.map((value) => ({
      algorithm: "sha-256",
      value: Uint8Array.from(value),
    }));
    const transport = new WebTransport(url, { serverCertificateHashes });
    Object.assign(globalThis, { transport });
    await transport.ready;
    const { writable } = await transport.createBidirectionalStream();
    const line = `{"op":"subscribe","ref":1,"channel":"a"}\n`;
    await writable.getWriter().write(new TextEncoder().encode(line));
  }, [url, hashes.map(({ value }) => [...value as Uint8Array])] as const);
  await until("the page is there", () => openConnections.size === 1);
  return page;
}

const leaves: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
  "closes the connection": (page) => page.evaluate("transport.close()"),
  "navigates": (page) => page.goto("about:blank"),
  "closes": (page) => page.close(),
};
for (const [name, leave] of Object.entries(leaves)) {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const page = await openPage();
    const start = performance.now();
    const left = leave(page);
    await until("the page is gone", () => openConnections.size === 0);
    times.push(performance.now() - start);
    await left;
    await page.close();
  }
  const [p50, most] = [0.5, 1].map((p) => Math.round(quantile(times, p) ?? NaN));
  console.log(`a page ${name}: p50 ${p50} ms, at most ${most} ms`);
}

const script = `
  const serverCertificateHashes = [{
    algorithm: "sha-256",
    value: Uint8Array.from(${
  JSON.stringify(hashes.map(({ value }) => [...value as Uint8Array])[0])
}),
  }];
  const transport = new WebTransport("${url}", { serverCertificateHashes });
  const { writable } = await transport.createBidirectionalStream();
  const line = new TextEncoder().encode('{"op":"subscribe","ref":1,"channel":"a"}\\n');
  await writable.getWriter().write(line);
  setInterval(() => {}, 1_000);`;
const client = new Deno.Command(Deno.execPath(), {
  args: ["eval", "--unstable-net", script],
  stdin: "null",
  stdout: "null",
}).spawn();
try {
  await until("the process has subscribed", () => server.server.hub.subscriptions.live === 1);
  const start = performance.now();
  client.kill("SIGSTOP");
  await until("the process is gone", () => openConnections.size === 0);
  console.log(`a process vanishes: ${Math.round(performance.now() - start)} ms`);
} finally {
  client.kill("SIGKILL");
  await client.status;
}
