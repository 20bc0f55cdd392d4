import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { Coturn, COTURN_MISSING, turnCredential } from "../../../support/coturn.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { WeirServer } from "../../../support/server.ts";
import { until } from "../../../support/until.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const codes: string[];

const SECRET = "a secret of the TURN server";

interface World extends AsyncDisposable {
  readonly pages: readonly Page[];
  readonly coturn: Coturn;
}

/** Two pages that may use nothing but a TURN server, which Weir knows by `secret`. */
async function openWorld(secret = SECRET): Promise<World & { readonly url: string }> {
  const stack = new AsyncDisposableStack();
  try {
    const coturn = stack.use(await Coturn.start({ secret: SECRET, allowsLoopback: true }));
    const env = {
      WEIR_TURN_URLS: `turn:127.0.0.1:${coturn.port}?transport=udp`,
      WEIR_TURN_SECRET: secret,
    };
    const { url } = stack.use(await WeirServer.start({ env }));
    const site = stack.use(await RtcSite.open());
    const pages = [site.page, await site.newTab()];
    return { pages, coturn, url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

type IceServers = { readonly iceServers: readonly RTCIceServer[]; readonly expiresIn?: number };

/** @param servers what the room gets, one after the other, in place of the server's answers. */
async function join(
  page: Page,
  url: string,
  channel: string,
  member: string,
  servers: readonly IceServers[] = [],
): Promise<void> {
  await page.evaluate(([url, channel, member, servers]) => {
    const { connect, joinRoom } = rtc;
    const left = [...servers];
    const iceServers = () => Promise.resolve(left.length > 1 ? left.shift()! : left[0]!);
    const room = joinRoom(connect(url), channel, {
      member,
      iceTransportPolicy: "relay",
      ...servers.length > 0 && { iceServers },
    });
    const codes: string[] = [];
    room.on("error", ({ code }) => codes.push(code));
    Object.assign(globalThis, { room, codes });
  }, [url, channel, member, servers] as const);
}

function stateOf(page: Page): Promise<string | undefined> {
  return page.evaluate(() => room.peers.value[0]?.state.value.status);
}

function turnTest(name: string, run: () => Promise<void>): void {
  Deno.test(`rooms over TURN: ${name}`, { ignore: CHROMIUM_MISSING || COTURN_MISSING }, run);
}

turnTest("peers connect over a relay with the server's credentials", async () => {
  await using world = await openWorld();
  const { pages, url } = world;
  const channel = newChannel();
  for (const [i, page] of pages.entries()) await join(page, url, channel, `m${i}`);
  for (const page of pages) {
    await until("it is connected", async () => await stateOf(page) === "connected");
    const { route } = await page.evaluate(() => room.peers.value[0]!.stats());
    assert.equal(route, "relay");
  }
});

turnTest("a refused credential is an error that says so", async () => {
  await using world = await openWorld("another secret of the same length");
  const { pages, url } = world;
  const channel = newChannel();
  for (const [i, page] of pages.entries()) await join(page, url, channel, `m${i}`);
  for (const page of pages) {
    await until("it has failed", async () => await stateOf(page) === "failed");
    const { error, codes: reported } = await page.evaluate(() => ({
      error: room.peers.value[0]!.state.value.error?.code,
      codes,
    }));
    assert.equal(error, "turn_refused");
    assert.deepEqual(reported, ["turn_refused"]);
  }
});

turnTest("after a credential has expired the next one is used", async () => {
  await using world = await openWorld();
  const { pages, coturn, url } = world;
  const channel = newChannel();
  const credential = async (expiry: number) => ({
    urls: [`turn:127.0.0.1:${coturn.port}?transport=udp`],
    ...await turnCredential(SECRET, expiry),
  });
  const now = Math.floor(Date.now() / 1_000);
  const servers = [
    { iceServers: [await credential(now - 60)], expiresIn: 300_000 },
    { iceServers: [await credential(now + 600)], expiresIn: 300_000 },
  ];
  for (const [i, page] of pages.entries()) await join(page, url, channel, `m${i}`, servers);
  for (const page of pages) {
    await until("it is connected", async () => await stateOf(page) === "connected");
    assert.deepEqual(await page.evaluate(() => codes), ["turn_refused"]);
  }
});
