import type { Page } from "playwright-core";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { ALL } from "../../../support/fault_proxy.ts";
import { NAMESPACES_MISSING } from "../../../support/lossy_network.ts";
import { newChannel } from "../../../support/publishing.ts";
import { WeirServer } from "../../../support/server.ts";
import { type Host, TwoHosts } from "../../../support/two_hosts.ts";
import { until } from "../../../support/until.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const got: string[];

/** Registers a test of two hosts, connected in a room with video both ways. */
function networkTest(name: string, run: (hosts: readonly [Host, Host]) => Promise<void>): void {
  const ignore = CHROMIUM_MISSING || NAMESPACES_MISSING;
  Deno.test(`rooms of two hosts: ${name}`, { ignore }, async () => {
    await using server = await WeirServer.start();
    await using two = await TwoHosts.create(server.port);
    const channel = newChannel();
    for (const [i, { page, proxy }] of two.hosts.entries()) {
      await join(page, { url: proxy.url, channel, member: `m${i}` });
    }
    for (const { page } of two.hosts) await flows(page);
    await run(two.hosts);
    for (const { page } of two.hosts) await flows(page);
    await exchange(two.hosts);
    for (const { page } of two.hosts) await page.evaluate(() => room.close());
  });
}

async function join(
  page: Page,
  options: { readonly url: string; readonly channel: string; readonly member: string },
): Promise<void> {
  await page.evaluate(async ({ url, channel, member }) => {
    const { connect, joinRoom, getUserMedia } = rtc;
    const media = await getUserMedia({ video: { width: 160, height: 120 } });
    const room = joinRoom(connect(url), channel, { member, media });
    const got: string[] = [];
    room.on("message", ({ data }) => got.push(String(data)));
    Object.assign(globalThis, { room, got });
  }, options);
}

/** Resolves once more frames of the peer's video have been decoded. */
async function flows(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const frames = async () => (await room.peers.value[0]?.stats())?.framesDecoded ?? 0;
    await rtc.until("the peer is there", () => room.peers.value.length === 1);
    let before = await frames();
    await rtc.until("video flows", async () => {
      const now = await frames();
      before = Math.min(before, now); // a new connection counts from 0
      return now > before + 5;
    });
  });
}

/** Sends a message each way, and resolves once both have arrived. */
async function exchange(hosts: readonly Host[]): Promise<void> {
  const text = crypto.randomUUID();
  for (const { page } of hosts) await page.evaluate((text) => room.send(text), text);
  for (const { page } of hosts) {
    await until("the message arrives", () => page.evaluate((text) => got.includes(text), text));
  }
}

async function reaches(page: Page, status: string): Promise<void> {
  await page.evaluate(
    (status) =>
      rtc.until(`the peer is ${status}`, () => room.peers.value[0]?.state.value.status === status),
    status,
  );
}

/** Returns the fragment of ICE's user name, which changes with each restart. */
async function ufragOf(page: Page): Promise<string> {
  return await page.evaluate(() => {
    const sdp = rtc.openConnections()[0]?.localDescription?.sdp ?? "";
    return /a=ice-ufrag:(\S+)/.exec(sdp)?.[1] ?? "";
  });
}

/** Resolves once ICE was restarted at this end. */
async function restarts(page: Page, before: string): Promise<void> {
  await until("ICE is restarted", async () => await ufragOf(page) !== before);
}

networkTest("a link that is cut and comes back is repaired by an ICE restart", async (hosts) => {
  const [{ page, plug }] = hosts;
  const ufrag = await ufragOf(page);
  await plug(false);
  for (const { page } of hosts) await reaches(page, "disconnected");
  await page.evaluate(() => room.send("while it is cut"));
  await restarts(page, ufrag);
  await plug(true);
  for (const { page } of hosts) await reaches(page, "connected");
  await until(
    "the message arrives",
    () => hosts[1].page.evaluate(() => got.includes("while it is cut")),
  );
});

networkTest("a host whose address changes is found at the new one", async (hosts) => {
  const [{ page, move }] = hosts;
  const ufrag = await ufragOf(page);
  await move();
  await restarts(page, ufrag);
  for (const { page } of hosts) await reaches(page, "connected");
});

networkTest("an ICE restart whose signals are cut off ends once they are back", async (hosts) => {
  const [{ page, proxy }] = hosts;
  const ufrag = await ufragOf(page);
  proxy.hush();
  await page.evaluate(() => globalThis.dispatchEvent(new Event("online")));
  await restarts(page, ufrag);
  const before = proxy.requests.length;
  proxy.on(ALL, { act: "refuse" });
  proxy.cut();
  await until("it has tried to connect", () => proxy.requests.length > before + 2);
  proxy.off();
  await page.evaluate(() =>
    rtc.until("the restart has ended", () => {
      const [pc] = rtc.openConnections();
      return pc?.signalingState === "stable" && pc.connectionState === "connected";
    })
  );
});
