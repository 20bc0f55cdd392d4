import assert from "node:assert/strict";
import type { FillResult } from "../../../lib/kv/disk_reserve.ts";
import { DiskRoom, type RoomState, type SharedRoomState } from "../../../lib/kv/disk_room.ts";

const MIB = 1024 * 1024;

/** A disk with room for a whole reserve, a part of one, or none. */
class FakeDisk implements SharedRoomState {
  has: "all" | "part" | "none" = "all";
  isUnsupported = false;
  reserve: "all" | "part" | "none" = "none";
  fills = 0;
  state: RoomState = "none";
  readonly said: string[] = [];

  isolate(isKeeper: boolean): DiskRoom {
    return new DiskRoom({
      isKeeper,
      shared: this,
      reserve: {
        exists: () => Promise.resolve(this.reserve !== "none"),
        fill: (isPartOk) => Promise.resolve(this.#fill(isPartOk)),
        release: () => Promise.resolve(void (this.reserve = "none")),
      },
      ...isKeeper && {
        onTrouble: (message: string) => this.said.push(message.split(":")[0]!),
        onRecovered: (message: string) => this.said.push(message.split(":")[0]!),
      },
    });
  }

  read(): RoomState {
    return this.state;
  }

  write(state: RoomState): void {
    this.state = state;
  }

  #fill(isPartOk: boolean): FillResult {
    this.fills++;
    if (this.isUnsupported) return "failed";
    if (this.has === "none" || this.has === "part" && !isPartOk) return "no_room";
    this.reserve = this.has;
    return "filled";
  }
}

/** Checks each room as often as happens in half a minute. */
async function checkAll(...rooms: readonly DiskRoom[]): Promise<void> {
  for (let i = 0; i < 30; i++) for (const room of rooms) await room.check();
}

function areFull(...rooms: readonly DiskRoom[]): readonly boolean[] {
  return rooms.map((room) => room.refusal()?.code === "storage_full");
}

Deno.test("one isolate makes the reserve, and no isolate refuses events", async () => {
  const disk = new FakeDisk();
  const rooms = [disk.isolate(true), disk.isolate(false)];
  await checkAll(...rooms);
  assert.equal(disk.reserve, "all");
  assert.equal(disk.fills, 1);
  assert.deepEqual(areFull(...rooms), [false, false]);
  assert.deepEqual(disk.said, []);
});

for (const first of [0, 1]) {
  Deno.test(`a full disk is noticed by isolate ${first} first, and events are refused until it has room`, async () => {
    const disk = new FakeDisk();
    const rooms = [disk.isolate(true), disk.isolate(false)] as const;
    await checkAll(...rooms);
    disk.has = "part";
    assert.equal(await rooms[first]!.ranOut(), true);
    assert.equal(disk.reserve, "none");
    assert.equal(rooms[first]!.refusal()?.code, "storage_full");
    // The other isolate may run out at the same moment.
    assert.equal(await rooms[1 - first]!.ranOut(), true);
    await checkAll(...rooms);
    assert.equal(disk.reserve, "none");
    assert.deepEqual(areFull(...rooms), [true, true]);
    disk.has = "all";
    await checkAll(...rooms);
    assert.equal(disk.reserve, "all");
    assert.deepEqual(areFull(...rooms), [false, false]);
    assert.deepEqual(disk.said, ["the disk is full", "the store has room again"]);
  });

  Deno.test(`a full disk takes events again once isolate ${first} has deleted enough`, async () => {
    const disk = new FakeDisk();
    const rooms = [disk.isolate(true), disk.isolate(false)] as const;
    await checkAll(...rooms);
    rooms[first]!.freed(100 * MIB); // before it was full: not counted
    disk.has = "part";
    await rooms[0].ranOut();
    await checkAll(...rooms);
    rooms[first]!.freed(7 * MIB);
    await checkAll(...rooms);
    assert.deepEqual(areFull(...rooms), [true, true]);
    rooms[first]!.freed(MIB);
    await checkAll(...rooms);
    assert.equal(disk.reserve, "part");
    assert.deepEqual(areFull(...rooms), [false, false]);
    await rooms[0].ranOut();
    await checkAll(...rooms);
    assert.deepEqual(areFull(...rooms), [true, true]); // what was freed counts once
  });
}

Deno.test("a disk that has no room for a reserve stays full, however much is deleted", async () => {
  const disk = new FakeDisk();
  const room = disk.isolate(true);
  await checkAll(room);
  disk.has = "none";
  await room.ranOut();
  room.freed(100 * MIB);
  await checkAll(room);
  assert.deepEqual(areFull(room), [true]);
});

Deno.test("a server that starts on a full disk refuses events, with part of a reserve it does not", async () => {
  for (const has of ["none", "part"] as const) {
    const disk = new FakeDisk();
    disk.has = has;
    const room = disk.isolate(true);
    await checkAll(room);
    assert.deepEqual(areFull(room), [has === "none"]);
  }
});

Deno.test("a reserve that an earlier process has left is kept", async () => {
  const disk = new FakeDisk();
  disk.reserve = "part";
  const room = disk.isolate(true);
  await checkAll(room);
  assert.equal(disk.fills, 0);
  assert.equal(await room.ranOut(), true);
  assert.equal(disk.reserve, "none");
});

Deno.test("a reserve that somebody has removed is made again", async () => {
  const disk = new FakeDisk();
  const room = disk.isolate(true);
  await checkAll(room);
  disk.reserve = "none";
  await checkAll(room);
  assert.equal(disk.reserve, "all");
  assert.deepEqual(disk.said, []);
});

Deno.test("without a reserve, on a file system that takes none, events are tried", async () => {
  const disk = new FakeDisk();
  disk.isUnsupported = true;
  const rooms = [disk.isolate(true), disk.isolate(false)] as const;
  await checkAll(...rooms);
  for (const room of rooms) assert.equal(await room.ranOut(), false);
  await checkAll(...rooms);
  assert.deepEqual(areFull(...rooms), [false, false]);
  assert.equal(disk.fills, 1);
});

Deno.test("a disk that is full for a long time is seldom filled to try it", async () => {
  const disk = new FakeDisk();
  const room = disk.isolate(true);
  await checkAll(room);
  disk.has = "none";
  await room.ranOut();
  const before = disk.fills;
  await checkAll(room);
  assert.equal(disk.fills - before, 6);
});
