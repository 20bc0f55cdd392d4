import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { closeCapsule } from "../../../lib/quic/capsule.ts";
import { dataFrame, headersFrame } from "../../../lib/quic/frame.ts";
import { H3_CODES } from "../../../lib/quic/http3_error.ts";
import {
  CONNECT_TIMEOUT_MS,
  MAX_EARLY_STREAMS,
  MAX_OPENING_PER_CLIENT,
  MAX_STREAMS,
} from "../../../lib/quic/limits.ts";
import { SETTING, settingsFrame } from "../../../lib/quic/settings.ts";
import { DatagramRelay } from "../../support/datagram_relay.ts";
import { type ClientStream, connectFields, Http3Client } from "../../support/http3_client.ts";
import { until } from "../../support/until.ts";
import { changed } from "./codes.ts";
import { isAlive, World } from "./quic_world.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("3,000 streams of an unknown session are refused, and others continue", async () => {
  await using world = new World();
  await using witness = await Http3Client.connect(world.server);
  await witness.open();
  await using client = await Http3Client.connect(world.server);
  await client.open();
  const open = async () => {
    for (let i = 0; i < 300; i++) {
      const stream = await client.sendBidi(hex("4041 08 00"));
      assert.equal(await stream.read(), undefined);
      await stream.end();
    }
  };
  await Promise.all(Array.from({ length: 10 }, open));
  assert.ok(await isAlive(client));
  assert.ok(await isAlive(witness));
});

Deno.test("streams that never send their start are limited, and do no harm", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await client.open();
  const { conn } = client;
  for (let i = 1; i < MAX_STREAMS; i++) await client.sendBidi(hex("40"));
  await assert.rejects(conn.createBidirectionalStream(), RangeError);
  for (let i = 1; i < MAX_STREAMS; i++) await client.sendUni(hex("40"));
  await assert.rejects(conn.createUnidirectionalStream(), RangeError);
  assert.ok(await isAlive(client));
});

Deno.test("connections without a session are limited for each client, and end after 5 s", async () => {
  await using world = new World();
  await using stack = new AsyncDisposableStack();
  const open = async () => stack.use(await Http3Client.connect(world.server));
  for (let i = 0; i < MAX_OPENING_PER_CLIENT; i += 32) {
    await Promise.all(Array.from({ length: 32 }, open));
  }
  await until("all wait", () => world.clock.timers === MAX_OPENING_PER_CLIENT);
  await assert.rejects(async () => {
    // The handshake may be complete before the refusal arrives.
    const { closed } = await open();
    await closed;
    throw new Error("it is closed");
  });
  assert.equal(world.clock.timers, MAX_OPENING_PER_CLIENT);
  world.clock.advance(CONNECT_TIMEOUT_MS);
  await until("none waits", () => world.clock.timers === 0);
  const client = await open();
  await client.open();
  assert.ok(await isAlive(client));
});

Deno.test("a handshake that is never completed ends after 5 s", async () => {
  await using world = new World();
  using relay = new DatagramRelay(world.server.addr);
  relay.loses.toClient = true;
  const connecting = Http3Client.connect({
    addr: { transport: "udp", hostname: "127.0.0.1", port: relay.port },
  });
  await until("the server waits", () => world.clock.timers === 1);
  world.clock.advance(CONNECT_TIMEOUT_MS);
  assert.equal(world.clock.timers, 0);
  relay.loses.toClient = false;
  // The client learns of the end, or begins again with a server that has forgotten it.
  const [result] = await Promise.allSettled([connecting]);
  if (result.status === "fulfilled") await result.value[Symbol.asyncDispose]();
});

Deno.test("few streams wait for a session, and the rest are refused", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  const early: ClientStream[] = [];
  for (let i = 0; i <= MAX_EARLY_STREAMS; i++) early.push(await client.sendBidi(hex("4041 00 61")));
  const ends = early.map((stream) => stream.read());
  // Which one is refused is decided by the order in which they arrive.
  assert.equal(await Promise.race(ends), undefined);
  await client.open();
  const texts = (await Promise.all(ends)).map((bytes) => bytes?.toHex() ?? "refused");
  assert.deepEqual(texts.sort(), ["61", "61", "61", "61", "refused"]);
});

Deno.test("floods of datagrams do not stop others", async () => {
  await using world = new World();
  await using witness = await Http3Client.connect(world.server);
  await witness.open();
  await using client = await Http3Client.connect(world.server);
  await client.open();
  // Back come more than the client reads, and more than QUIC keeps.
  const [, session] = world.echo.sessions;
  for (let i = 0; i < 20_000; i++) session?.sendDatagram(new Uint8Array(1_000));
  session?.sendDatagram(new Uint8Array(2_000)); // too large
  const flood = async () => {
    for (let i = 0; i < 2_000; i++) await client.conn.sendDatagram(hex("04 01"));
  };
  await Promise.all([flood(), flood(), flood()]);
  assert.ok(await isAlive(witness));
});

const SETTINGS = settingsFrame([[SETTING.H3_DATAGRAM, 1]]);
const CONNECT = headersFrame(connectFields());
const CLOSE = dataFrame(closeCapsule({ code: 1, reason: "x" }));
const GREASE = encodeBlock(0x21, Uint8Array.of(1, 2));

/** The bytes of a stream: valid, almost valid, or random ones after a valid start. */
function streamOf(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const whole = fc.constantFrom(...valid);
  const start = fc.constantFrom(...valid, ...valid.map((bytes) => bytes.subarray(0, 3)));
  const mixed = fc.tuple(start, fc.uint8Array({ maxLength: 100 }));
  return fc.oneof(
    whole,
    changed(whole),
    mixed.map(([bytes, rest]) => concat(bytes, rest)),
    fc.uint8Array({ maxLength: 60 }),
  );
}

const uni = streamOf([
  concat(hex("00"), SETTINGS, GREASE),
  hex("02 20"),
  hex("03 44"),
  hex("4054 00 68656c6c6f"),
  hex("21 0102030405"),
]);
const bidi = streamOf([
  concat(CONNECT, CLOSE),
  concat(GREASE, CONNECT, dataFrame(encodeBlock(0x78ae, new Uint8Array())), GREASE),
  hex("4041 00 68656c6c6f"),
]);
const action = fc.oneof(
  fc.record({ kind: fc.constant("uni" as const), bytes: uni, ends: fc.boolean() }),
  fc.record({ kind: fc.constant("bidi" as const), bytes: bidi, ends: fc.boolean() }),
  fc.record({
    kind: fc.constant("datagram" as const),
    bytes: fc.uint8Array({ maxLength: 50 }),
    ends: fc.constant(false),
  }),
);
const CODES: ReadonlySet<number> = new Set(Object.values(H3_CODES));

Deno.test("garbage on any stream ends its own connection at most, with a code", async () => {
  await using world = new World();
  await using witness = await Http3Client.connect(world.server);
  await witness.open();
  const actions = fc.array(action, { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(actions, fc.boolean(), fc.boolean(), async (actions, isOpen, vanishes) => {
      await using client = await Http3Client.connect(world.server);
      if (isOpen) await client.open();
      for (const { kind, bytes, ends } of actions) {
        try {
          if (kind === "datagram") await client.conn.sendDatagram(bytes);
          else {
            const stream = kind === "uni"
              ? await client.sendUni(bytes)
              : await client.sendBidi(bytes);
            if (ends) await stream.end();
          }
        } catch (cause) {
          assert.ok(cause instanceof Error); // the server has closed the connection
        }
      }
      if (vanishes) return;
      const code = await Promise.race([client.closed, isAlive(witness)]);
      assert.ok(code === true || CODES.has(Number(code)), `closed with ${code}`);
    }),
    { numRuns: 150 },
  );
  assert.ok(await isAlive(witness));
  world.clock.advance(CONNECT_TIMEOUT_MS);
});
