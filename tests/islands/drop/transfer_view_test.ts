import assert from "node:assert/strict";
import { TransferView } from "../../../islands/drop/transfer_view.ts";
import { FakeClock } from "../../support/clock.ts";
import { FakeTransfer } from "../../support/fake_room.ts";

function open(clock: FakeClock) {
  const transfer = new FakeTransfer("a.bin", 10_000, { member: "m1", session: "s1" });
  const view = new TransferView({ kind: "incoming", transfer }, "Ann", clock.now);
  return { transfer, view, [Symbol.dispose]: () => view[Symbol.dispose]() };
}

Deno.test("figures change a few times per second, and a new status at once", () => {
  using clock = new FakeClock({ replaces: ["intervals"] });
  using world = open(clock);
  const { transfer, view } = world;
  transfer.set({ status: "active" });
  assert.equal(view.figures.value.state.status, "active");
  let changes = -1; // the first call has the present figures
  const unwatch = view.figures.subscribe(() => changes++);
  for (let i = 1; i <= 100; i++) {
    transfer.set({ bytes: i * 10 });
    clock.advance(10);
  }
  assert.equal(changes, 4);
  assert.equal(view.figures.value.bytesPerSecond, 1_000);
  transfer.set({ status: "done", bytes: 10_000 });
  assert.equal(view.figures.value.state.status, "done");
  assert.equal(clock.timers, 0);
  unwatch();
});

Deno.test("only the time in which bytes move counts", () => {
  using clock = new FakeClock({ replaces: ["intervals"] });
  using world = open(clock);
  const { transfer, view } = world;
  clock.advance(60_000);
  transfer.set({ status: "active" });
  clock.advance(2_000);
  transfer.set({ status: "waiting" });
  clock.advance(60_000);
  transfer.set({ status: "active" });
  clock.advance(1_000);
  transfer.set({ status: "done" });
  assert.equal(view.figures.value.activeMs, 3_000);
});

Deno.test("a pause of the visitor differs from one of the other side", () => {
  using clock = new FakeClock({ replaces: ["intervals"] });
  using world = open(clock);
  const { transfer, view } = world;
  transfer.set({ status: "active" });
  transfer.set({ status: "paused" });
  assert.equal(view.isPausedHere, false);
  view.pause();
  assert.equal(view.isPausedHere, true);
  view.resume();
  assert.equal(view.isPausedHere, false);
  assert.deepEqual(transfer.calls, ["pause", "resume"]);
});

Deno.test("a view that was disposed of leaves no timer", () => {
  using clock = new FakeClock({ replaces: ["intervals"] });
  const { transfer, view } = open(clock);
  transfer.set({ status: "active" });
  assert.equal(clock.timers, 1);
  view[Symbol.dispose]();
  assert.equal(clock.timers, 0);
});
