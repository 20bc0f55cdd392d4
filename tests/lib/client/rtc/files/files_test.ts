import assert from "node:assert/strict";
import fc from "fast-check";
import type { IncomingFile } from "../../../../../lib/client/rtc/api.ts";
import { MEMORY_STORAGE } from "../../../../../lib/client/rtc/files/memory_storage.ts";
import type { FileStorage, PartialFile } from "../../../../../lib/client/rtc/files/storage.ts";
import { bytesOf, FileWorld, HeldStorage, randomBytes } from "../../../../support/file_world.ts";
import { until } from "../../../../support/until.ts";

for (const mode of ["reliable", "partial"] as const) {
  for (const size of [0, 1, 65_500, 65_501, 300_000]) {
    Deno.test(`a file of ${size} bytes arrives bit-exact, ${mode}`, async () => {
      await using world = new FileWorld({ lossRate: 0.1 });
      const bytes = randomBytes(size);
      const transfer = world.send(new File([bytes], "a.bin", { type: "text/plain" }), { mode });
      await until("the sender is done", () => transfer.isOver);
      assert.equal(transfer.state.value.error, undefined);
      const [incoming] = world.received;
      assert.ok(incoming);
      const file = await incoming.file();
      assert.deepEqual(await bytesOf(file), bytes);
      assert.equal(file.name, "a.bin");
      assert.equal(file.type, "text/plain");
      for (const { state, peer } of [incoming, transfer]) {
        const { status, bytes, chunks } = state.value;
        assert.deepEqual({ status, bytes }, { status: "done", bytes: size });
        assert.ok(chunks.every((cell) => cell === 1 || cell === 3), "a chunk is missing");
        assert.ok(["ann", "bob"].includes(peer.member));
      }
    });
  }
}

Deno.test("every transfer over a lossy, reordering, breaking network ends bit-exact", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        size: fc.integer({ min: 0, max: 6_000 }),
        chunkBytes: fc.integer({ min: 16, max: 200 }),
        lossRate: fc.constantFrom(0, 0.05, 0.5, 1),
        mode: fc.constantFrom("reliable" as const, "partial" as const),
        connections: fc.integer({ min: 1, max: 3 }),
        cuts: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }),
        randoms: fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      }),
      async ({ size, chunkBytes, lossRate, mode, connections, cuts, randoms }) => {
        const random = () => randoms.next().value ?? 0;
        await using world = new FileWorld({ lossRate, random });
        const bytes = randomBytes(size);
        const transfer = world.send(new Blob([bytes]), { mode, connections }, chunkBytes);
        for (const after of cuts) {
          const { delivered } = world.network;
          await until(
            "a part has arrived",
            () => transfer.isOver || world.network.delivered >= delivered + after,
          );
          world.pair.cut();
          await new Promise((resolve) => setTimeout(resolve, 0));
          world.pair.restore();
        }
        await until(
          "both are done",
          () => transfer.isOver && world.received[0]?.state.value.status === "done",
        );
        assert.equal(transfer.status, "done");
        assert.equal(world.received.length, 1);
        const file = await world.received[0]?.file();
        assert.deepEqual(await bytesOf(file as File), bytes);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("pauses of either side stop a transfer until both have resumed it", async () => {
  const storage = new HeldStorage(3);
  await using world = new FileWorld({ storage });
  const transfer = world.send(new Blob([randomBytes(5_000_000)]));
  await until("some bytes are stored", () => storage.written === 3);
  const [incoming] = world.received;
  assert.ok(incoming);
  transfer.pause();
  incoming.pause();
  const isPaused = () => [transfer, incoming].every(({ state }) => state.value.status === "paused");
  await until("both are paused", isPaused);
  transfer.resume();
  world.pair.cut();
  world.pair.restore();
  await until("both are paused after a cut", isPaused);
  storage.release();
  incoming.resume();
  await until("the transfer is done", () => transfer.status === "done");
});

Deno.test("a cancel of either side, and of a signal, ends both", async () => {
  for (const how of ["sender", "receiver", "signal"]) {
    const storage = new HeldStorage(3);
    await using world = new FileWorld({ storage });
    const abort = new AbortController();
    const transfer = world.send(new Blob([randomBytes(5_000_000)]), { signal: abort.signal });
    await until("some bytes are stored", () => storage.written === 3);
    const [incoming] = world.received;
    if (how === "sender") transfer.cancel();
    else if (how === "receiver") incoming?.cancel();
    else abort.abort();
    await until(
      "both are cancelled",
      () => transfer.status === "cancelled" && incoming?.state.value.status === "cancelled",
    );
    await assert.rejects(incoming?.file() ?? Promise.resolve(), { code: "cancelled" });
  }
});

Deno.test("a cancel during a cut reaches the other side afterwards", async () => {
  const storage = new HeldStorage(3);
  await using world = new FileWorld({ storage });
  const transfer = world.send(new Blob([randomBytes(5_000_000)]));
  await until("some bytes are stored", () => storage.written === 3);
  world.pair.cut();
  world.received[0]?.cancel();
  world.pair.restore();
  await until("the sender knows", () => transfer.status === "cancelled");
});

Deno.test("nothing is sent if the offer is declined, or if the room has no listener for files", async () => {
  for (const isWanted of [true, false]) {
    await using world = new FileWorld({
      onFile: (transfer) => {
        if (isWanted) transfer.decline();
        return isWanted;
      },
    });
    const transfer = world.send(new Blob([randomBytes(100)]));
    await until("it is declined", () => transfer.status === "declined");
    assert.equal(transfer.state.value.bytes, 0);
  }
});

Deno.test("a file that changes while it is sent fails with file_changed at both ends", async () => {
  for (const change of ["shorter", "unreadable"] as const) {
    await using world = new FileWorld();
    const blob = new Blob([randomBytes(9_000_000)]);
    const slice = blob.slice.bind(blob);
    blob.slice = (start = 0, end) => {
      if (start === 0) return slice(start, end);
      if (change === "shorter") return slice(start, start + 10);
      return Object.assign(slice(start, end), {
        stream: () =>
          new ReadableStream({
            pull: (controller) => controller.error(new DOMException("changed", "NotReadableError")),
          }),
      });
    };
    const transfer = world.send(blob);
    await until(
      "both have failed",
      () => transfer.isOver && world.received[0]?.state.value.status === "failed",
    );
    assert.equal(transfer.state.value.error?.code, "file_changed");
    assert.equal(world.received[0]?.state.value.error?.code, "file_changed");
  }
});

Deno.test("a full disk fails with quota_exceeded at both ends", async () => {
  const full = new DOMException("full", "QuotaExceededError");
  for (const step of ["create", "write"] as const) {
    await using world = new FileWorld({
      storage: {
        ...MEMORY_STORAGE,
        async create(record) {
          const file = await MEMORY_STORAGE.create(record);
          if (step === "create") throw full;
          return Object.assign(file, { write: () => Promise.reject(full) });
        },
      },
    });
    const transfer = world.send(new Blob([randomBytes(1_000_000)]));
    await until(
      "both have failed",
      () => transfer.isOver && world.received[0]?.state.value.status === "failed",
    );
    assert.equal(transfer.state.value.error?.code, "quota_exceeded");
    await assert.rejects(world.received[0]?.file() ?? Promise.resolve(), {
      code: "quota_exceeded",
    });
  }
});

Deno.test("a slow disk slows the sender down: little waits in memory", async () => {
  const storage = new HeldStorage(0);
  await using world = new FileWorld({ storage });
  const transfer = world.send(new Blob([randomBytes(12_000_000)]));
  let most = 0;
  await until("the file is sent", () => {
    most = Math.max(most, storage.waitingBytes);
    if (world.network.isIdle) storage.releaseOne();
    return transfer.isOver;
  });
  assert.equal(transfer.status, "done");
  // Messages may overtake each other, so some more are on their way.
  assert.ok(most > 3_000_000 && most < 7_000_000, `${most} bytes waited`);
});

Deno.test("many files are offered at once and all arrive", async () => {
  await using world = new FileWorld();
  const transfers = Array.from({ length: 300 }, (_, n) => world.send(new Blob([String(n)])));
  await until("all are done", () => transfers.every(({ status }) => status === "done"));
  const texts = await Promise.all(world.received.map(async (file) => (await file.file()).text()));
  assert.deepEqual(texts.map(Number).toSorted((a, b) => a - b), transfers.map((_, n) => n));
});

Deno.test("a transfer continues in another session of the member that has a part of it", async () => {
  const bytes = randomBytes(3_000_000);
  let part: PartialFile | undefined;
  const held = new HeldStorage(3);
  const storage: FileStorage = {
    async create(record) {
      const file = await held.create(record);
      part = Object.assign(file, { close: () => Promise.resolve() });
      return part;
    },
    find: (record) => Promise.resolve(record.member === "ann" ? part : undefined),
  };
  await using world = new FileWorld({ storage });
  const transfer = world.send(new Blob([bytes]));
  await until("some bytes are stored", () => held.written === 3);
  transfer.pause();
  world.pair.cut();
  world.bob.close(); // bob's page reloads
  world.removeBob();
  const again: IncomingFile[] = [];
  const bob = world.files((file) => again.push(file) > 0, storage);
  const pair = world.network.connect("ann", "bob", { a: "ann-1", b: "bob-2" });
  bob.addPeer(pair.b);
  world.ann.addPeer(pair.a);
  await until("the transfer continues", () => again.length > 0);
  assert.ok((again[0]?.state.value.bytes ?? 0) > 0);
  held.release();
  transfer.resume();
  await until("it is done", () => transfer.status === "done");
  assert.deepEqual(await bytesOf(await again[0]?.file() as File), bytes);
  bob.close();
});

Deno.test("a transfer whose peer does not come back fails with peer_gone", async () => {
  const storage = new HeldStorage(3);
  await using world = new FileWorld({ storage });
  const started = world.send(new Blob([randomBytes(5_000_000)]));
  await until("some bytes are stored", () => storage.written === 3);
  world.pair.cut();
  const offered = world.send(new Blob(["a"]));
  world.removeBob();
  assert.equal(offered.state.value.error?.code, "peer_gone");
  assert.equal(started.status, "waiting");
  await until("the minute is over", () => started.isOver);
  assert.equal(started.state.value.error?.code, "peer_gone");
  const late = world.send(new Blob(["a"]));
  assert.equal(late.state.value.error?.code, "peer_gone");
});

Deno.test("a received file has the sender's type only if it contains no scripts", async () => {
  const types = {
    "image/png": "image/png",
    "text/plain": "text/plain",
    "text/html": "application/octet-stream",
    "image/svg+xml": "application/octet-stream",
    "application/xhtml+xml": "application/octet-stream",
    "": "application/octet-stream",
  };
  for (const [type, safe] of Object.entries(types)) {
    await using world = new FileWorld();
    const transfer = world.send(new File(["<script>"], "a", { type }));
    await until("it is done", () => transfer.status === "done");
    assert.equal((await world.received[0]?.file())?.type, safe);
  }
});
