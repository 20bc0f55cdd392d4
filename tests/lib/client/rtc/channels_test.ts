import assert from "node:assert/strict";
import { pageTest } from "../../../support/rtc_site.ts";
import type { Rtc } from "./page.ts";

declare const rtc: Rtc;

pageTest("data channels open from both ends, and keep early messages", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("they see each other", () => ann.peers.value.length + bob.peers.value.length === 2);
    const [toBob, toAnn] = [ann.peers.value[0]!, bob.peers.value[0]!];
    const got: string[] = [];
    const opened = toBob.channel("game", { ordered: false });
    opened.onopen = () => opened.send("early");
    await until("both are connected", () => areConnected(ann, bob));
    await until("it is sent", () => opened.readyState === "open" && opened.bufferedAmount === 0);
    const back = toAnn.channel("chat");
    back.onopen = () => back.send(new Uint8Array([7]));
    toAnn.onChannel((channel) => {
      got.push(`${channel.label}, ordered: ${channel.ordered}`);
      channel.onmessage = ({ data }) => got.push(data);
    });
    toBob.onChannel((channel) => {
      got.push(channel.label);
      channel.onmessage = ({ data }) => got.push(String(new Uint8Array(data)));
    });
    await until("all has arrived", () => got.length === 4);
    let refusal: unknown;
    try {
      toBob.channel("weir-file/1");
    } catch (cause) {
      refusal = (cause as { code: string }).code;
    }
    await ann.close();
    await bob.close();
    await until("the channels are closed", () => opened.readyState === "closed");
    return { got: got.sort(), refusal };
  });
  assert.deepEqual(result, {
    got: ["7", "chat", "early", "game, ordered: false"],
    refusal: "bad_parameter",
  });
});

pageTest(
  "further connections open when either end needs them, and close when unused",
  async (page) => {
    const result = await page.evaluate(async () => {
      const { joinRoom, RoomServer, until, areConnected, connectionsOf, filesOf } = rtc;
      const server = new RoomServer();
      const ann = joinRoom(server.client("ann").weir, "call");
      const bob = joinRoom(server.client("bob").weir, "call");
      await until("both are connected", () => areConnected(ann, bob));
      const got: string[] = [];
      const channels: RTCDataChannel[] = [];
      for (const room of [ann, bob]) {
        filesOf(room).onChannel("extra/", (channel) => {
          channels.push(channel);
          channel.onmessage = ({ data }) => got.push(`${channel.label} ${data}`);
        });
      }
      for (const [i, room] of [ann, bob].entries()) {
        const channel = filesOf(room).openChannel(`extra/${i}`, { ordered: false }, i + 1);
        channels.push(channel);
        channel.onopen = () => channel.send("here");
      }
      await until("both have arrived", () => got.length === 2);
      const open = [ann, bob].map((room) => connectionsOf(server, room).length);
      for (const channel of channels) channel.close();
      await until(
        "the main ones are left",
        () => [ann, bob].every((room) => connectionsOf(server, room).length === 1),
      );
      const again = filesOf(ann).openChannel("extra/2", {}, 1);
      await until("it opens again", () => again.readyState === "open");
      await ann.close();
      await until(
        "all are closed",
        () => [ann, bob].every((room) => connectionsOf(server, room).length === 0),
      );
      await bob.close();
      return { got: got.sort(), open };
    });
    assert.deepEqual(result, { got: ["extra/0 here", "extra/1 here"], open: [3, 3] });
  },
);

pageTest("what a hostile peer sends ends in errors, and nothing else", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    const codes: string[] = [];
    ann.on("error", ({ code }) => codes.push(code));
    const eve = server.client("eve").link as unknown as { call(call: unknown): Promise<unknown> };
    const signal = (session: string, data: unknown, member = "eve") =>
      eve.call({
        op: "signal",
        channel: "call",
        member,
        session,
        to: "ann",
        toSession: ann.session,
        data,
      });
    const id = "x";
    const offer = { type: "offer", sdp: "v=0\r\nnot an offer" };
    for (
      const data of [null, 7, "text", [], {}, { connection: -1, id, n: 1 }, {
        connection: 99,
        id,
        n: 1,
      }]
    ) {
      await signal(bob.session, data, "bob");
    }
    // In the name of another's session, which the server does not allow.
    await signal(bob.session, { connection: 0, id, n: 1, description: offer });
    for (let n = 1; n <= 1_000; n++) {
      await signal(`none-${n}`, { connection: 0, id, n, begin: true });
    }
    const isStill = areConnected(ann, bob);
    server.list("eve", "s1", true);
    await until("eve is a peer", () => ann.peers.value.length === 2);
    await signal("s1", { connection: 0, id, n: 1, description: offer });
    await signal("s1", {
      connection: 0,
      id,
      n: 2,
      candidates: [{ candidate: "candidate:nonsense" }, 7],
    });
    await signal("s1", { connection: 0, id, n: 3, description: { type: "rollback" } });
    await signal("s1", { connection: 0, id, n: 4, candidates: "none" });
    await until("ann has noticed", () => codes.length > 0);
    const states: string[] = [];
    bob.peers.value[0]!.state.subscribe(({ status }) => states.push(status));
    ann.send("still here");
    await ann.close();
    await bob.close();
    return { codes: [...new Set(codes)], isStill, states };
  });
  assert.deepEqual(result, {
    codes: ["bad_data"],
    isStill: true,
    states: ["connected", "closed"],
  });
});

pageTest("a peer that makes its end again all the time is ignored after 20 times", async (page) => {
  const result = await page.evaluate(async () => {
    const { joinRoom, RoomServer, until, areConnected } = rtc;
    const server = new RoomServer();
    const ann = joinRoom(server.client("ann").weir, "call");
    const bob = joinRoom(server.client("bob").weir, "call");
    await until("both are connected", () => areConnected(ann, bob));
    server.list("eve", "s1", true);
    await until("eve is a peer", () => ann.peers.value.length === 2);
    let made = 0;
    const { RTCPeerConnection } = globalThis;
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        made++;
      }
    };
    const eve = server.client("eve").link as unknown as { call(call: unknown): Promise<unknown> };
    const to = { to: "ann", toSession: ann.session };
    for (let i = 0; i < 200; i++) {
      const data = { connection: 0, id: `end ${i}`, n: 1 };
      await eve.call({ op: "signal", channel: "call", member: "eve", session: "s1", ...to, data });
    }
    // The inbox is read in order: once ann has read this one, she has read all before it.
    const codes: string[] = [];
    ann.on("error", ({ code }) => codes.push(code));
    const data = { connection: 0, id: "x", n: 1, description: { type: "offer", sdp: "none" } };
    await eve.call({
      op: "signal",
      channel: "call",
      member: "bob",
      session: bob.session,
      ...to,
      data,
    });
    await until("ann has read the last signal", () => codes.includes("bad_data"));
    globalThis.RTCPeerConnection = RTCPeerConnection;
    await ann.close();
    await bob.close();
    return made;
  });
  // Bob's is made again too, and repairs may add some.
  assert.ok(result >= 20 && result <= 30, `${result} connections`);
});

pageTest(
  "a connected peer that sends nonsense over the room's own channels harms nobody",
  async (page) => {
    const result = await page.evaluate(async () => {
      const { joinRoom, RoomServer, until } = rtc;
      const server = new RoomServer();
      const ann = joinRoom(server.client("ann").weir, "call");
      const codes: string[] = [];
      const got: unknown[] = [];
      ann.on("error", ({ code }) => codes.push(code));
      ann.on("message", ({ data }) => got.push(data));
      // The greater session begins.
      const session = "z";
      server.list("eve", session, true);
      const eve = server.client("eve").link as unknown as { call(call: unknown): Promise<unknown> };
      const pc = new RTCPeerConnection();
      const open = (id: number) => pc.createDataChannel("eve", { negotiated: true, id });
      const [control, reliable] = [open(0), open(1), open(2)];
      await pc.setLocalDescription();
      await until("its candidates are gathered", () => pc.iceGatheringState === "complete");
      const { type, sdp } = pc.localDescription!;
      const data = { connection: 0, id: "eve", n: 1, description: { type, sdp } };
      const to = { to: "ann", toSession: ann.session };
      await eve.call({ op: "signal", channel: "call", member: "eve", session, ...to, data });
      type Answer = {
        data: { description?: RTCSessionDescriptionInit; candidates?: RTCIceCandidateInit[] };
      };
      const inbox = () => (server.inboxes.get(session)?.data ?? []) as Answer[];
      await until("ann answers", () => inbox()[0]?.data.description);
      await pc.setRemoteDescription(inbox()[0]!.data.description!);
      await until("ann sends candidates", () => inbox()[1]?.data.candidates);
      for (const candidate of inbox()[1]!.data.candidates!) await pc.addIceCandidate(candidate);
      const [peer] = ann.peers.value;
      await until("they are connected", () => peer!.state.value.status === "connected");
      const names = Array.from({ length: 1_000 }, (_, i) => [`stream ${i}`, ["audio"]]);
      for (
        const nonsense of [
          "not JSON",
          "null",
          "7",
          '{"muted":7}',
          '{"muted":{"a":{},"b":null}}',
          '{"bye":"no"}',
          JSON.stringify({ muted: Object.fromEntries(names) }),
        ]
      ) control!.send(nonsense);
      control!.send(new Uint8Array(1_000));
      for (let i = 0; i < 2_000; i++) pc.createDataChannel(`flood ${i}`).onerror = () => {};
      reliable!.send("<b>hello</b>");
      await until("the message arrives", () => got.length === 1);
      const { status } = peer!.state.value;
      control!.send('{"bye":true}');
      await until("it is gone", () => ann.peers.value.length === 0);
      await ann.close();
      pc.close();
      return { codes, got, status };
    });
    assert.deepEqual(result, { codes: [], got: ["<b>hello</b>"], status: "connected" });
  },
);
