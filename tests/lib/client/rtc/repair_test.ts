import assert from "node:assert/strict";
import { pageTest } from "../../../support/rtc_site.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;

pageTest("a connection whose first signals are lost is made again", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    let lost = 0;
    server.keeps = () => lost++ >= 2;
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    await ann.close();
    await bob.close();
    return lost;
  });
  assert.ok(result > 2);
});

pageTest("a peer whose end was closed without a goodbye comes back", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected, connectionsOf } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    const got: unknown[] = [];
    bob.on("message", ({ data }) => got.push(data));
    const states: string[][] = [[], []];
    for (const [i, room] of [ann, bob].entries()) {
      await until("both are connected", () => areConnected(ann, bob));
      const other = room === ann ? bob : ann;
      const peer = other.peers.value[0]!;
      peer.state.subscribe(({ status }) => states[i]!.push(status));
      for (const pc of connectionsOf(server, room)) pc.close();
      await until("it was noticed", () => states[i]!.includes("disconnected"));
      await until("both are connected again", () => areConnected(ann, bob));
    }
    ann.send("still here");
    await until("it arrives", () => got.length === 1);
    await ann.close();
    await bob.close();
    return states;
  });
  for (const states of result) {
    assert.deepEqual(states.slice(0, 3), ["connected", "disconnected", "connected"]);
  }
});

pageTest("a connection that is closed while it uses a signal comes back", async (page) => {
  const didSettle = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const connected = Promise.withResolvers<void>();
    // They connect by ann's candidates.
    server.delay = ({ member, data }) =>
      member === "bob" && "candidates" in Object(data) ? connected.promise : Promise.resolve();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const states: string[] = [];
    bob.peers.value[0]!.state.subscribe(({ status }) => states.push(status));
    const { addIceCandidate } = RTCPeerConnection.prototype;
    let didSettle = false;
    RTCPeerConnection.prototype.addIceCandidate = function (candidate) {
      RTCPeerConnection.prototype.addIceCandidate = addIceCandidate;
      const adding = this.addIceCandidate(candidate);
      adding.finally(() => didSettle = true);
      this.close();
      return adding;
    };
    connected.resolve();
    await until("it was noticed", () => states.includes("disconnected"));
    await until("both are connected again", () => areConnected(ann, bob));
    await ann.close();
    await bob.close();
    return didSettle;
  });
  assert.equal(didSettle, false, "nothing may wait for it");
});

pageTest("negotiation waits for a client that is cut off in the middle of it", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const clients = [server.client("ann"), server.client("bob")];
    const rooms: ReturnType<typeof joinRoom>[] = [];
    for (const cutAfter of [1, 2, 3, 4]) {
      const before = server.signals.length;
      // All clients lose the server once this many signals have been stored.
      server.delay = () => {
        if (server.signals.length === before + cutAfter) {
          for (const one of clients) one.setOnline(false);
        }
        return Promise.resolve();
      };
      const [ann, bob] = clients.map((client) => joinRoom(client.weir, "call")) as [never, never];
      await until("they are cut off", () => clients.every(({ isOnline }) => !isOnline));
      server.delay = () => Promise.resolve();
      for (const client of clients) client.setOnline(true);
      await until(`connected after a cut after ${cutAfter}`, () => areConnected(ann, bob));
      rooms.push(ann, bob);
      for (const room of [ann, bob] as typeof rooms) await room.close();
    }
    return { rooms: rooms.length, retries: clients.map(({ retries }) => retries) };
  });
  assert.equal(result.rooms, 8);
  assert.ok(result.retries.every((count) => count >= 4), `tried ${result.retries} times`);
});

pageTest("peers stay connected while presence does not list them", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected, connectionsOf } = rtc;
    const server = new RoomServer();
    const [forAnn, forBob] = [server.client("ann"), server.client("bob")];
    const ann = joinRoom(forAnn.weir, "call");
    const bob = joinRoom(forBob.weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const [peer] = ann.peers.value;
    const got: unknown[] = [];
    bob.on("message", ({ data }) => got.push(data));
    for (const client of [forAnn, forBob]) client.setOnline(false);
    server.list("bob", bob.session, false);
    ann.send("while away");
    await until("it arrives", () => got.length === 1);
    const isKept = ann.peers.value[0] === peer;
    server.list("bob", bob.session, true);
    for (const client of [forAnn, forBob]) client.setOnline(true);
    ann.send("back");
    await until("it arrives", () => got.length === 2);
    const isStillKept = ann.peers.value[0] === peer;
    // Not listed and not connected: it has gone.
    server.list("bob", bob.session, false);
    for (const pc of connectionsOf(server, bob)) pc.close();
    await until("it is gone", () => ann.peers.value.length === 0);
    const { error } = peer!.state.value;
    await ann.close();
    await bob.close();
    return { isKept, isStillKept, code: error?.code, retries: forAnn.retries };
  });
  assert.deepEqual(result, {
    isKept: true,
    isStillKept: true,
    code: "peer_gone",
    retries: 0, // no peer waited for a signal
  });
});

pageTest("a changed network restarts ICE, and messages and media continue", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected, connectionsOf, getUserMedia } = rtc;
    const server = new RoomServer();
    const media = await getUserMedia({ video: { width: 160, height: 120 } });
    const ann = joinRoom(server.client("ann").weir, "call", { media });
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const states: string[] = [];
    const peer = bob.peers.value[0]!;
    peer.state.subscribe(({ status }) => states.push(status));
    const [pc] = connectionsOf(server, ann);
    const ufrag = () => /a=ice-ufrag:(\S+)/.exec(pc!.localDescription!.sdp)![1];
    const before = ufrag();
    dispatchEvent(new Event("online"));
    await until("ICE has restarted", () => ufrag() !== before && pc!.signalingState === "stable");
    const { framesDecoded } = await peer.stats();
    await until("media flows", async () => (await peer.stats()).framesDecoded > framesDecoded + 5);
    await ann.close();
    await bob.close();
    return states;
  });
  assert.deepEqual(result, ["connected", "closed"]);
});
