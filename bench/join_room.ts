// deno-lint-ignore-file no-console
/**
 * `deno run -A bench/join_room.ts [joins]`: measures how long a peer takes from `joinRoom()` until it
 * is connected to another one, in Chromium on this machine. The same joins without a server, with
 * signals inside the page, show the browser's part.
 */
import { newChannel } from "../tests/support/publishing.ts";
import { RtcSite } from "../tests/support/rtc_site.ts";
import { WeirServer } from "../tests/support/server.ts";
import type { Rtc } from "../tests/lib/client/rtc/page.ts";

declare const rtc: Rtc;

const joins = Number(Deno.args[0] ?? 50);
await using server = await WeirServer.start();
await using site = await RtcSite.open();
// Both kinds take turns, so that a busy moment affects both.
const times = await site.page.evaluate(async ([url, channel, joins]) => {
  const { connect, joinRoom, RoomServer, until } = rtc;
  const double = new RoomServer();
  const [first, second] = [connect(url), connect(url)];
  type Client = Parameters<typeof joinRoom>[0];
  const measure = async (ann: Client, bob: Client, name: string) => {
    const here = joinRoom(ann, name, { member: "ann" });
    await until("it is open", () => here.state.value.status === "open");
    const start = performance.now();
    const room = joinRoom(bob, name, { member: "bob" });
    await new Promise<void>((resolve) => {
      room.peers.subscribe(([peer]) =>
        peer?.state.subscribe(({ status }) => status === "connected" && resolve())
      );
    });
    const time = performance.now() - start;
    await room.close();
    await here.close();
    return time;
  };
  const times: { server: number[]; page: number[] } = { server: [], page: [] };
  for (let i = -5; i < joins; i++) {
    const server = await measure(first, second, `${channel}:${i}`);
    const page = await measure(double.client("ann").weir, double.client("bob").weir, "call");
    if (i < 0) continue; // to warm up
    times.server.push(server);
    times.page.push(page);
  }
  return times;
}, [server.url, newChannel(), joins] as const);

const percentile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(share * values.length)]?.toFixed(0);
for (const [name, values] of Object.entries(times)) {
  console.log(`${name}: p50 ${percentile(values, 0.5)} ms, p95 ${percentile(values, 0.95)} ms`);
}
