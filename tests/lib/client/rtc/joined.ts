import type { Page } from "playwright-core";
import { until } from "../../../support/until.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;
declare const room: ReturnType<Rtc["joinRoom"]>;
declare const got: string[];
declare const errors: string[];

interface Joined {
  readonly members: readonly string[];
  readonly statuses: readonly string[];
  /** Frames decoded of each peer. */
  readonly frames: readonly number[];
  readonly got: readonly string[];
  readonly errors: readonly string[];
}

/** Joins a room in the page, as a member, with a camera. */
export async function join(
  page: Page,
  url: string,
  channel: string,
  member: string,
): Promise<void> {
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

/** Returns what the page sees of its room. */
export async function look(page: Page): Promise<Joined> {
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
export async function flowing(pages: readonly Page[], peers: number): Promise<void> {
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
