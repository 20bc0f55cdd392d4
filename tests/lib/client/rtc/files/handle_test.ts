import assert from "node:assert/strict";
import { bytesOf, FileWorld, randomBytes } from "../../../../support/file_world.ts";
import { until } from "../../../../support/until.ts";

/** A file of a user, as `showSaveFilePicker()` returns it: it changes once its stream is closed. */
class FakeHandle {
  content = new TextEncoder().encode("old");
  /** How streams have ended. */
  readonly ends: string[] = [];
  /** Writes that are done. */
  writes = 0;
  /** Called with the number of each write, from 0, before it is done. */
  beforeWrite: (n: number) => void | Promise<void> = () => {};
  #begun = 0;

  get asHandle(): FileSystemFileHandle {
    return this as unknown as FileSystemFileHandle;
  }

  createWritable() {
    let bytes = new Uint8Array();
    return Promise.resolve({
      truncate: (size: number) => Promise.resolve(void (bytes = new Uint8Array(size))),
      write: async (
        { position, data }: { readonly position: number; readonly data: Uint8Array },
      ) => {
        await this.beforeWrite(this.#begun++);
        bytes.set(data, position);
        this.writes++;
      },
      close: () => {
        this.content = bytes;
        this.ends.push("closed");
        return Promise.resolve();
      },
      abort: () => Promise.resolve(void this.ends.push("aborted")),
    });
  }

  getFile(): Promise<File> {
    return Promise.resolve(new File([this.content], "chosen.bin"));
  }
}

function openWorld(handle: FakeHandle, lossRate = 0): FileWorld {
  const world: FileWorld = new FileWorld({
    lossRate,
    onFile: (transfer) => {
      world.received.push(transfer);
      transfer.accept({ saveTo: handle.asHandle });
      return true;
    },
  });
  return world;
}

for (const mode of ["reliable", "partial"] as const) {
  for (const size of [0, 1, 300_000]) {
    Deno.test(`a file of ${size} bytes is saved where the user wants it, ${mode}`, async () => {
      const handle = new FakeHandle();
      await using world = openWorld(handle, 0.1);
      const bytes = randomBytes(size);
      const transfer = world.send(new File([bytes], "a.bin"), { mode });
      await until("it is done", () => transfer.isOver);
      assert.equal(transfer.state.value.error, undefined);
      assert.deepEqual(handle.content, bytes);
      assert.deepEqual(handle.ends, ["closed"]);
      const file = await world.received[0]?.file();
      assert.equal(file?.name, "a.bin");
      assert.deepEqual(await bytesOf(file as File), bytes);
      world.received[0]?.cancel();
      assert.deepEqual(handle.content, bytes, "what is saved is the user's");
    });
  }
}

Deno.test("a transfer that ends early leaves the user's file as it was", async () => {
  for (const how of ["cancel", "full"]) {
    const handle = new FakeHandle();
    const held = Promise.withResolvers<void>();
    handle.beforeWrite = (n) => {
      if (n < 3) return;
      if (how === "full") throw new DOMException("full", "QuotaExceededError");
      return held.promise;
    };
    await using world = openWorld(handle);
    const transfer = world.send(new Blob([randomBytes(1_000_000)]));
    await until("a part is stored", () => handle.writes === 3);
    if (how === "cancel") world.received[0]?.cancel();
    await until("it is over", () => transfer.isOver && handle.ends.length > 0);
    assert.equal(transfer.state.value.error?.code, how === "full" ? "quota_exceeded" : "cancelled");
    assert.deepEqual(handle.ends, ["aborted"]);
    assert.equal(new TextDecoder().decode(handle.content), "old");
    held.resolve();
  }
});

Deno.test("a transfer into the user's file continues after a lost connection", async () => {
  const handle = new FakeHandle();
  const held = Promise.withResolvers<void>();
  handle.beforeWrite = (n) => n < 3 ? undefined : held.promise;
  await using world = openWorld(handle);
  const bytes = randomBytes(1_000_000);
  const transfer = world.send(new Blob([bytes]));
  await until("a part is stored", () => handle.writes === 3);
  world.pair.cut();
  held.resolve();
  world.pair.restore();
  await until("it is done", () => transfer.isOver);
  assert.deepEqual(handle.content, bytes);
  assert.deepEqual(handle.ends, ["closed"]);
});
