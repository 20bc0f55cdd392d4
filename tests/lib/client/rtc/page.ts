/** What the pages of these tests use, as globals of theirs. */

import { connect } from "../../../../lib/client/client.ts";
import { getUserMedia, joinRoom, type Room } from "../../../../lib/client/rtc/rtc.ts";
import { RoomServer } from "../../../support/rtc_double.ts";

const rtc = { connect, joinRoom, getUserMedia, RoomServer, until, areConnected };

export type Rtc = typeof rtc;

/** Resolves once `isTrue` returns true. */
async function until(what: string, isTrue: () => unknown): Promise<void> {
  const end = performance.now() + 40_000;
  while (!await isTrue()) {
    if (performance.now() > end) throw new Error(`Timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether each of the rooms is connected to all others of them. */
function areConnected(...rooms: readonly Room[]): boolean {
  return rooms.every(({ peers }) =>
    peers.value.length >= rooms.length - 1 &&
    peers.value.every(({ state }) => state.value.status === "connected")
  );
}

Object.assign(globalThis, { rtc });
