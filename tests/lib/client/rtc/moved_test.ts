import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { call } from "../../../support/calls.ts";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { Denokv, DENOKV_MISSING } from "../../../support/denokv.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { newChannel } from "../../../support/publishing.ts";
import { readUrl } from "../../../support/readers.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { inboxName } from "../../../support/signals.ts";
import { until } from "../../../support/until.ts";
import { flowing, join, look } from "./joined.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const weir: ReturnType<Rtc["connect"]>;
declare const states: string[];

interface World {
  readonly site: RtcSite;
  readonly pages: readonly Page[];
  /** The way of each page to the server. */
  readonly proxies: readonly FaultProxy[];
  readonly first: WeirServer;
  readonly channel: string;
  /** Ends the first process, and has the pages reach the second one from now on. */
  move(signal: Deno.Signal): Promise<void>;
}

/** Registers a test of two pages whose server process is replaced by another on one denokv. */
function movedTest(name: string, run: (world: World) => Promise<void>): void {
  const ignore = CHROMIUM_MISSING || DENOKV_MISSING;
  Deno.test(`rooms whose server process is replaced: ${name}`, { ignore }, async () => {
    await using denokv = await Denokv.start();
    const env = { WEIR_KV: denokv.url };
    await using first = await WeirServer.start({ env });
    await using second = await WeirServer.start({ env });
    await using one = new FaultProxy(first.port);
    await using other = new FaultProxy(first.port);
    const proxies = [one, other];
    await using site = await RtcSite.open();
    const pages = [site.page, await site.newTab()];
    await run({
      site,
      pages,
      proxies,
      first,
      channel: newChannel(),
      async move(signal) {
        for (const proxy of proxies) proxy.target = second.port;
        await first.kill(signal);
        for (const proxy of proxies) proxy.cut();
      },
    });
  });
}

/** Notes the states of the page's only peer from now on. */
async function watch(page: Page): Promise<void> {
  await page.evaluate(() => {
    const states: string[] = [];
    room.peers.value[0]!.state.subscribe(({ status }) => states.push(status));
    Object.assign(globalThis, { states });
  });
}

/** Has the page restart ICE, as after a change of its network. */
async function restartIce(page: Page): Promise<void> {
  await page.evaluate(() => globalThis.dispatchEvent(new Event("online")));
}

/** Returns the fragments of ICE's user names of both ends, which change with each restart. */
async function fragmentsOf(page: Page): Promise<readonly string[]> {
  return await page.evaluate(() => {
    const [pc] = rtc.openConnections();
    return [pc?.localDescription, pc?.remoteDescription].map((description) =>
      /a=ice-ufrag:(\S+)/.exec(description?.sdp ?? "")?.[1] ?? ""
    );
  });
}

/** Resolves once ICE was restarted at both ends, and the connection has settled. */
async function hasRestarted(page: Page, before: readonly string[]): Promise<void> {
  await until("ICE is restarted", async () => {
    const after = await fragmentsOf(page);
    return after.every((fragment) => !before.includes(fragment)) && await page.evaluate(() => {
      const [pc] = rtc.openConnections();
      return pc?.signalingState === "stable" && pc.connectionState === "connected";
    });
  });
}

movedTest("a call continues, and ICE restarts over the other process", async (world) => {
  const { site, pages, proxies, channel } = world;
  for (const [i, page] of pages.entries()) await join(page, proxies[i]!.url, channel, `m${i}`);
  await flowing(pages, 1);
  for (const page of pages) await watch(page);
  const sessions = await Promise.all(
    pages.map((page) => page.evaluate(() => room.peers.value[0]!.session)),
  );
  const before = await fragmentsOf(pages[0]!);
  await world.move("SIGTERM");
  await flowing(pages, 1);
  for (const page of pages) {
    await until("it is back", () => page.evaluate(() => weir.state.value.status === "open"));
  }
  await restartIce(pages[0]!);
  for (const page of pages) await hasRestarted(page, before);
  const third = await site.newTab();
  await join(third, proxies[0]!.url, channel, "m2");
  await flowing([...pages, third], 2);
  for (const [i, page] of pages.entries()) {
    assert.deepEqual(await page.evaluate(() => states), ["connected"]);
    const peers = await page.evaluate(() => room.peers.value.map(({ session }) => session));
    assert.ok(peers.includes(sessions[i]!), "the peer is the same");
    assert.deepEqual((await look(page)).errors, []);
  }
});

movedTest("an offer that the killed process has stored is answered at the other", async (world) => {
  const { pages, proxies, channel, first } = world;
  for (const [i, page] of pages.entries()) await join(page, proxies[i]!.url, channel, `m${i}`);
  await flowing(pages, 1);
  for (const page of pages) await watch(page);
  const before = await fragmentsOf(pages[0]!);
  const session = await pages[1]!.evaluate(() => room.session);
  const inbox = inboxName(channel, "m1", session);
  const offers = async () => {
    const { text } = await call("", readUrl(first.url, [inbox], { after: "earliest" }));
    return text.split('"type":"offer"').length - 1;
  };
  const stored = await offers();
  proxies[1]!.hush();
  await restartIce(pages[0]!);
  await until("the offer is stored", async () => await offers() > stored);
  await world.move("SIGKILL");
  for (const page of pages) await hasRestarted(page, before);
  await flowing(pages, 1);
  for (const page of pages) {
    assert.deepEqual(await page.evaluate(() => states), ["connected"]);
    assert.deepEqual((await look(page)).errors, []);
  }
});

movedTest("a first negotiation completes", async (world) => {
  const { pages, proxies, channel } = world;
  for (const [i, page] of pages.entries()) await join(page, proxies[i]!.url, channel, `m${i}`);
  await until("they see each other", async () => (await look(pages[0]!)).members.length === 1);
  await world.move("SIGKILL");
  await flowing(pages, 1);
});
