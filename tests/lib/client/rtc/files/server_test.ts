import assert from "node:assert/strict";
import fc from "fast-check";
import type { ServerFile } from "../../../../../lib/client/rtc/api.ts";
import { Pacer } from "../../../../../lib/client/rtc/files/pacer.ts";
import { parseFileSignal } from "../../../../../lib/client/rtc/files/file_signal.ts";
import { bytesOf, FileWorld, HeldStorage, randomBytes } from "../../../../support/file_world.ts";
import { until } from "../../../../support/until.ts";

const LIMIT = 10 * 2 ** 20;
const yes = () => true;

for (const size of [0, 1, 65_501, 2_000_000]) {
  for (const mode of ["reliable", "partial"] as const) {
    Deno.test(`a file of ${size} bytes goes through the server, bit-exact, ${mode}`, async () => {
      await using world = new FileWorld();
      world.pair.fail();
      const asked: ServerFile[] = [];
      const bytes = randomBytes(size);
      const transfer = world.send(new File([bytes], "a.bin"), {
        mode,
        throughServer: (file) => {
          asked.push(file);
          return Promise.resolve(true);
        },
      });
      await until("the sender is done", () => transfer.isOver);
      assert.equal(transfer.state.value.error, undefined);
      assert.deepEqual(asked, [{ size, limit: LIMIT }]);
      const [incoming] = world.received;
      assert.deepEqual(await bytesOf(await incoming?.file() as File), bytes);
      for (const state of [transfer.state.value, incoming?.state.value]) {
        assert.equal(state?.isThroughServer, true);
      }
      assert.equal(world.network.delivered, 0);
    });
  }
}

Deno.test("a file waits for the question until the connection has failed", async () => {
  let isAsked = false;
  await using world = new FileWorld();
  world.pair.cut();
  const transfer = world.send(new Blob(["x"]), { throughServer: () => isAsked = true });
  assert.equal(transfer.status, "offered");
  assert.equal(isAsked, false);
  world.pair.fail();
  await until("it has arrived", () => transfer.status === "done");
  assert.equal(isAsked, true);
});

Deno.test("without a confirmation no file goes through the server", async () => {
  let calls = 0;
  const throughServer = () => {
    calls++;
    return false;
  };
  for (
    const [size, options, status, code] of [
      [1, {}, "failed", "peer_unreachable"],
      [LIMIT + 1, { throughServer }, "failed", "peer_unreachable"],
      [1, { throughServer: () => Promise.reject(new Error("x")) }, "failed", "peer_unreachable"],
      [1, { throughServer }, "cancelled", undefined],
    ] as const
  ) {
    await using world = new FileWorld();
    world.pair.fail();
    const transfer = world.send(new Blob([new Uint8Array(size)]), options);
    await until("it is over", () => transfer.isOver);
    assert.equal(transfer.status, status);
    assert.equal(transfer.state.value.error?.code, code);
    assert.equal(world.received.length, 0);
  }
  assert.equal(calls, 1);
});

Deno.test("a file goes directly if the connection is back before the answer", async () => {
  const answer = Promise.withResolvers<boolean>();
  await using world = new FileWorld();
  world.pair.fail();
  const transfer = world.send(new Blob(["x"]), { throughServer: () => answer.promise });
  world.pair.restore();
  for (const link of [world.pair.a, world.pair.b]) link.state.set({ status: "connected" });
  answer.resolve(true);
  await until("it has arrived", () => transfer.status === "done");
  assert.equal(transfer.state.value.isThroughServer, false);
  assert.ok(world.network.delivered > 0);
});

Deno.test("pause, resume and cancel work through the server", async () => {
  const storage = new HeldStorage(2);
  await using world = new FileWorld({ storage });
  world.pair.fail();
  const transfer = world.send(new Blob([randomBytes(1_000_000)]), { throughServer: yes });
  await until("some bytes are stored", () => storage.written === 2);
  const [incoming] = world.received;
  assert.ok(incoming);
  incoming.pause();
  await until("the sender pauses", () => transfer.status === "paused");
  incoming.resume();
  await until("the sender continues", () => transfer.status === "active");
  incoming.cancel();
  await until("the sender knows", () => transfer.status === "cancelled");
});

Deno.test("a file through the server survives signals that are lost or come twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("keep", "keep", "keep", "lose", "twice"), {
        minLength: 1,
        maxLength: 60,
      }),
      async (all) => {
        const fates = [...all];
        await using world = new FileWorld();
        const { a, b } = world.pair;
        for (const [link, files] of [[a, world.ann], [b, world.bob]] as const) {
          const deliver = link.onSignal;
          link.onSignal = (data) => {
            const fate = fates.pop() ?? "keep";
            // A gap of the inbox tells of it.
            if (fate === "lose") return files.receive(link);
            deliver(data);
            if (fate === "twice") deliver(data);
          };
        }
        world.pair.fail();
        const bytes = randomBytes(50_000);
        const transfer = world.send(new Blob([bytes]), { throughServer: yes }, 4_000);
        await until("it is over", () => transfer.isOver);
        assert.equal(transfer.state.value.error, undefined);
        assert.deepEqual(await bytesOf(await world.received[0]?.file() as File), bytes);
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("a pacer lets at most 3 MiB through in any minute, and no less", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ length: fc.integer({ min: 1, max: 64_000 }), idle: fc.nat(5_000) }), {
      minLength: 100,
      maxLength: 300,
    }),
    (sends) => {
      let nowMs = 0;
      const pacer = new Pacer({ now: () => nowMs });
      const sent: { readonly atMs: number; readonly length: number }[] = [];
      const inLastMinute = () =>
        sent.filter(({ atMs }) => atMs > nowMs - 60_000).reduce((sum, one) => sum + one.length, 0);
      for (const { length, idle } of sends) {
        nowMs += idle;
        const delayMs = pacer.delayMs(length);
        if (delayMs > 0) assert.ok(inLastMinute() + length > 3 * 2 ** 20);
        nowMs += delayMs;
        assert.equal(pacer.delayMs(length), 0);
        pacer.wasSent(length);
        sent.push({ atMs: nowMs, length });
        assert.ok(inLastMinute() <= 3 * 2 ** 20);
      }
    },
  ));
});

Deno.test("what is not a signal is ignored", async () => {
  await using world = new FileWorld();
  const signal = { id: "x", n: 1, channel: "c", label: "weir-file" };
  assert.deepEqual(parseFileSignal(signal), signal);
  for (
    const bad of [
      null,
      "x",
      [],
      { ...signal, id: 1 },
      { ...signal, id: "x".repeat(65) },
      { ...signal, n: 0 },
      { ...signal, n: 1.5 },
      { ...signal, channel: 1 },
      { ...signal, channel: "" },
      { ...signal, label: "x".repeat(65) },
      { ...signal, text: 1 },
      { ...signal, bytes: {} },
      { ...signal, close: "yes" },
      { ...signal, missed: "" },
    ]
  ) {
    assert.equal(parseFileSignal(bad), undefined);
    world.bob.receive(world.pair.b, { file: bad });
  }
  fc.assert(fc.property(fc.anything(), (value) => {
    parseFileSignal(value);
    world.bob.receive(world.pair.b, { file: value });
  }));
});

Deno.test("a hostile sender offers no large file and opens few channels through the server", async () => {
  await using world = new FileWorld();
  const { a, b } = world.pair;
  const heard: { readonly text?: string; readonly close?: true }[] = [];
  a.onSignal = (data) => void heard.push((data as { file: typeof heard[number] }).file);
  let n = 0;
  const say = (content: object) =>
    world.bob.receive(b, { file: { id: "evil", n: ++n, ...content } });
  say({ channel: "c", label: "weir-file" });
  const id = "A".repeat(22);
  const offer = { op: "offer", id, secret: id, name: "x", type: "", chunk: 65_500, again: false };
  say({ channel: "c", text: JSON.stringify({ ...offer, size: LIMIT + 1 }) });
  await until("it is refused", () => heard.some(({ text }) => text?.includes("file_too_large")));
  assert.equal(world.received.length, 0);
  for (let i = 2; i < 1_000; i++) say({ channel: `c${i}`, label: `weir-file/${id}/1` });
  await until("channels of no transfer are closed", () => heard.some(({ close }) => close));
  // A message in parts that never ends, and one that is not base64.
  say({ channel: "parts", label: "weir-file" });
  heard.length = 0;
  const bytes = btoa("x".repeat(48_000));
  for (let i = 0; i < 6; i++) say({ channel: "parts", bytes, more: true });
  await until("the channel is closed", () => heard.some(({ close }) => close));
  say({ channel: "odd", label: "weir-file" });
  heard.length = 0;
  say({ channel: "odd", bytes: "%" });
  await until("the channel is closed", () => heard.some(({ close }) => close));
});
