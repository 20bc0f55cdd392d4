import assert from "node:assert/strict";
import { Writers } from "../../../lib/log/writers.ts";

Deno.test("the writer whose last commit is the oldest comes first", () => {
  const writers = new Writers();
  writers.heard("b", "02");
  writers.heard("c", "01");
  assert.equal(writers.next(), undefined, "this isolate has not committed yet");
  writers.committed("03");
  assert.equal(writers.next()?.versionstamp, "01");
  writers.heard("c", "04");
  assert.equal(writers.next()?.versionstamp, "02");
  writers.heard("b", "05");
  assert.equal(writers.next(), undefined);
});

Deno.test("a writer that asks comes before one that has committed", () => {
  const writers = new Writers();
  writers.heard("b", "02");
  writers.committed("03");
  writers.asked("c");
  assert.equal(writers.next()?.versionstamp, "");
});

Deno.test("late news do not count", () => {
  const writers = new Writers();
  writers.heard("b", "04");
  writers.heard("b", "01");
  writers.committed("03");
  assert.equal(writers.next(), undefined);
});

Deno.test("a writer whose turns time out is skipped for longer each time, until it asks", () => {
  const writers = new Writers();
  let commits = 0;
  const commit = () => String(++commits).padStart(3, "0");
  const turnsUntilAwaited = () => {
    for (let turns = 1; turns < 100; turns++) {
      writers.heard("b", commit());
      writers.committed(commit());
      const next = writers.next();
      if (next === undefined) continue;
      writers.missed(next);
      assert.equal(writers.next(), undefined);
      return turns;
    }
    return Infinity;
  };
  assert.deepEqual(
    [turnsUntilAwaited(), turnsUntilAwaited(), turnsUntilAwaited(), turnsUntilAwaited()],
    [1, 2, 4, 8],
  );
  assert.equal(turnsUntilAwaited(), 8);
  writers.asked("b");
  assert.equal(turnsUntilAwaited(), 1);
});

Deno.test("a commit of an unknown writer is waited for once, unless its news come", () => {
  const writers = new Writers();
  writers.noticed("01");
  writers.committed("02");
  const next = writers.next() ?? assert.fail();
  writers.missed(next);
  assert.equal(writers.next(), undefined);
  writers.noticed("03");
  writers.heard("b", "03");
  writers.committed("04");
  assert.equal(writers.next()?.versionstamp, "03");
  writers.heard("b", "05");
  assert.equal(writers.next(), undefined);
});

Deno.test("the time to wait follows the time that turns take, within bounds", () => {
  const writers = new Writers();
  const first = writers.timeoutMs;
  for (let i = 0; i < 100; i++) writers.heardAfter(4);
  assert.ok(Math.abs(writers.timeoutMs - 10) < 0.1, `${writers.timeoutMs} ms`);
  assert.ok(first > writers.timeoutMs);
  for (let i = 0; i < 100; i++) writers.heardAfter(0);
  assert.equal(writers.timeoutMs, 2);
  for (let i = 0; i < 100; i++) writers.heardAfter(10_000);
  assert.equal(writers.timeoutMs, 50);
});
