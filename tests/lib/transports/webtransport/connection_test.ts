import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { MessageBudget } from "../../../../lib/transports/messages/message_lane.ts";
import type { MessageClient } from "../../../../lib/transports/messages/client.ts";
import {
  WebTransportConnection,
  type WebTransportOptions,
} from "../../../../lib/transports/webtransport/connection.ts";
import { FakeClock } from "../../../support/clock.ts";
import { FakeSession, FakeStream } from "../../../support/fake_session.ts";
import { type LogStore, openEmbedded } from "../../../support/log_stores.ts";
import { ANYONE, messageParts } from "../../../support/message_parts.ts";
import { until } from "../../../support/until.ts";

const utf8 = new TextEncoder();

interface FixtureOptions {
  readonly client?: Partial<MessageClient>;
  readonly messageBudget?: MessageBudget;
  /** @default true */
  readonly hasControl?: boolean;
}

/** A connection whose client is the test. */
class Fixture implements AsyncDisposable {
  readonly session = new FakeSession();
  readonly options: WebTransportOptions;
  readonly connection: WebTransportConnection;
  /** What the connection has told its client's limits. */
  readonly calls: string[] = [];
  readonly #store: LogStore;

  private constructor(store: LogStore, options: WebTransportOptions, client: MessageClient) {
    this.#store = store;
    this.options = options;
    this.connection = new WebTransportConnection(
      {
        accept: this.session.accept,
        client: {
          ...client,
          flooded: () => void this.calls.push("flooded"),
          left: () => void this.calls.push("left"),
        },
      },
      options,
    );
  }

  static async open(options: FixtureOptions = {}): Promise<Fixture> {
    const { client, messageBudget, hasControl = true } = options;
    const store = await openEmbedded();
    const parts = messageParts({ log: await store.isolate() });
    const fixture = new Fixture(
      store,
      { ...parts, ...messageBudget && { messageBudget }, openConnections: new Set() },
      { ...ANYONE, ...client },
    );
    if (hasControl) fixture.session.openControl();
    return fixture;
  }

  /** The answers so far, without the welcome. */
  get answers(): readonly Readonly<Record<string, unknown>>[] {
    return this.session.control.messages.slice(1);
  }

  /** Waits for so many answers, and returns their ops, or codes for errors. */
  async answered(count: number): Promise<readonly unknown[]> {
    await until(`there are ${count} answers`, () => this.answers.length >= count);
    return this.answers.map(({ op, code }) => code ?? op);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.leave();
    this.options.drainPoller.close();
    this.options.unreadBudget[Symbol.dispose]();
    await this.options.hub.close();
    await this.#store[Symbol.asyncDispose]();
  }
}

/** Resolves after everything that waits for nothing but turns of the event loop. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await setImmediate();
}

/** Somebody who has not authenticated. */
const STRANGER: Partial<MessageClient> = { ...ANYONE, authority: undefined };

Deno.test("the welcome says how much may stay unacknowledged", async () => {
  await using fixture = await Fixture.open();
  await settled();
  const [{ op, session, window } = {}] = fixture.session.control.messages;
  assert.deepEqual([op, typeof session, window], ["welcome", "string", 262_144]);
});

for (
  const [who, client, maxBytes] of [
    ["a client", {}, 2_097_152],
    ["a client that has not authenticated", STRANGER, 9_216],
  ] as const
) {
  Deno.test(`${who} may send lines of ${maxBytes} bytes, and no longer ones`, async () => {
    using clock = new FakeClock({ replaces: ["timeouts"] });
    await using fixture = await Fixture.open({ client });
    const ping = `{"op":"ping"}`;
    fixture.session.sendBytes(utf8.encode(`${ping.padEnd(maxBytes)}\n`));
    for (let i = 0; fixture.answers.length < 1; i++) {
      await setImmediate();
      if (i % 100 === 0) clock.advance(1); // large lines are parsed in parts
    }
    assert.equal(fixture.answers[0]?.["op"], "pong");
    fixture.session.sendBytes(utf8.encode("x".repeat(maxBytes)));
    await settled();
    assert.equal(fixture.answers.length, 1);
    fixture.session.sendBytes(utf8.encode("x"));
    while (fixture.answers.length < 2) await setImmediate();
    assert.equal(fixture.answers[1]?.["code"], "frame_too_large");
    clock.advance(500);
    await settled();
    assert.deepEqual(fixture.session.closedWith, { code: 4002, reason: "line too large" });
    assert.deepEqual(fixture.calls, ["left"]);
  });
}

Deno.test("a line that is not UTF-8 is refused, and those around it are handled", async () => {
  await using fixture = await Fixture.open();
  const ping = utf8.encode(`{"op":"ping"}\n`);
  fixture.session.sendBytes(Uint8Array.of(...ping, 0xc3, 0x28, 0x0a, ...ping));
  assert.deepEqual((await fixture.answered(3)).toSorted(), ["bad_frame", "pong", "pong"]);
});

Deno.test("other streams of a client are refused", async () => {
  await using fixture = await Fixture.open();
  let cancelled = 0;
  const readable = () => new ReadableStream({ type: "bytes", cancel: () => void cancelled++ });
  const stream = new FakeStream();
  fixture.session.handler.bidirectional({
    readable: readable() as ReadableStream<Uint8Array<ArrayBuffer>>,
    writable: stream.sendStream,
  });
  fixture.session.handler.unidirectional(readable() as ReadableStream<Uint8Array<ArrayBuffer>>);
  assert.deepEqual(await fixture.answered(2), ["bad_frame", "bad_frame"]);
  await until("both are ended", () => cancelled === 2 && stream.isEnded);
});

Deno.test("a client that opens stream after stream is closed for flooding", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  await using fixture = await Fixture.open();
  for (let i = 0; i < 1_001; i++) {
    fixture.session.handler.unidirectional(
      new ReadableStream({ type: "bytes" }) as ReadableStream<Uint8Array<ArrayBuffer>>,
    );
  }
  await settled();
  assert.equal(fixture.answers.at(-1)?.["reason"], "flooding");
  clock.advance(500);
  await settled();
  assert.deepEqual(fixture.session.closedWith, { code: 4429, reason: "flooding" });
  assert.deepEqual(fixture.calls, ["flooded", "left"]);
});

Deno.test("a datagram may have an ephemeral publish, and nothing else", async () => {
  await using fixture = await Fixture.open();
  const send = (payload: string | Uint8Array) => {
    fixture.session.handler.datagram(typeof payload === "string" ? utf8.encode(payload) : payload);
  };
  const publish = (data: string, ref: number) =>
    JSON.stringify({ op: "publish", ref, channel: "a", data, ephemeral: true });
  send(publish("x", 1));
  send(publish("x".repeat(1_200), 2));
  send(Uint8Array.of(0xff));
  send("{");
  send(`{"op":"ping","ref":3}`);
  send(`{"op":"publish","ref":4,"channel":"a","data":1}`);
  send(`{"op":"publish","ref":5,"channel":"a","data":1,"ephemeral":false}`);
  send(`{"op":"received","streams":{"1":1}}`);
  assert.deepEqual((await fixture.answered(8)).toSorted(), [
    "ack",
    "bad_frame",
    "bad_frame",
    "bad_frame",
    "bad_message",
    "bad_message",
    "bad_message",
    "bad_message",
  ]);
  assert.equal(fixture.answers.find(({ op }) => op === "ack")?.["ref"], 1);
});

Deno.test("datagrams before the control stream are dropped", async () => {
  await using fixture = await Fixture.open({ hasControl: false });
  fixture.session.handler.datagram(utf8.encode("garbage"));
  fixture.session.openControl();
  fixture.session.send({ op: "ping" });
  assert.deepEqual(await fixture.answered(1), ["pong"]);
});

Deno.test("acknowledgements that are impossible are refused, and so are many small ones", async () => {
  await using fixture = await Fixture.open();
  fixture.session.send({ op: "received", ref: 1, streams: { 1: 0 } });
  fixture.session.send({ op: "subscribe", ref: 2, channel: "a" });
  await until("it is subscribed", () => fixture.session.streams[0]?.messages.length === 2);
  fixture.session.send({ op: "received", ref: 3, streams: { 1: 10_000 } });
  const bytes = fixture.session.streams[0]?.bytes ?? 0;
  for (let i = 0; i < 300; i++) fixture.session.send({ op: "received", streams: { 1: bytes } });
  fixture.session.send({ op: "received", ref: 4, streams: { 1: bytes } });
  assert.deepEqual(await fixture.answered(3), ["bad_message", "bad_message", "rate_limited"]);
  assert.deepEqual(fixture.answers.map(({ ref }) => ref), [1, 3, 4]);
});

Deno.test("a client that subscribes again and again and takes no stream is closed as slow", async () => {
  await using fixture = await Fixture.open();
  let opened = 0;
  fixture.session.openUnidirectional = () => {
    opened++;
    return new Promise(() => {});
  };
  while (fixture.options.openConnections.size > 0 && opened < 1_000) {
    const before = opened;
    fixture.session.send({ op: "subscribe", ref: 1, channel: "a" });
    await until("a stream was opened", () => opened > before);
    await settled();
    fixture.session.send({ op: "unsubscribe", ref: 2, channel: "a" });
  }
  await until("there is a goodbye", () => fixture.answers.at(-1)?.["op"] === "goodbye");
  const goodbyes = fixture.answers.filter(({ op }) => op === "goodbye");
  assert.deepEqual(goodbyes.map(({ reason }) => reason), ["slow"]);
  await until("the session is closed", () => fixture.session.closedWith !== undefined);
  assert.equal(fixture.session.closedWith?.code, 4001);
});

Deno.test("a client that opens no control stream is closed", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  await using fixture = await Fixture.open({ hasControl: false });
  clock.advance(4_999);
  assert.equal(fixture.options.openConnections.size, 1);
  clock.advance(1);
  assert.equal(fixture.options.openConnections.size, 0);
  clock.advance(500);
  await settled();
  assert.equal(fixture.session.closedWith?.code, 4001);
});

Deno.test("a client that brings no credential is closed", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  await using fixture = await Fixture.open({ client: STRANGER });
  clock.advance(5_000);
  await settled();
  assert.equal(fixture.answers[0]?.["reason"], "unauthenticated");
  clock.advance(500);
  await settled();
  assert.equal(fixture.session.closedWith?.code, 4401);
});

Deno.test("after a goodbye the client may close by itself", async () => {
  await using fixture = await Fixture.open();
  const closed = fixture.connection.close("stopping");
  await until("the goodbye has arrived", () => fixture.answers.length === 1);
  assert.equal(fixture.answers[0]?.["reason"], "stopping");
  assert.equal(fixture.session.closedWith, undefined);
  assert.deepEqual(fixture.calls, []);
  fixture.session.leave();
  await closed;
  assert.deepEqual(fixture.calls, ["left"]);
});

Deno.test("the end of the control stream ends the connection", async () => {
  await using fixture = await Fixture.open();
  fixture.session.send({ op: "subscribe", ref: 1, channel: "a" });
  await until("it is subscribed", () => fixture.session.streams[0]?.messages.length === 2);
  fixture.session.endControl();
  await until("it has left", () => fixture.calls.length === 1);
  assert.equal(fixture.session.closedWith?.code, 0);
  assert.equal(fixture.options.openConnections.size, 0);
  assert.equal(fixture.options.hub.subscriptions.live, 0);
});

Deno.test("lines that never end count against what may wait in all connections", async () => {
  const messageBudget = new MessageBudget(100_000);
  await using fixture = await Fixture.open({ messageBudget });
  await using other = await Fixture.open({ messageBudget });
  other.session.sendBytes(utf8.encode("x".repeat(30_000)));
  fixture.session.sendBytes(utf8.encode("x".repeat(60_000)));
  await settled();
  assert.deepEqual(fixture.calls, []);
  fixture.session.sendBytes(utf8.encode("x".repeat(20_000)));
  await until("the one with the most is closed", () => fixture.calls.includes("flooded"));
  assert.deepEqual(other.calls, []);
  other.session.sendBytes(utf8.encode("\n"));
  other.session.send({ op: "ping" });
  assert.deepEqual(await other.answered(2), ["bad_frame", "pong"]);
});

Deno.test("a client that sends without end leaves turns of the event loop to others", async () => {
  await using fixture = await Fixture.open({ hasControl: false });
  const chunk = utf8.encode(`{"op":"unsubscribe","ref":1,"channel":"a"}\n`.repeat(40));
  const readable = new ReadableStream({
    type: "bytes",
    pull: (controller) => controller.enqueue(chunk.slice()),
  });
  fixture.session.handler.bidirectional({
    readable: readable as ReadableStream<Uint8Array<ArrayBuffer>>,
    writable: fixture.session.control.sendStream,
  });
  let turns = 0;
  for (; !fixture.calls.includes("flooded"); turns++) await setImmediate();
  assert.ok(turns > 10, `1,001 messages in ${turns} turns`);
});
