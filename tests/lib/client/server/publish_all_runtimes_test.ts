import assert from "node:assert/strict";
import { Chromium, CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { bundleModule } from "../../../support/client_bundle.ts";
import { serveSite } from "../../../support/app_site.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { isMissing } from "../../../support/programs.ts";
import { newChannel } from "../../../support/publishing.ts";
import { readAll } from "../../../support/readers.ts";

const PRODUCER = new URL("../../../../lib/client/server/producer.ts", import.meta.url);
const EVENTS = 9_000;

/** Publishes events one by one and in bulk, and returns the offsets and the codes of refusals. */
const SCRIPT = `
import { createProducer, WeirError } from "./producer.js";

export async function publish(url, channel, count) {
  async function* events() {
    for (let data = 0; data < count; data++) {
      yield data % 1_000 === 999 ? { channel, data, type: "weir.reserved" } : { channel, data };
    }
  }
  const offsets = [], codes = [];
  for await (const outcome of createProducer(url).publishAll(events())) {
    if (outcome instanceof WeirError) codes.push([outcome.index, outcome.code]);
    else offsets.push(outcome.offset);
  }
  return { offsets, codes };
}
`;

interface Outcome {
  readonly offsets: readonly string[];
  readonly codes: readonly (readonly [number, string])[];
}

/** Publishes over connections that break, and checks that each event is stored once, in order. */
async function check(
  publish: (url: string, channel: string) => Promise<Outcome>,
): Promise<void> {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  for (const after of [200, 20_000, 60_000]) {
    proxy.next(["publish"], { act: "cut", way: "down", after });
    proxy.next(["publish"], { act: "cut", way: "up", after });
  }
  const { offsets, codes } = await publish(proxy.url, channel);
  const all = Array.from({ length: EVENTS }, (_, i) => i);
  const isRefused = (i: number) => i % 1_000 === 999;
  assert.deepEqual(codes, all.filter(isRefused).map((i) => [i, "bad_event_type"]));
  const stored = await readAll(server.url, channel);
  assert.deepEqual(stored.map(({ data }) => data), all.filter((i) => !isRefused(i)));
  assert.deepEqual(stored.map(({ offset }) => offset), offsets);
  assert.ok(proxy.count(["publish"]) > 6, `${proxy.requests.length} requests`);
}

for (
  const [name, command] of [
    ["Node", [Deno.env.get("NODE") ?? "node"]],
    ["Bun", [Deno.env.get("BUN") ?? "bun"]],
  ] as const
) {
  const hint = `${name} is missing: the producer runs in it`;
  Deno.test(`in ${name} publishAll() stores each event once, in order`, {
    ignore: isMissing([...command, "--version"], hint),
  }, async () => {
    const folder = await Deno.makeTempDir({ prefix: "weir_bulk_" });
    try {
      await Deno.writeTextFile(`${folder}/producer.js`, await bundleModule(PRODUCER));
      await Deno.writeTextFile(`${folder}/package.json`, `{"type":"module"}`);
      const main = `const [url, channel] = process.argv.slice(2);
        console.log(JSON.stringify(await publish(url, channel, ${EVENTS})));`;
      await Deno.writeTextFile(`${folder}/main.js`, SCRIPT + main);
      const [program, ...args] = command;
      await check(async (url, channel) => {
        const { stdout } = await new Deno.Command(program, {
          args: [...args, `${folder}/main.js`, url, channel],
          stderr: "inherit",
        }).output();
        return JSON.parse(new TextDecoder().decode(stdout));
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("in Chromium publishAll() stores each event once, in order", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  const producer = await bundleModule(PRODUCER);
  const javaScript = { headers: { "Content-Type": "text/javascript" } };
  await using site = serveSite(({ url }) => {
    if (url.endsWith("/producer.js")) return new Response(producer, javaScript);
    if (url.endsWith("/main.js")) return new Response(SCRIPT, javaScript);
    const headers = { "Content-Type": "text/html" };
    return new Response(`<!doctype html><link rel="icon" href="data:,">`, { headers });
  });
  await using chromium = await Chromium.open();
  await chromium.page.goto(site.url);
  await check((url, channel) =>
    chromium.page.evaluate(
      async ([main, url, channel, count]) =>
        (await import(main)).publish(url, channel, count) as Promise<Outcome>,
      [`${site.url}/main.js`, url, channel, EVENTS] as const,
    )
  );
});
