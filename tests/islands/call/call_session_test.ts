import assert from "node:assert/strict";
import { signal } from "@preact/signals";
import { CallSession } from "../../../islands/call/call_session.ts";
import type { CallData } from "../../../islands/call/call_data.ts";
import type { LocalMedia } from "../../../islands/call/local_media.ts";
import { WeirError } from "../../../lib/client/client.ts";
import { ObservableValue } from "../../../lib/client/core/observable.ts";
import type { Peer, PeerState, Room, RoomState } from "../../../lib/client/rtc/api.ts";
import { until } from "../../support/until.ts";

/** A room without a network, which records what it was asked for. */
class FakeRoom {
  readonly state = new ObservableValue<RoomState>({ status: "joining" });
  readonly peers = new ObservableValue<readonly FakePeer[]>([]);
  readonly calls: unknown[][] = [];
  onError: (error: WeirError) => void = () => {};

  on(_event: "error", listener: (error: WeirError) => void): () => void {
    this.onError = listener;
    return () => {};
  }
  setData = (data: CallData) => this.#record("setData", data);
  addTrack = (track: unknown) => this.#record("addTrack", track);
  removeTrack = (track: unknown) => this.#record("removeTrack", track);
  replaceTrack = (old: unknown, next: unknown) => this.#record("replaceTrack", old, next);
  setMuted = (track: unknown, isMuted: boolean) => this.#record("setMuted", track, isMuted);
  close = () => this.#record("close");

  #record(...call: unknown[]): Promise<void> {
    this.calls.push(call);
    return Promise.resolve();
  }
}

class FakePeer implements Pick<Peer<CallData>, "session" | "member" | "data" | "state"> {
  readonly data: ObservableValue<CallData>;
  readonly state = new ObservableValue<PeerState>({ status: "connecting" });
  constructor(readonly session: string, name: string) {
    this.data = new ObservableValue<CallData>({ name });
  }
  get member(): string {
    return `member of ${this.session}`;
  }
}

function device() {
  return {
    track: signal<string | undefined>(undefined),
    state: signal<{ status: string }>({ status: "off" }),
  };
}

function open() {
  const room = new FakeRoom();
  const devices = { audio: device(), video: device() };
  const session = new CallSession({
    room: room as unknown as Room<CallData>,
    media: { device: (kind: "audio" | "video") => devices[kind] } as unknown as LocalMedia,
    name: "Me",
  });
  return { room, session, ...devices };
}

Deno.test("the news say who is here, joins, shares a screen, breaks off and leaves", async () => {
  const { room, session } = open();
  await using _session = session;
  const [ann, bob] = [new FakePeer("s1", "Ann"), new FakePeer("s2", "Bob")];
  room.state.set({ status: "open", member: "me" });
  room.peers.set([ann]); // in the same turn
  await until("the news are there", () => session.news.value === "Ann is here.");
  room.peers.set([ann, bob]);
  assert.equal(session.news.value, "Bob joined.");
  ann.state.set({ status: "failed" }); // it was never connected
  assert.equal(session.news.value, "Bob joined.");
  bob.state.set({ status: "connected" });
  bob.state.set({ status: "disconnected" });
  assert.equal(session.news.value, "The connection to Bob broke. Reconnecting.");
  bob.state.set({ status: "failed" });
  bob.state.set({ status: "connected" });
  assert.equal(session.news.value, "Bob is connected again.");
  bob.data.set({ name: "Bob", screen: "id" });
  assert.equal(session.news.value, "Bob shares a screen.");
  bob.data.set({ name: "Bob" });
  assert.equal(session.news.value, "Bob no longer shares a screen.");
  room.peers.set([ann]);
  assert.equal(session.news.value, "Bob left.");
  bob.state.set({ status: "connected" }); // nobody listens any more
  assert.equal(session.news.value, "Bob left.");
});

Deno.test("the room sends the track that a device has, and mutes it while the device is off", async () => {
  const { room, session, video } = open();
  {
    await using _session = session;
    assert.equal(room.calls.length, 0); // nothing to send
    video.track.value = "first";
    video.state.value = { status: "on" };
    await until("the track is sent", () => room.calls.length >= 3);
    assert.deepEqual(room.calls[0], ["addTrack", "first"]);
    assert.deepEqual(room.calls.at(-1), ["setMuted", "first", false]);
    video.track.value = undefined;
    video.state.value = { status: "off" };
    assert.deepEqual(room.calls.at(-1), ["setMuted", "first", true]);
    video.state.value = { status: "starting" };
    video.track.value = "second";
    video.state.value = { status: "on" };
    const isReplacing = () => room.calls.some(([name]) => name === "replaceTrack");
    await until("the track is replaced", isReplacing);
    await until("it is not muted", () => room.calls.at(-1)?.[2] === false);
    assert.deepEqual(room.calls.find(([name]) => name === "replaceTrack"), [
      "replaceTrack",
      "first",
      "second",
    ]);
    assert.equal(room.calls.filter(([name]) => name === "addTrack").length, 1);
  }
  assert.deepEqual(room.calls.at(-1), ["close"]);
});

Deno.test("a track that a peer does not take is a problem, and the others learn that it is on", async () => {
  const { room, session, video } = open();
  await using _session = session;
  room.replaceTrack = () => Promise.reject(new Error("closed"));
  video.track.value = "first";
  video.state.value = { status: "on" };
  video.track.value = "second";
  await until("the problem is shown", () => session.problem.value !== undefined);
  assert.match(session.problem.value?.detail ?? "", /may not receive the new device/);
  await until("it is not muted", () => room.calls.at(-1)?.[1] === "second");
  assert.deepEqual(room.calls.at(-1), ["setMuted", "second", false]);
});

Deno.test("errors of the room that do not end it are shown", async () => {
  const { room, session } = open();
  await using _session = session;
  const error = new WeirError("no_turn", "Set up TURN.");
  room.onError(error);
  assert.equal(session.problem.value, error);
});
