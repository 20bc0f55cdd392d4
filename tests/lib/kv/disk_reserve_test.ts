import assert from "node:assert/strict";
import { DiskReserve } from "../../../lib/kv/disk_reserve.ts";

const MIB = 1024 * 1024;

Deno.test("a reserve takes real space, which others see when it is complete, and gives it back", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_reserve_" });
  try {
    const reserve = new DiskReserve(`${directory}/weir.db`);
    assert.equal(await reserve.exists(), false);
    await Deno.writeTextFile(
      `${directory}/weir.db.reserve.new`,
      "left by a server that was killed",
    );
    assert.equal(await reserve.fill(false), "filled");
    assert.equal(await reserve.exists(), true);
    const { size, blocks } = await Deno.stat(`${directory}/weir.db.reserve`);
    assert.equal(size, 32 * MIB);
    assert.ok(blocks === null || blocks * 512 >= size); // not sparse
    await reserve.releaseIfFull();
    assert.equal(await reserve.exists(), true); // this disk has room
    await reserve.release();
    await reserve.release();
    assert.equal(await reserve.exists(), false);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(directory)), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("only one isolate fills a reserve", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_reserve_" });
  try {
    using other = await Deno.open(`${directory}/weir.db.reserve.new`, {
      create: true,
      write: true,
    });
    await other.lock(true);
    assert.equal(await new DiskReserve(`${directory}/weir.db`).fill(true), "no_room");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a folder that takes no files takes no reserve", async () => {
  assert.equal(await new DiskReserve("/no/such/folder/weir.db").fill(true), "failed");
});
