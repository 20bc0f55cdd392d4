import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;

/** Registers a test of rooms in several pages, on a server in a process of its own. */
function serverTest(name: string, run: (site: RtcSite, server: WeirServer) => Promise<void>): void {
  Deno.test(`rooms on a server: ${name}`, { ignore: CHROMIUM_MISSING }, async () => {
    await using server = await WeirServer.start();
    await using site = await RtcSite.open();
    await run(site, server);
  });
}

interface Joined {
  readonly members: readonly string[];
  readonly statuses: readonly string[];
  /** Frames decoded of each peer. */
  readonly frames: readonly number[];
  readonly got: readonly string[];
  readonly errors: readonly string[];
}

/** Joins a room in the page, as a member, with a camera. */
async function join(page: Page, url: string, channel: string, member: string): Promise<void> {
  await page.evaluate(async ([url, channel, member]) => {
    const { connect, joinRoom, getUserMedia } = rtc;
    const media = await getUserMedia({ audio: true, video: { width: 160, height: 120 } });
    const weir = connect(url);
    const room = joinRoom<{ name: string }>(weir, channel, {
      member,
      media,
      data: { name: member },
    });
    const got: string[] = [];
    const errors: string[] = [];
    room.on("message", ({ peer, data }) => got.push(`${peer.member}: ${data}`));
    room.on("error", (error) => errors.push(String(error)));
    Object.assign(globalThis, { weir, room, got, errors });
  }, [url, channel, member] as const);
}

declare const room: ReturnType<Rtc["joinRoom"]>;
declare const weir: ReturnType<Rtc["connect"]>;
declare const got: string[];
declare const errors: string[];

/** Returns what the page sees of its room. */
async function look(page: Page): Promise<Joined> {
  return await page.evaluate(async () => {
    const peers = room.peers.value;
    const stats = await Promise.all(peers.map((peer) => peer.stats()));
    return {
      members: peers.map(({ member }) => member),
      statuses: peers.map(({ state }) => state.value.status),
      frames: stats.map(({ framesDecoded }) => framesDecoded),
      got,
      errors,
    };
  });
}

/** Resolves once each page is connected with this many peers, and video of all of them flows. */
async function flowing(pages: readonly Page[], peers: number): Promise<void> {
  for (const page of pages) {
    let before: readonly number[] = [];
    await until(`video of ${peers} peers flows`, async () => {
      const { statuses, frames } = await look(page);
      const isConnected = statuses.length === peers &&
        statuses.every((status) => status === "connected");
      if (before.length !== peers || !isConnected) before = frames;
      return isConnected && frames.every((count, i) => count > (before[i] ?? 0) + 5);
    });
  }
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
