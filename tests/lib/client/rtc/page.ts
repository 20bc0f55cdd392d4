/** What the pages of these tests use, as globals of theirs. */

import { connect } from "../../../../lib/client/client.ts";
import {
  getUserMedia,
  joinRoom,
  type PeerLink,
  type Room,
} from "../../../../lib/client/rtc/rtc.ts";
import { RoomServer } from "../../../support/rtc_double.ts";

const rtc = {
  connect,
  joinRoom,
  getUserMedia,
  RoomServer,
  until,
  areConnected,
  connectionsOf,
  openConnections,
  filesOf,
};

export type Rtc = typeof rtc;

/** Resolves once `isTrue` returns true. */
async function until(what: string, isTrue: () => unknown): Promise<void> {
  const end = performance.now() + 40_000;
  while (!await isTrue()) {
    if (performance.now() > end) throw new Error(`Timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const connections: RTCPeerConnection[] = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration);
    connections.push(this);
  }
};

/** Returns the open connections of this page. */
function openConnections(): readonly RTCPeerConnection[] {
  return connections.filter(({ signalingState }) => signalingState !== "closed");
}

/** Returns the open connections of a room: those whose descriptions its session has sent. */
function connectionsOf(server: RoomServer, room: Room): readonly RTCPeerConnection[] {
  const fingerprintOf = (sdp = "") => /a=fingerprint:\S+ (\S+)/.exec(sdp)?.[1];
  const fingerprints = server.signals.flatMap(({ session, data }) => {
    const { description } = data as { readonly description?: RTCSessionDescriptionInit };
    return session === room.session && description ? [fingerprintOf(description.sdp)] : [];
  });
  return connections.filter(({ signalingState, localDescription }) =>
    signalingState !== "closed" && fingerprints.includes(fingerprintOf(localDescription?.sdp))
  );
}

/** Returns what file transfers use of the room's first peer. */
function filesOf({ peers }: Room): PeerLink {
  return (peers.value[0] as unknown as { readonly files: PeerLink }).files;
}

/** Whether each of the rooms is connected to all others of them. */
function areConnected(...rooms: readonly Room[]): boolean {
  return rooms.every(({ peers }) =>
    peers.value.length >= rooms.length - 1 &&
    peers.value.every(({ state }) => state.value.status === "connected")
  );
}

Object.assign(globalThis, { rtc });
