import assert from "node:assert/strict";
import type { IncomingFile } from "../../../../../lib/client/rtc/api.ts";
import { Bitmap } from "../../../../../lib/client/rtc/files/bitmap.ts";
import { sha256, toHex } from "../../../../../lib/client/rtc/files/hash.ts";
import {
  encodeChunk,
  FileWorld,
  HeldStorage,
  randomBytes,
} from "../../../../support/file_world.ts";
import { until } from "../../../../support/until.ts";

type Message = Readonly<Record<string, unknown>> & { readonly op: string };

const ID = "a".repeat(22);
const OFFER = {
  op: "offer",
  id: ID,
  secret: ID,
  name: "a.bin",
  size: 3_000,
  type: "",
  chunk: 1_000,
  again: false,
};

/** A peer that says what a test wants, in ann's or bob's place. */
class HostilePeer {
  readonly received: Message[] = [];
  closesChannels = false;
  #channel: RTCDataChannel | undefined;

  /** Opens the control channel, as a sender. */
  static async sender(world: FileWorld): Promise<HostilePeer> {
    const peer = new HostilePeer();
    peer.#listen(world.pair.a.openChannel("weir-file"));
    await peer.hears("hello");
    return peer;
  }

  /** Takes ann's control channel, as a receiver. */
  static async receiver(world: FileWorld): Promise<HostilePeer> {
    const peer = new HostilePeer();
    world.pair.b.onChannel("weir-file", (channel) => {
      if (channel.label === "weir-file") {
        peer.#listen(channel);
        peer.say({ op: "hello", version: 1 }); // ann opens another one if it comes late
      } else if (peer.closesChannels) channel.close();
    });
    await peer.hears("offer");
    return peer;
  }

  #listen(channel: RTCDataChannel): void {
    this.#channel = channel;
    channel.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)));
  }

  get isClosed(): boolean {
    return this.#channel?.readyState === "closed";
  }

  say(message: Message | string): void {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.#channel?.send(text);
  }

  async hears(op: string): Promise<Message> {
    let found: Message | undefined;
    await until(`the peer hears ${op}`, () => {
      found = this.received.find((message) => message.op === op);
      return found !== undefined;
    });
    return found as Message;
  }
}

/** Opens a channel for chunks, from ann to bob. */
async function openChunks(world: FileWorld, n = 0): Promise<RTCDataChannel> {
  const channel = world.pair.a.openChannel(`weir-file/${ID}/${n}`, { ordered: false });
  await until("the channel is open or refused", () => channel.readyState !== "connecting");
  return channel;
}

async function chunk(index: number, bytes: Uint8Array<ArrayBuffer>, hash?: Uint8Array) {
  return encodeChunk({ index, bytes, hash: new Uint8Array(hash ?? await sha256(bytes)) });
}

for (
  const [what, message] of [
    ["a chunk outside of the file", () => chunk(3, new Uint8Array(1_000))],
    ["a chunk far outside of the file", () => chunk(2 ** 32 - 1, new Uint8Array(1_000))],
    ["a chunk that is too long", () => chunk(0, new Uint8Array(1_001))],
    ["a chunk that is too short", () => chunk(2, new Uint8Array(999))],
    ["a message without a chunk", () => Promise.resolve(new Uint8Array(36))],
    ["an empty message", () => Promise.resolve(new Uint8Array(0))],
  ] as const
) {
  Deno.test(`${what} ends the transfer with bad_peer`, async () => {
    await using world = new FileWorld();
    const ann = await HostilePeer.sender(world);
    ann.say(OFFER);
    await ann.hears("start");
    const channel = await openChunks(world);
    channel.send(await message());
    assert.equal((await ann.hears("cancel")).code, "bad_peer");
    const [incoming] = world.received;
    assert.equal(incoming?.state.value.error?.code, "bad_peer");
    await assert.rejects(incoming?.file() ?? Promise.resolve(), { code: "bad_peer" });
  });
}

Deno.test("a chunk, and a file, that are not what their hashes say end with checksum_mismatch", async () => {
  for (const isChunk of [true, false]) {
    await using world = new FileWorld();
    const ann = await HostilePeer.sender(world);
    ann.say(OFFER);
    await ann.hears("start");
    const channel = await openChunks(world);
    for (const index of [0, 1, 2]) {
      const hash = isChunk ? new Uint8Array(32) : undefined;
      channel.send(await chunk(index, randomBytes(1_000), hash));
    }
    ann.say({ op: "end", id: ID, round: 0, lossy: false, root: "0".repeat(64) });
    assert.equal((await ann.hears("cancel")).code, "checksum_mismatch");
    assert.equal(world.received[0]?.state.value.error?.code, "checksum_mismatch");
  }
});

Deno.test("the same chunk again and again ends the transfer", async () => {
  await using world = new FileWorld();
  const ann = await HostilePeer.sender(world);
  ann.say(OFFER);
  await ann.hears("start");
  const channel = await openChunks(world);
  const message = await chunk(0, new Uint8Array(1_000));
  for (let n = 0; n < 1_100; n++) channel.send(message);
  assert.equal((await ann.hears("cancel")).code, "bad_peer");
});

Deno.test("chunks that come faster than they are stored end the transfer", async () => {
  const storage = new HeldStorage(0);
  await using world = new FileWorld({ storage });
  const ann = await HostilePeer.sender(world);
  ann.say({ ...OFFER, size: 40_000_000, chunk: 100_000 });
  await ann.hears("start");
  const channel = await openChunks(world);
  const bytes = randomBytes(100_000);
  for (let index = 0; index < 400; index++) {
    const message = await chunk(index, bytes);
    if (channel.readyState === "open") channel.send(message);
  }
  assert.equal((await ann.hears("cancel")).code, "bad_peer");
  assert.ok(storage.waitingBytes <= 2 ** 24, `${storage.waitingBytes} bytes waited`);
  storage.release();
});

Deno.test("of 10,000 offers, 100 wait for the user, and the others are refused", async () => {
  const offered: IncomingFile[] = [];
  await using world = new FileWorld({ onFile: (transfer) => offered.push(transfer) > 0 });
  const ann = await HostilePeer.sender(world);
  for (let n = 0; n < 10_000; n++) {
    const id = String(n).padStart(22, "x");
    ann.say({ ...OFFER, id, name: `../<img src=x onerror=alert(${n})>` });
  }
  await until("all are answered", () => ann.received.length > 9_900);
  assert.equal(offered.length, 100);
  assert.equal(offered[7]?.name, "<img src=x onerror=alert(7)>");
  const refusals = ann.received.filter(({ code }) => code === "too_many_offers");
  assert.equal(refusals.length, 9_900);
});

Deno.test("an offer of a known transfer with another secret does not take it over", async () => {
  const storage = new HeldStorage(0);
  await using world = new FileWorld({ storage });
  const ann = await HostilePeer.sender(world);
  ann.say(OFFER);
  await ann.hears("start");
  ann.say({ ...OFFER, secret: "b".repeat(22), again: true });
  assert.equal((await ann.hears("cancel")).code, "bad_peer");
  assert.equal(world.received[0]?.state.value.status, "active");
  assert.equal(ann.received.filter(({ op }) => op === "start").length, 1);
});

Deno.test("an offer that was accepted before, of a file that is not here, is ignored", async () => {
  await using world = new FileWorld();
  const ann = await HostilePeer.sender(world);
  ann.say({ ...OFFER, again: true });
  ann.say({ ...OFFER, id: "c".repeat(22) });
  await ann.hears("start");
  assert.equal(world.received.length, 1);
  assert.equal(world.received[0]?.id, "c".repeat(22));
});

Deno.test("text that is not of the protocol closes the control channel, and a new one works", async () => {
  await using world = new FileWorld();
  for (const text of ["<b>", "{}", JSON.stringify({ ...OFFER, size: -1 }), "x".repeat(70_000)]) {
    const ann = await HostilePeer.sender(world);
    ann.say(text);
    await until("the channel is closed", () => ann.isClosed);
  }
  const transfer = world.send(new Blob(["a"]));
  await until("it is done", () => transfer.status === "done");
});

Deno.test("a receiver that does not greet on its control channel gets another one", async () => {
  await using world = new FileWorld();
  const silent: RTCDataChannel[] = [];
  const stop = world.pair.b.onChannel("weir-file", (channel) => void silent.push(channel));
  const transfer = world.send(new Blob(["a"]));
  await until("the first is closed", () => silent[0]?.readyState === "closed");
  assert.equal(transfer.status, "offered");
  stop();
  const bob = await HostilePeer.receiver(world);
  assert.equal((await bob.hears("offer")).id, transfer.id);
});

Deno.test("channels for no transfer, and too many of one, are closed", async () => {
  const storage = new HeldStorage(0);
  await using world = new FileWorld({ storage });
  const ann = await HostilePeer.sender(world);
  const early = await openChunks(world);
  await until("it is closed", () => early.readyState === "closed");
  ann.say(OFFER);
  await ann.hears("start");
  const channels = await Promise.all(Array.from({ length: 40 }, (_, n) => openChunks(world, n)));
  await until(
    "those past the limit are closed",
    () => channels.filter(({ readyState }) => readyState === "open").length === 32,
  );
});

/** A world in which ann is honest, and nobody is on bob's side. */
async function hostileReceiver(size = 100_000, chunkBytes?: number) {
  const world = new FileWorld();
  world.bob.close();
  const transfer = world.send(new Blob([randomBytes(size)]), { mode: "partial" }, chunkBytes);
  const bob = await HostilePeer.receiver(world);
  const { id, secret } = await bob.hears("offer");
  const start = (have: string) => bob.say({ op: "start", id, secret, have, paused: false });
  const none = new Bitmap(transfer.count).toBase64();
  return { world, transfer, bob, id, start, none };
}

Deno.test("a bitmap of the wrong length ends the transfer of its receiver", async () => {
  for (const have of ["", "AAAA".repeat(1_000), "AA=="]) {
    const { world, transfer, start } = await hostileReceiver();
    await using _world = world;
    start(have === "AA==" ? "/w==" : have); // bits past the last chunk
    await until("it has failed", () => transfer.status === "failed");
    assert.equal(transfer.state.value.error?.code, "bad_peer");
  }
});

Deno.test("a receiver that says it has nothing is served three rounds of repair", async () => {
  const { world, transfer, bob, id, start, none } = await hostileReceiver();
  await using _world = world;
  start(none);
  for (let round = 0; round < 10; round++) {
    await until(
      "the round ends",
      () =>
        bob.received.some((m) => m.op === "end" && m.round === round) ||
        transfer.isOver || round > 3,
    );
    bob.say({ op: "have", id, round, have: none });
  }
  await until("all rounds are over", () => bob.received.some((m) => m.op === "end" && !m.lossy));
  assert.equal(transfer.state.value.rounds, 3);
});

Deno.test("a receiver that begins again and again is refused after 1,000 times", async () => {
  const { world, transfer, start, none } = await hostileReceiver(100, 16);
  await using _world = world;
  for (let n = 0; n < 1_001; n++) start(none);
  await until("it has failed", () => transfer.status === "failed");
  assert.equal(transfer.state.value.error?.code, "bad_peer");
});

Deno.test("a receiver that confirms more than was sent, or closes each channel, is refused", async () => {
  for (const how of ["confirm", "close"]) {
    const { world, transfer, bob, id, start, none } = await hostileReceiver();
    await using _world = world;
    bob.closesChannels = how === "close";
    start(none);
    if (how === "confirm") bob.say({ op: "ack", id, count: 1_000, bytes: 1 });
    await until("it has failed", () => transfer.status === "failed");
    assert.equal(transfer.state.value.error?.code, "bad_peer");
  }
});

Deno.test("a start with another secret, and answers about other transfers, are ignored", async () => {
  const { world, transfer, bob, id, none } = await hostileReceiver();
  await using _world = world;
  bob.say({ op: "start", id, secret: "b".repeat(22), have: none, paused: false });
  bob.say({ op: "done", id });
  bob.say({ op: "start", id: ID, secret: ID, have: "", paused: false });
  await bob.hears("cancel"); // of the unknown one
  assert.equal(transfer.status, "offered");
});

Deno.test("a receiver that lies about what it has finishes its own transfer only", async () => {
  const { world, transfer, bob, id, start } = await hostileReceiver();
  await using _world = world;
  const all = new Bitmap(transfer.count);
  for (let index = 0; index < transfer.count; index++) all.add(index);
  start(all.toBase64());
  const { root } = await bob.hears("end");
  assert.equal(root, toHex(await sha256(new Uint8Array(32 * transfer.count))));
  bob.say({ op: "done", id });
  await until("it is over", () => transfer.status === "done");
});
