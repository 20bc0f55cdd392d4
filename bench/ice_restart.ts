// deno-lint-ignore-file no-console
/**
 * Measures how long an ICE restart takes to end after its signals were cut off for 3 s, between two
 * Chromiums in network namespaces: `deno run -A bench/ice_restart.ts [rounds]`, as root.
 */

import { ALL } from "../tests/support/fault_proxy.ts";
import { newChannel } from "../tests/support/publishing.ts";
import { WeirServer } from "../tests/support/server.ts";
import { TwoHosts } from "../tests/support/two_hosts.ts";
import { until } from "../tests/support/until.ts";
import type { Rtc } from "../tests/lib/client/rtc/page.ts";

declare const rtc: Rtc;

const CUT_MS = 3_000;

const rounds = Number(Deno.args[0] ?? 10);
await using server = await WeirServer.start();
await using two = await TwoHosts.create(server.port);
const channel = newChannel();
const [{ page, proxy }, other] = two.hosts;
for (const host of two.hosts) {
  await host.page.evaluate(([url, channel, member]) => {
    rtc.joinRoom(rtc.connect(url), channel, { member });
  }, [host.proxy.url, channel, host === other ? "bob" : "ann"] as const);
}
const isSettled = () =>
  page.evaluate(() => {
    const [pc] = rtc.openConnections();
    return pc?.signalingState === "stable" && pc.connectionState === "connected";
  });
const ufrag = () => page.evaluate(() => rtc.openConnections()[0]?.localDescription?.sdp ?? "");
await until("they are connected", isSettled);

const times: number[] = [];
for (let round = 0; round < rounds; round++) {
  const before = await ufrag();
  proxy.hush();
  await page.evaluate(() => globalThis.dispatchEvent(new Event("online")));
  await until("ICE is restarted", async () => await ufrag() !== before);
  proxy.on(ALL, { act: "refuse" });
  proxy.cut();
  await new Promise((resolve) => setTimeout(resolve, CUT_MS));
  proxy.off();
  const back = performance.now();
  await until("the restart has ended", isSettled);
  times.push(Math.round(performance.now() - back));
}
times.sort((a, b) => a - b);
console.log(`ms after ${CUT_MS} ms without signals: ${times.join(", ")}`);
