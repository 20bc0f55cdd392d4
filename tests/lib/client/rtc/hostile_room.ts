import type { Page } from "playwright-core";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const got: string[];

export interface World {
  readonly url: string;
  readonly channel: string;
  /** The page of ann, who is in the room. */
  readonly ann: Page;
  readonly annSession: string;
  /** Has bob join in a page of his own. */
  joinBob(): Promise<Page>;
}

/** Registers a test of a room with a hostile peer, eve. */
export function hostileTest(name: string, run: (world: World) => Promise<void>): void {
  Deno.test(`rooms with a hostile peer: ${name}`, { ignore: CHROMIUM_MISSING }, async () => {
    await using server = await WeirServer.start();
    await using site = await RtcSite.open();
    const channel = newChannel();
    const { url } = server;
    const annSession = await join(site.page, url, channel, "ann");
    await run({
      url,
      channel,
      ann: site.page,
      annSession,
      async joinBob() {
        const page = await site.newTab();
        await join(page, url, channel, "bob");
        return page;
      },
    });
  });
}

/** Joins as the member, and returns the session once the room is open. */
export async function join(
  page: Page,
  url: string,
  channel: string,
  member: string,
  token?: string,
): Promise<string> {
  return await page.evaluate(async ([url, channel, member, token]) => {
    const weir = rtc.connect(url, token === undefined ? {} : { auth: () => token });
    const room = rtc.joinRoom(weir, channel, { member });
    const got: string[] = [];
    const codes: string[] = [];
    room.on("message", ({ peer, data }) => got.push(`${peer.member}: ${data}`));
    room.on("error", ({ code }) => codes.push(code));
    Object.assign(globalThis, { room, got, codes });
    await rtc.until("it is open", () => room.state.value.status === "open");
    return room.session;
  }, [url, channel, member, token] as const);
}

/** Resolves once the page is connected to the member. */
export async function isConnected(page: Page, member: string): Promise<void> {
  await page.evaluate(
    (member) =>
      rtc.until(
        `${member} is connected`,
        () =>
          room.peers.value.find((peer) => peer.member === member)?.state.value.status ===
            "connected",
      ),
    member,
  );
}

/** Sends a text each way between ann and bob, and resolves once both have arrived. */
export async function exchange(ann: Page, bob: Page): Promise<void> {
  await isConnected(ann, "bob");
  await isConnected(bob, "ann");
  const text = crypto.randomUUID();
  for (const page of [ann, bob]) await page.evaluate((text) => room.send(text), text);
  await until("ann hears bob", () => ann.evaluate((line) => got.includes(line), `bob: ${text}`));
  await until("bob hears ann", () => bob.evaluate((line) => got.includes(line), `ann: ${text}`));
}
