import assert from "node:assert/strict";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";
import { flowing, join, look } from "./joined.ts";
import type { Rtc } from "./page.ts";

declare const room: ReturnType<Rtc["joinRoom"]>;
declare const weir: ReturnType<Rtc["connect"]>;

/** Registers a test of rooms in several pages, on a server in a process of its own. */
function serverTest(name: string, run: (site: RtcSite, server: WeirServer) => Promise<void>): void {
  Deno.test(`rooms on a server: ${name}`, { ignore: CHROMIUM_MISSING }, async () => {
    await using server = await WeirServer.start();
    await using site = await RtcSite.open();
    await run(site, server);
  });
}

serverTest("two pages connect by the server's signals, and media flows", async (site, server) => {
  const channel = newChannel();
  const pages = [site.page, await site.newTab()];
  for (const [i, page] of pages.entries()) await join(page, server.url, channel, `m${i}`);
  await flowing(pages, 1);
  await pages[0]!.evaluate(() => room.send("hello"));
  await until("it arrives", async () => (await look(pages[1]!)).got.length === 1);
  await pages[1]!.evaluate(() => room.close());
  await until("it has left", async () => (await look(pages[0]!)).members.length === 0);
  assert.deepEqual((await look(pages[0]!)).errors, []);
});

serverTest("two tabs of one member are two peers of a third", async (site, server) => {
  const channel = newChannel();
  const pages = [site.page, await site.newTab(), await site.newTab()];
  for (const [i, member] of ["ann", "ann", "bob"].entries()) {
    await join(pages[i]!, server.url, channel, member);
  }
  await flowing(pages, 2);
  assert.deepEqual((await look(pages[2]!)).members, ["ann", "ann"]);
});

serverTest(
  "a page that reloads comes back as a new peer, and the old one goes",
  async (site, server) => {
    const channel = newChannel();
    const pages = [site.page, await site.newTab()];
    for (const [i, page] of pages.entries()) await join(page, server.url, channel, `m${i}`);
    await flowing(pages, 1);
    const before = await pages[0]!.evaluate(() => room.peers.value[0]!.session);
    const seen = await pages[0]!.evaluateHandle(() => {
      const counts: number[] = [];
      room.peers.subscribe((peers) => counts.push(peers.length));
      return counts;
    });
    await pages[1]!.reload();
    await join(pages[1]!, server.url, channel, "m1");
    await flowing(pages, 1);
    assert.notEqual(await pages[0]!.evaluate(() => room.peers.value[0]!.session), before);
    // It went before it came back: there never were two.
    assert.deepEqual(await seen.jsonValue(), [1, 0, 1]);
  },
);

serverTest("media continues while the server is away, and afterwards", async (site, server) => {
  const channel = newChannel();
  const pages = [site.page, await site.newTab()];
  for (const [i, page] of pages.entries()) await join(page, server.url, channel, `m${i}`);
  await flowing(pages, 1);
  const session = await pages[0]!.evaluate(() => {
    const states: string[] = [];
    Object.assign(globalThis, { states });
    room.peers.value[0]!.state.subscribe(({ status }) => states.push(status));
    return room.peers.value[0]!.session;
  });
  await server.kill();
  await until(
    "they have noticed",
    () => pages[0]!.evaluate(() => weir.state.value.status !== "open"),
  );
  await flowing(pages, 1);
  await pages[0]!.evaluate(() => room.send("while it is away"));
  await until("it arrives", async () => (await look(pages[1]!)).got.length === 1);
  await server.start();
  for (const page of pages) {
    await until("it is back", () => page.evaluate(() => weir.state.value.status === "open"));
  }
  const third = await site.newTab();
  await join(third, server.url, channel, "m2");
  await flowing([...pages, third], 2);
  const after = await pages[0]!.evaluate(() => ({
    sessions: room.peers.value.map(({ session }) => session),
    states: (globalThis as unknown as { readonly states: string[] }).states,
  }));
  assert.ok(after.sessions.includes(session), "the peer is the same");
  assert.deepEqual(after.states, ["connected"]);
});

serverTest("a negotiation during which the server is killed completes", async (site, server) => {
  const channel = newChannel();
  const pages = [site.page, await site.newTab()];
  for (const [i, page] of pages.entries()) await join(page, server.url, channel, `m${i}`);
  await until("they see each other", async () => (await look(pages[0]!)).members.length === 1);
  await server.kill();
  await server.start();
  await flowing(pages, 1);
});
