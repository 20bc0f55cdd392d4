// Libraries for server-sent events of others, in their default form.
import assert from "node:assert/strict";
import { EventSourcePolyfill } from "event-source-polyfill";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bundlePage } from "../support/client_bundle.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { Queue } from "../support/queue.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";

/** The application of a library that is connected to a channel. */
interface Application {
  /** Receives the parsed data of each message. */
  readonly messages: Queue<unknown>;
}

/** Kills and restarts the server, and checks that the application receives each event once. */
async function check(server: WeirServer, channel: string, { messages }: Application) {
  for (const data of [1, 2]) await publish(server.url, channel, data);
  const seen = [await messages.take(), await messages.take()];
  await server.kill("SIGKILL");
  await server.start();
  for (const data of [3, 4]) await publish(server.url, channel, data);
  seen.push(await messages.take(), await messages.take());
  assert.deepEqual(seen, [1, 2, 3, 4]);
}

Deno.test("event-source-polyfill receives each event once, over a kill of the server", async () => {
  await using server = await WeirServer.start({ env: { WEIR_HEARTBEAT: "1s" } });
  const channel = newChannel();
  const messages = new Queue<unknown>();
  const source = new EventSourcePolyfill(readUrl(server.url, [channel]));
  source.onmessage = ({ data }: { readonly data: string }) => messages.put(JSON.parse(data));
  try {
    await new Promise<void>((resolve) => source.onopen = () => resolve());
    await check(server, channel, { messages });
  } finally {
    source.close();
  }
});

const FETCH_EVENT_SOURCE = `
  import { fetchEventSource } from "@microsoft/fetch-event-source";
  globalThis.start = (url) => new Promise((resolve) => fetchEventSource(url, {
    async onopen() { resolve(); },
    onmessage({ event, data }) { message(event, data); },
  }));`;

Deno.test("@microsoft/fetch-event-source passes on no empty message, and each event once", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await WeirServer.start({ env: { WEIR_HEARTBEAT: "1s" } });
  await using chromium = await Chromium.open();
  const { page } = chromium;
  const channel = newChannel();
  const messages = new Queue<unknown>();
  const opened: unknown[] = [];
  await page.exposeFunction("message", (event: string, data: string) => {
    const parsed: unknown = JSON.parse(data); // an empty message throws
    if (event === "weir.open") opened.push(parsed);
    else messages.put(parsed);
  });
  const script = await bundlePage(FETCH_EVENT_SOURCE);
  const html = `<!doctype html><script type="module">${script}</script>`;
  await using site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return new Response(html, { headers: { "Content-Type": "text/html" } });
  });
  await page.goto(`http://127.0.0.1:${site.addr.port}/`);
  await page.evaluate(
    (url) => (globalThis as unknown as { start(url: string): Promise<void> }).start(url),
    readUrl(server.url, [channel]),
  );
  await check(server, channel, { messages });
  assert.equal(opened.length, 2);
});
