import assert from "node:assert/strict";
import { ChatStorage, MAX_ROOMS } from "../../../islands/chat/chat_storage.ts";

Deno.test("stored values are restored, separately for each subject", () => {
  const storage = new Storage();
  const memory = new ChatStorage(undefined, () => storage);
  memory.name = "Ann";
  memory.rooms = ["lobby", "a:b"];
  memory.setReadTo("a:b", "x_1");
  const member = memory.member(() => "abc");

  const again = new ChatStorage(undefined, () => storage);
  assert.equal(again.name, "Ann");
  assert.deepEqual(again.rooms, ["lobby", "a:b"]);
  assert.equal(again.readTo("a:b"), "x_1");
  assert.equal(again.member(() => "other"), member);

  const signedIn = new ChatStorage("ann", () => storage);
  assert.equal(signedIn.name, undefined);
  assert.deepEqual(signedIn.rooms, []);
  assert.equal(signedIn.readTo("a:b"), undefined);
});

Deno.test("tabs share unsent messages, and each room has its draft", () => {
  const storage = new Storage();
  const memory = new ChatStorage(undefined, () => storage);
  const other = new ChatStorage(undefined, () => storage);
  memory.unsent("lobby").keep("a", { name: "Ann", text: "one" });
  other.unsent("lobby").keep("b", { name: "Ann", text: "two" });
  memory.unsent("lobby").forget("a");
  memory.setDraft("lobby", "half a sen");

  const again = new ChatStorage(undefined, () => storage);
  assert.deepEqual([...again.unsent("lobby").all()], [["b", { name: "Ann", text: "two" }]]);
  assert.equal(again.unsent("elsewhere").all().size, 0);
  assert.equal(again.draft("lobby"), "half a sen");
  assert.equal(again.draft("elsewhere"), "");
  storage.setItem(
    "weir-chat:unsent:lobby",
    `[["a"], 7, ["b", { "text": 1 }], [1, { "text": "x" }]]`,
  );
  assert.equal(again.unsent("lobby").all().size, 0);
});

Deno.test("the latest rooms are stored, up to the maximum", () => {
  const memory = new ChatStorage(undefined, () => new Storage());
  const rooms = Array.from({ length: MAX_ROOMS + 5 }, (_, i) => `r${i}`);
  memory.rooms = rooms;
  assert.deepEqual(new ChatStorage(undefined, () => new Storage()).rooms, []);
  const storage = new Storage();
  const kept = new ChatStorage(undefined, () => storage);
  kept.rooms = rooms;
  assert.deepEqual(kept.rooms, rooms.slice(5));
});

Deno.test("values are kept in memory if storage is denied or full", () => {
  const denied = new ChatStorage(undefined, () => {
    throw new DOMException("denied", "SecurityError");
  });
  assert.equal(denied.name, undefined);
  denied.name = "Ann";
  denied.setReadTo("lobby", "x_1");
  assert.equal(denied.name, "Ann");
  assert.equal(denied.readTo("lobby"), "x_1");

  const storage = new Storage();
  const memory = new ChatStorage(undefined, () => storage);
  memory.name = "Ann";
  storage.isFull = true;
  assert.equal(memory.isPersistent, true);
  memory.name = "Bob";
  assert.equal(memory.isPersistent, false);
  assert.equal(memory.name, "Bob");
  storage.isFull = false;
  memory.name = "Cid";
  assert.equal(new ChatStorage(undefined, () => storage).name, "Cid");
});

Deno.test("malformed values in storage are ignored", () => {
  const storage = new Storage();
  storage.setItem("weir-chat:rooms", `["lobby", 7, null]`);
  storage.setItem("weir-chat:member", "<script>");
  const memory = new ChatStorage(undefined, () => storage);
  assert.deepEqual(memory.rooms, ["lobby"]);
  assert.equal(memory.member(() => "abc"), "abc");
  storage.setItem("weir-chat:rooms", "{");
  assert.deepEqual(memory.rooms, []);
});

Deno.test("keys of storage events are recognized", () => {
  const storage = new Storage();
  const memory = new ChatStorage("ann", () => storage);
  memory.setReadTo("night shift", "x_1");
  memory.name = "Ann";
  const keys = [...storage.keys()];
  assert.deepEqual(keys.map((key) => memory.roomOf(key)), ["night shift", undefined]);
  assert.deepEqual(keys.map((key) => memory.isName(key)), [false, true]);
  assert.equal(memory.roomOf(null), undefined);
  assert.equal(new ChatStorage("bob", () => storage).roomOf(keys[0] ?? null), undefined);
});

/** Storage in memory that a test can fill up. */
class Storage extends Map<string, string> {
  isFull = false;

  getItem(key: string): string | null {
    return this.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (this.isFull) throw new DOMException("full", "QuotaExceededError");
    this.set(key, value);
  }
}
