import assert from "node:assert/strict";
import { CHROMIUM_MISSING } from "../../../support/chromium.ts";
import { guardedServer } from "../../../support/guarded.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RtcSite } from "../../../support/rtc_site.ts";
import { SocketClient } from "../../../support/socket_client.ts";
import { until } from "../../../support/until.ts";
import { exchange, hostileTest, join, type World } from "./hostile_room.ts";
import type { Rtc } from "./page.ts";

declare const room: ReturnType<Rtc["joinRoom"]>;
declare const codes: string[];

/** The limit of a signal's data, in bytes of JSON. */
const MAX_SIGNAL_BYTES = 65_536;

/** Enters as eve, and returns a function that sends a signal to ann and returns the answer. */
async function enterEve({ url, channel, annSession }: World, session: string) {
  const socket = await SocketClient.open(url);
  const eve = { channel, member: "eve", session };
  socket.send({ op: "enter", ref: 1, ...eve });
  await socket.until("entered");
  const send = (data: unknown) =>
    socket.send({ op: "signal", ref: 2, ...eve, to: "ann", toSession: annSession, data });
  return { socket, send, [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose]() };
}

/** Returns a description of the largest size that a signal may have. */
function hugeSignal(sdpStart: string): unknown {
  const signal = (sdp: string) => ({
    connection: 0,
    id: "eve",
    n: 1,
    description: { type: "offer", sdp },
  });
  const room = MAX_SIGNAL_BYTES - JSON.stringify(signal(sdpStart)).length;
  return signal(sdpStart + "a".repeat(room));
}

const SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const CANDIDATE = "candidate:1 1 udp 1 127.0.0.1 9 typ host";

/** What is no signal, or none that a browser can use. */
const GARBAGE: readonly unknown[] = [
  null,
  "text",
  [],
  {},
  { connection: 0, id: "eve", n: "1" },
  { connection: 99, id: "eve", n: 1, begin: true },
  { connection: 0, id: "e".repeat(65), n: 1, begin: true },
  { connection: 0, id: "eve", n: 1, description: { type: "rollback", sdp: "" } },
  { connection: 0, id: "eve", n: 1, description: { type: "offer" } },
  { connection: 0, id: "eve", n: 2, description: { type: "offer", sdp: "not SDP" } },
  { connection: 0, id: "eve", n: 3, description: { type: "offer", sdp: { not: "a text" } } },
  { connection: 0, id: "eve", n: 4, description: { type: "answer", sdp: SDP } },
  { connection: 0, id: "eve", n: 5, candidates: [{ candidate: CANDIDATE, sdpMid: "nowhere" }] },
  { connection: 0, id: "eve", n: 6, candidates: ["text", null, 7, { candidate: 1 }] },
  { connection: 0, id: "eve", n: 7, end: true },
  { connection: 0, id: "other", n: 1, description: { type: "offer", sdp: `${SDP}m=x` } },
  ...Array.from({ length: 40 }, (_, i) => ({ connection: i % 16, id: `i${i}`, n: 1, begin: true })),
];

hostileTest("garbage and huge descriptions are errors, and the others connect", async (world) => {
  const { ann } = world;
  await using eve = await enterEve(world, "zzz");
  const sent = [...GARBAGE, hugeSignal(SDP), hugeSignal("")];
  for (const data of sent) {
    eve.send(data);
    await eve.socket.until("ack");
  }
  eve.send({ data: "a".repeat(MAX_SIGNAL_BYTES) });
  const answer = await eve.socket.next();
  assert.deepEqual([answer.op, answer["code"]], ["error", "signal_too_large"]);
  const bob = await world.joinBob();
  await exchange(ann, bob);
  const seen = await ann.evaluate(() => [...new Set(codes)]);
  assert.deepEqual(seen, ["bad_data"]);
  assert.deepEqual(await bob.evaluate(() => codes), []);
});

hostileTest("a flood of signals is refused, and the others connect", async (world) => {
  await using eve = await enterEve(world, "zzz");
  const answers: string[] = [];
  let n = 0;
  // No more than a socket may have without an answer.
  for (const count of [1_000, 100]) {
    for (let i = 0; i < count; i++) eve.send({ connection: 0, id: "eve", n: ++n, candidates: [] });
    while (answers.length < n) {
      const { op, code } = await eve.socket.next() as {
        readonly op: string;
        readonly code?: string;
      };
      answers.push(code ?? op);
    }
  }
  assert.equal(answers.filter((answer) => answer === "ack").length, 1_024);
  assert.equal(answers.filter((answer) => answer === "inbox_full").length, 76);
  await exchange(world.ann, await world.joinBob());
});

Deno.test("nobody can signal as somebody else, or from another tenant, to break a connection", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using site = await RtcSite.open();
  await using weir = await guardedServer({ WEIR_ORIGINS: new URL(site.page.url()).origin });
  const { url } = weir;
  const channel = newChannel();
  const token = (sub: string, claims = {}) => weir.token({ presence: ["**"], ...claims }, { sub });
  const ann = site.page;
  const bob = await site.newTab();
  const annSession = await join(ann, url, channel, "ann", await token("ann"));
  const bobSession = await join(bob, url, channel, "bob", await token("bob"));
  await exchange(ann, bob);
  const states = await ann.evaluateHandle(() => {
    const states: string[] = [];
    const bob = room.peers.value.find(({ member }) => member === "bob")!;
    bob.state.subscribe(({ status }) => states.push(status));
    return states;
  });
  const offer = { connection: 0, id: "eve", n: 1, description: { type: "offer", sdp: "not SDP" } };
  const claim = { from: "bob", fromSession: bobSession, member: "bob", session: bobSession };
  const to = { to: "ann", toSession: annSession };

  await using eve = await SocketClient.open(url, { token: await token("eve") });
  eve.send({ op: "enter", ref: 1, channel, session: "zzz" });
  await eve.until("entered");
  const answerTo = async (socket: SocketClient, message: Record<string, unknown>) => {
    socket.send({ op: "signal", ref: 2, channel, ...to, ...message });
    const { op, code } = await socket.next() as { readonly op: string; readonly code?: string };
    return code ?? op;
  };
  // What the data claims is only data.
  assert.equal(await answerTo(eve, { session: "zzz", data: { ...claim, ...offer } }), "ack");
  const begin = { ...claim, connection: 0, id: "eve", n: 2, begin: true };
  assert.equal(await answerTo(eve, { session: "zzz", data: begin }), "ack");
  const asBob = { member: "bob", session: bobSession, data: offer };
  assert.equal(await answerTo(eve, asBob), "forbidden");
  assert.equal(await answerTo(eve, { session: bobSession, data: offer }), "not_a_member");

  const elsewhere = await token("bob", { tenant: "other" });
  await using stranger = await SocketClient.open(url, { token: elsewhere });
  assert.equal(await answerTo(stranger, asBob), "not_a_member");
  stranger.send({ op: "enter", ref: 1, channel, session: bobSession });
  await stranger.until("entered");
  assert.equal(await answerTo(stranger, asBob), "no_such_member");

  await until("ann has had eve's signals", () => ann.evaluate(() => codes.length > 0));
  await exchange(ann, bob);
  assert.deepEqual(await states.jsonValue(), ["connected"]);
  assert.deepEqual(await ann.evaluate(() => codes), ["bad_data"]);
  assert.deepEqual(await bob.evaluate(() => codes), []);
});
