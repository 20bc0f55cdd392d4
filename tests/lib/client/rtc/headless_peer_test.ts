import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { HeadlessPeer, type PeerMessage } from "../../../support/headless_peer.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";
import { exchange, hostileTest, isConnected } from "./hostile_room.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const got: (readonly [member: string, data: string])[];
declare const errors: string[];
declare const codes: string[];

/** Joins the room as ann, and resolves with her session once it is open. */
async function join(page: Page, url: string, channel: string): Promise<string> {
  return await page.evaluate(async ([url, channel]) => {
    const room = rtc.joinRoom(rtc.connect(url), channel, { member: "ann" });
    const got: unknown[] = [];
    const errors: string[] = [];
    room.on("message", ({ peer, data }) => got.push([peer.member, String(data)]));
    room.on("error", (error) => errors.push(String(error)));
    Object.assign(globalThis, { room, got, errors });
    await rtc.until("it is open", () => room.state.value.status === "open");
    return room.session;
  }, [url, channel] as const);
}

/** Whether the peer has received this text, or these bytes, over the channel. */
function hasReceived(bob: HeadlessPeer, ...message: PeerMessage): boolean {
  const text = ([by, data]: PeerMessage) => `${by} ${typeof data}: ${data}`;
  return bob.messages.some((one) => text(one) === text(message));
}

for (const isFirst of [true, false]) {
  const role = isFirst ? "makes the first offer" : "answers the first offer";
  Deno.test(`a peer without our client ${role}, and exchanges messages with a page`, {
    ignore: CHROMIUM_MISSING,
  }, async () => {
    await using server = await WeirServer.start();
    await using site = await RtcSite.open();
    const { page } = site;
    const channel = newChannel();
    const ann = await join(page, server.url, channel);
    // The lower session is polite: it leaves the first offer to the other.
    const session = isFirst ? "zzz" : "000";
    await using bob = await HeadlessPeer.join(server.url, { channel, member: "bob", session });
    if (isFirst) bob.offer("ann", ann);
    await page.evaluate(() =>
      rtc.until("they are connected", () => room.peers.value[0]?.state.value.status === "connected")
    );
    await page.evaluate(() => {
      room.send("hello");
      room.peers.value[0]!.channel("game");
    });
    const bytes = new Uint8Array([1, 2, 3]);
    await until("bob has received both", async () => {
      // Unreliable messages may be lost.
      await page.evaluate(() => room.send(new Uint8Array([1, 2, 3]), { reliable: false }));
      return hasReceived(bob, "reliable", "hello") && hasReceived(bob, "unreliable", bytes);
    });
    await until("the channel is open", () => bob.opened.includes("game"));
    bob.send("reliable", "hi");
    bob.send("reliable", new Uint8Array([7]));
    await until("ann has received all", async () => {
      bob.send("unreliable", "quick");
      const texts = (await page.evaluate(() => got)).map(([member, data]) => `${member}: ${data}`);
      return ["bob: hi", "bob: 7", "bob: quick"].every((text) => texts.includes(text));
    });
    const seen = await page.evaluate(() => {
      const { member, session, data } = room.peers.value[0]!;
      return { member, session, data: data.value };
    });
    assert.deepEqual(seen, { member: "bob", session, data: { name: "headless" } });
    bob.send("control", JSON.stringify({ bye: true }));
    await until("bob has left", () => page.evaluate(() => room.peers.value.length === 0));
    assert.deepEqual(await page.evaluate(() => errors), []);
    await page.evaluate(() => room.close());
  });
}

// Here and not with the other hostile tests: Deno panics if a second test file of its process loads
// the native code of the headless peer.
hostileTest(
  "a flood over data channels reaches the listeners alone, and the others continue",
  async (world) => {
    const { url, channel, ann, annSession } = world;
    const bob = await world.joinBob();
    await exchange(ann, bob);
    await ann.evaluate(() => {
      const flood = { bytes: 0 };
      room.on("message", ({ peer, data }) => {
        if (peer.member === "eve") flood.bytes += data.length;
      });
      Object.assign(globalThis, { flood });
    });
    await using eve = await HeadlessPeer.join(url, { channel, member: "eve", session: "zzz" });
    eve.offer("ann", annSession);
    await isConnected(ann, "eve");
    await eve.isOpen();
    const block = new Uint8Array(65_536);
    const muted = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`s${i}`, ["audio"]]));
    for (let i = 0; i < 500; i++) {
      eve.send("reliable", block);
      eve.send("unreliable", "quick");
      eve.send("control", ["{", "[]", "null", "7", '{"muted":7}', '{"bye":"no"}'][i % 6]!);
      if (i % 50 === 0) eve.send("control", JSON.stringify({ muted }));
    }
    // Meanwhile the others are heard.
    await exchange(ann, bob);
    await until("all of it has arrived", () =>
      ann.evaluate(([bytes]) => {
        const { flood } = globalThis as unknown as { readonly flood: { readonly bytes: number } };
        return flood.bytes >= bytes;
      }, [500 * block.length] as const));
    await isConnected(ann, "eve");
    assert.deepEqual(await ann.evaluate(() => codes), []);
  },
);
