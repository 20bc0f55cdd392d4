import assert from "node:assert/strict";
import fc from "fast-check";
import type { IncomingFile, SendFileOptions } from "../../../../../lib/client/rtc/api.ts";
import { Files } from "../../../../../lib/client/rtc/files/files.ts";
import { MEMORY_STORAGE } from "../../../../../lib/client/rtc/files/memory_storage.ts";
import type { FileStorage } from "../../../../../lib/client/rtc/files/storage.ts";
import { OutgoingTransfer } from "../../../../../lib/client/rtc/files/transfer.ts";
import { FakeNetwork } from "../../../../support/fake_channels.ts";
import { until } from "../../../../support/until.ts";

interface Options {
  readonly lossRate?: number;
  readonly random?: () => number;
  readonly storage?: FileStorage;
  readonly onFile?: (transfer: IncomingFile) => boolean;
}

/** Ann and bob, who transfer files over a simulated network. */
class World implements Disposable {
  readonly network: FakeNetwork;
  readonly pair: ReturnType<FakeNetwork["connect"]>;
  readonly received: IncomingFile[] = [];
  readonly #timers = new Set<unknown>();
  readonly ann: Files;
  readonly bob: Files;

  constructor({ storage = MEMORY_STORAGE, onFile, ...network }: Options = {}) {
    this.network = new FakeNetwork(network);
    this.pair = this.network.connect("ann", "bob");
    this.ann = this.files(() => false, MEMORY_STORAGE);
    this.bob = this.files(
      onFile ?? ((transfer) => {
        this.received.push(transfer);
        transfer.accept();
        return true;
      }),
      storage,
    );
    this.ann.addPeer(this.pair.a);
    this.bob.addPeer(this.pair.b);
  }

  files(onFile: (transfer: IncomingFile) => boolean, storage: FileStorage): Files {
    return new Files({
      onFile,
      storage,
      now: () => Date.now(),
      // A hundredth of the time, so that rounds of repair and the wait for a peer are short.
      setTimeout: (callback, delayMs) => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          callback();
        }, delayMs / 100);
        this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        clearTimeout(timer as number | undefined);
        this.#timers.delete(timer);
      },
    });
  }

  send(file: Blob, options?: SendFileOptions, chunkBytes?: number): OutgoingTransfer {
    const transfer = new OutgoingTransfer(file, this.pair.a, options, chunkBytes);
    this.ann.send(transfer);
    return transfer;
  }

  [Symbol.dispose](): void {
    this.ann.close();
    this.bob.close();
    this.network.close();
    for (const timer of this.#timers) clearTimeout(timer as number);
  }
}

function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  }
  return bytes;
}

async function bytesOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer());
}

for (const mode of ["reliable", "partial"] as const) {
  for (const size of [0, 1, 65_500, 65_501, 300_000]) {
    Deno.test(`a file of ${size} bytes arrives bit-exact, ${mode}`, async () => {
      using world = new World({ lossRate: 0.1 });
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
        using world = new World({ lossRate, random });
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
