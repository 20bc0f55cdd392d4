// deno-lint-ignore-file no-console
/**
 * Measures how long small events of one channel wait next to events of 256 KiB of another one, in
 * Chromium and a network namespace, over WebSocket and WebTransport in turn: where packets from the
 * server are lost, and over a slow link. What is published always arrives. Needs root, iproute2 and
 * iptables. `deno run -A bench/loss.ts [rounds] [loss|slow]`
 */
import type { connect, TransportName } from "../lib/client/client.ts";
import { bundleClient } from "../tests/support/client_bundle.ts";
import { LoopbackNetwork } from "../tests/support/loopback_network.ts";
import { WeirServer } from "../tests/support/server.ts";
import { quantile } from "./usage.ts";

const LOSS = 0.02;
const MEGABITS = 8;
/** A port for publishers, which the network spares. */
const PUBLISH_PORT = 8_009;
const PUBLISHER = `
  const publish = async (channel, size) => {
    const at = performance.timeOrigin + performance.now();
    const response = await fetch("http://127.0.0.1:${PUBLISH_PORT}/v1/channels/" + channel + "/events", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ at, pad: "x".repeat(size) }),
    });
    if (!response.ok) throw new Error(await response.text());
    await response.body.cancel();
  };
  const timers = [
    setInterval(() => publish("small", 50), 50),
    setInterval(() => publish("large", 256 * 1_024), 500),
  ];
  setTimeout(() => timers.forEach(clearInterval), 10_000);`;

const [rounds = "2", condition = "loss"] = Deno.args;
await using network = await LoopbackNetwork.create();
await using server = await WeirServer.start({ within: network.within });
await network.bypass(server.port, PUBLISH_PORT);
const { page } = await network.openChromium();
const script = await bundleClient();
await page.route(
  "**/test/*",
  (route) =>
    route.request().url().endsWith(".js")
      ? route.fulfill({ contentType: "text/javascript", body: script })
      : route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Bench</title>" }),
);
await page.goto(`${server.url}/test/page`);
if (condition === "loss") await network.lose(server.port, LOSS);
else await network.limit(server.port, MEGABITS);
for (let round = 0; round < Number(rounds); round++) {
  for (const transport of ["websocket", "webtransport"] as const) await measure(transport);
}

async function measure(transport: TransportName): Promise<void> {
  await page.evaluate(async (transport) => {
    const path = "/test/weir.js";
    const client: { readonly connect: typeof connect } = await import(path);
    const weir = client.connect(location.origin, { transports: [transport] });
    const seen: { small: number[]; large: number[] } = { small: [], large: [] };
    Object.assign(globalThis, { seen, weir });
    await Promise.all(
      (["small", "large"] as const).map((channel) =>
        new Promise<unknown>((onStart) =>
          weir.listen<{ readonly at: number }>(channel, {
            onStart,
            onGap: "throw",
            onEvent: ({ data }) => {
              seen[channel].push(performance.timeOrigin + performance.now() - data.at);
            },
          })
        )
      ),
    );
  }, transport);
  const [program = "", ...args] = network.within;
  const { success } = await new Deno.Command(program, {
    args: [...args, Deno.execPath(), "eval", PUBLISHER],
    stdin: "null",
  }).output();
  if (!success) throw new Error("The publisher has failed");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { small, large } = await page.evaluate(async () => {
    const { seen, weir } = globalThis as unknown as {
      readonly seen: { readonly small: number[]; readonly large: number[] };
      readonly weir: { close(): Promise<void> };
    };
    await weir.close();
    return seen;
  });
  const [p50, p99, most] = [0.5, 0.99, 1].map((p) => quantile(small, p)?.toFixed(0));
  const largest = quantile(large, 0.5)?.toFixed(0);
  console.log(
    `${condition}, ${transport}: ${small.length} small events: p50 ${p50} ms, p99 ${p99} ms, ` +
      `at most ${most} ms; ${large.length} large ones: p50 ${largest} ms`,
  );
}
