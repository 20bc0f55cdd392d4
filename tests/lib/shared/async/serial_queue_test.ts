import assert from "node:assert/strict";
import { KeyedSerialQueue, SerialQueue } from "../../../../lib/shared/async/serial_queue.ts";

Deno.test("SerialQueue starts the first work at once, and the next after it", async () => {
  const queue = new SerialQueue();
  const log: string[] = [];
  const first = Promise.withResolvers<number>();
  const results = [
    queue.run(() => {
      log.push("first");
      return first.promise;
    }),
    queue.run(() => {
      log.push("second");
      return Promise.resolve(2);
    }),
  ];
  assert.deepEqual(log, ["first"]);
  assert.ok(!queue.isIdle);
  first.resolve(1);
  assert.deepEqual(await Promise.all(results), [1, 2]);
  assert.deepEqual(log, ["first", "second"]);
});

Deno.test("SerialQueue continues after work that rejects", async () => {
  const queue = new SerialQueue();
  const failed = queue.run(() => Promise.reject(new Error("refused")));
  const next = queue.run(() => Promise.resolve("next"));
  await assert.rejects(failed, /refused/);
  assert.equal(await next, "next");
});

Deno.test("SerialQueue.idle() resolves once all work has resolved or rejected", async () => {
  const queue = new SerialQueue();
  await queue.idle();
  const work = Promise.withResolvers<never>();
  void queue.run(() => work.promise);
  let isOver = false;
  const idle = queue.idle().then(() => isOver = true);
  await Promise.resolve();
  assert.ok(!isOver);
  work.reject(new Error("refused"));
  await idle;
  assert.ok(queue.isIdle);
});

Deno.test("KeyedSerialQueue keeps the order of a key, and runs other keys at the same time", async () => {
  const queue = new KeyedSerialQueue();
  const log: string[] = [];
  const first = Promise.withResolvers<void>();
  const results = [
    queue.run("a", async () => {
      await first.promise;
      log.push("a1");
    }),
    queue.run("a", () => Promise.resolve(void log.push("a2"))),
    queue.run("b", () => Promise.resolve(void log.push("b1"))),
  ];
  assert.deepEqual(log, ["b1"]);
  first.resolve();
  await Promise.all(results);
  assert.deepEqual(log, ["b1", "a1", "a2"]);
});

Deno.test("KeyedSerialQueue starts work at once on a key that has become idle", async () => {
  const queue = new KeyedSerialQueue();
  await queue.run("a", () => Promise.resolve());
  await queue.idle();
  let isStarted = false;
  void queue.run("a", () => {
    isStarted = true;
    return Promise.resolve();
  });
  assert.ok(isStarted);
});

Deno.test("KeyedSerialQueue.idle() waits for the work of all keys", async () => {
  const queue = new KeyedSerialQueue();
  const log: string[] = [];
  void queue.run("a", () => Promise.resolve().then(() => void log.push("a")));
  void queue.run("b", () => Promise.reject(new Error("refused")));
  void queue.run("b", () => Promise.resolve().then(() => void log.push("b")));
  await queue.idle();
  assert.deepEqual(log.sort(), ["a", "b"]);
});
