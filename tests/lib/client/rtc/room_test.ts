import assert from "node:assert/strict";
import { pageTest } from "../../../support/rtc_site.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;

pageTest("two peers connect, exchange messages, and one leaves", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call", { data: { name: "Ann" } });
    const bob = joinRoom(server.client("bob").weir, "call", { data: { name: "Bob" } });
    const got: string[] = [];
    for (const [name, room] of [["ann", ann], ["bob", bob]] as const) {
      room.on("message", ({ peer, data }) => got.push(`${name} from ${peer.member}: ${data}`));
    }
    ann.send("dropped", { reliable: false });
    ann.send("early");
    await until("both are connected", () => areConnected(ann, bob));
    const [peer] = ann.peers.value;
    ann.send("hello", { to: peer });
    bob.send(new Uint8Array([1, 2, 3]));
    ann.send("quick", { reliable: false });
    await until("all arrived", () => got.length === 4);
    const stats = await peer!.stats();
    await bob.close();
    await until("bob is gone", () => ann.peers.value.length === 0);
    let error: unknown;
    try {
      peer!.send("late");
    } catch (cause) {
      error = cause;
    }
    await ann.close();
    return {
      got: got.sort(),
      data: peer!.data.value,
      route: stats.route,
      error: String(error),
      states: [peer!.state.value, bob.state.value],
      members: server.members.value,
    };
  });
  assert.deepEqual(result, {
    got: [
      "ann from bob: 1,2,3",
      "bob from ann: early",
      "bob from ann: hello",
      "bob from ann: quick",
    ],
    data: { name: "Bob" },
    route: "direct",
    error: "WeirError: peer_gone: bob has left the room.",
    states: [{ status: "closed" }, { status: "closed", member: "bob" }],
    members: [],
  });
});

pageTest("four peers send and receive audio and video, and mute", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, getUserMedia, until, areConnected } = rtc;
    const server = new RoomServer();
    const media = await getUserMedia({ audio: true, video: { width: 160, height: 120 } });
    const names = ["ann", "bob", "cid", "dan"];
    const rooms = names.map((name) => joinRoom(server.client(name).weir, "call", { media }));
    await until("all are connected", () => areConnected(...rooms));
    await until(
      "each gets a stream of each",
      () =>
        rooms.every(({ peers }) =>
          peers.value.every(({ streams }) => streams.value[0]?.stream.getTracks().length === 2)
        ),
    );
    const frames = async () => {
      const all = rooms.flatMap(({ peers }) => peers.value.map((peer) => peer.stats()));
      return (await Promise.all(all)).map(({ framesDecoded }) => framesDecoded);
    };
    await until("frames are decoded", async () => (await frames()).every((count) => count > 0));
    const before = await frames();
    await until("more are", async () => (await frames()).every((count, i) => count > before[i]!));
    const [ann, bob] = rooms;
    ann!.setMuted(media.getVideoTracks()[0]!, true);
    const annAtBob = bob!.peers.value.find(({ member }) => member === "ann")!;
    await until("bob knows", () => annAtBob.streams.value[0]?.videoMuted);
    const { audioMuted } = annAtBob.streams.value[0]!;
    for (const room of rooms) await room.close();
    return { peers: before.length, audioMuted, left: server.members.value };
  });
  assert.deepEqual(result, { peers: 12, audioMuted: false, left: [] });
});

pageTest("tracks are added, replaced and removed during a call", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, getUserMedia, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const peer = bob.peers.value[0]!;
    const video = { width: 160, height: 120 };
    const camera = await getUserMedia({ video });
    const screen = await getUserMedia({ video });
    const [first, other] = [camera, screen].map((stream) => stream.getVideoTracks()[0]!);
    ann.addTrack(first!, camera);
    await until("bob sees one", () => peer.streams.value.length === 1);
    const isSame = peer.streams.value[0]!.stream.id === camera.id;
    await ann.replaceTrack(first!, other!);
    first!.stop();
    const { framesDecoded } = await peer.stats();
    await until("it flows", async () => (await peer.stats()).framesDecoded > framesDecoded + 5);
    const third = await getUserMedia({ audio: true });
    ann.addTrack(third.getAudioTracks()[0]!, third);
    await until("bob gets two", () => peer.streams.value.length === 2);
    ann.removeTrack(other!);
    await until("one is left", () => peer.streams.value.length === 1);
    const left = peer.streams.value[0]!.stream.id === third.id;
    await ann.close();
    await bob.close();
    return { isSame, left };
  });
  assert.deepEqual(result, { isSame: true, left: true });
});

pageTest("offers that cross (glare) converge, on either side", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, getUserMedia, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const rounds = 10;
    const errors: string[] = [];
    for (const room of [ann, bob]) room.on("error", (error) => errors.push(String(error)));
    for (let round = 1; round <= rounds; round++) {
      // No signal arrives until both have made an offer.
      const { promise, resolve } = Promise.withResolvers<void>();
      const senders = new Set<string>();
      server.delay = ({ member }) => {
        if (senders.add(member).size === 2) resolve();
        return promise;
      };
      const streams = [await getUserMedia({ audio: true }), await getUserMedia({ audio: true })];
      for (const [i, room] of [ann, bob].entries()) {
        room.addTrack(streams[i]!.getAudioTracks()[0]!, streams[i]!);
      }
      await until(
        `both have ${round} streams`,
        () => [ann, bob].every(({ peers }) => peers.value[0]!.streams.value.length === round),
      );
    }
    const isStill = areConnected(ann, bob);
    const descriptions = server.signals.flatMap(({ member, data }) => {
      const { description } = data as { readonly description?: RTCSessionDescriptionInit };
      return description ? [{ member, type: description.type }] : [];
    });
    const collisions = descriptions.filter(({ member, type }, i) => {
      const before = descriptions[i - 1];
      return type === "offer" && before?.type === "offer" && before.member !== member;
    });
    await ann.close();
    await bob.close();
    return { isStill, errors, collisions: collisions.length };
  });
  assert.deepEqual(result, { isStill: true, errors: [], collisions: 10 });
});

pageTest("who joins exchanges a few signals with each peer, and causes no others", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const rooms = ["m0", "m1", "m2", "m3"].map((member) =>
      joinRoom(server.client(member).weir, "call")
    );
    const isMesh = () =>
      areConnected(...rooms) &&
      rooms.every(({ peers }) => peers.value.length === rooms.length - 1);
    await until("all are connected", isMesh);
    const before = server.signals.length;
    const next = joinRoom(server.client("next").weir, "call");
    rooms.push(next);
    await until("the new one is connected", isMesh);
    const signals = server.signals.slice(before);
    for (const room of rooms) await room.close();
    const isOfNext = ({ session, toSession }: { session: string; toSession: string }) =>
      session === next.session || toSession === next.session;
    return {
      joined: signals.filter(isOfNext).length,
      // Late candidates of the others may still have come, but no offers and answers.
      negotiated: signals.filter((signal) =>
        !isOfNext(signal) && "description" in Object(signal.data)
      ).length,
    };
  });
  assert.ok(result.joined >= 4 * 2 && result.joined <= 4 * 20, `${result.joined} signals`);
  assert.equal(result.negotiated, 0);
});

pageTest("a third peer joins and leaves, and the other two notice nothing", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const states: string[] = [];
    ann.peers.value[0]!.state.subscribe(({ status }) => states.push(status));
    for (let round = 0; round < 5; round++) {
      const cid = joinRoom(server.client("cid").weir, "call");
      await until(
        "all are connected",
        () => areConnected(ann, bob, cid) && cid.peers.value.length === 2,
      );
      await cid.close();
      await until("two are left", () => [ann, bob].every(({ peers }) => peers.value.length === 1));
    }
    await ann.close();
    return { states, signals: server.signals.length };
  });
  assert.deepEqual(result.states, ["connected", "closed"]);
});
