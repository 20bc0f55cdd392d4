import assert from "node:assert/strict";
import { ObservableValue, runCallback } from "../../../../lib/client/core/observable.ts";
import { nextUncaught } from "../../../support/uncaught.ts";

Deno.test("listeners receive the value immediately and each change until they unsubscribe", () => {
  const value = new ObservableValue(1);
  const told: string[] = [];
  const leaveA = value.subscribe((now) => told.push(`a${now}`));
  value.subscribe((now) => told.push(`b${now}`));
  assert.deepEqual(told, ["a1", "b1"]);
  value.set(2);
  leaveA();
  leaveA();
  value.set(3);
  assert.deepEqual(told, ["a1", "b1", "a2", "b2", "b3"]);
  assert.equal(value.value, 3);
});

Deno.test("subscribe() needs no `this`, as in useSyncExternalStore(value.subscribe, …)", () => {
  const value = new ObservableValue("a");
  const { subscribe } = value;
  const told: string[] = [];
  const leave = subscribe((now) => told.push(now));
  value.set("b");
  leave();
  value.set("c");
  assert.deepEqual(told, ["a", "b"]);
});

Deno.test("listeners of changes do not receive the present value", () => {
  const value = new ObservableValue(1);
  const told: number[] = [];
  const leave = value.onChange((now) => told.push(now));
  assert.deepEqual(told, []);
  value.set(2);
  leave();
  value.set(3);
  assert.deepEqual(told, [2]);
});

Deno.test("a function that subscribes twice is called twice and unsubscribes separately", () => {
  const value = new ObservableValue(0);
  let calls = 0;
  const listener = () => calls++;
  const leave = value.subscribe(listener);
  value.subscribe(listener);
  value.set(1);
  assert.equal(calls, 4);
  leave();
  value.set(2);
  assert.equal(calls, 5);
});

Deno.test("an error of a listener is uncaught and does not affect other listeners", async () => {
  const thrown = new Error("of the application");
  const uncaught = nextUncaught();
  const value = new ObservableValue(0);
  let told = 0;
  value.onChange(() => {
    throw thrown;
  });
  value.subscribe((now) => told = now);
  value.set(1);
  assert.equal(told, 1);
  assert.equal(await uncaught, thrown);
  void runCallback(() => told = 2);
  assert.equal(told, 2);
});

Deno.test("a value set by a listener is the last one that all listeners receive", () => {
  const value = new ObservableValue("open");
  const told: string[] = [];
  value.onChange((now) => now === "reconnecting" && value.set("closed"));
  value.onChange((now) => told.push(now));
  value.set("reconnecting");
  assert.deepEqual([value.value, told], ["closed", ["closed"]]);
});
