import assert from "node:assert/strict";
import { ChannelListeners } from "../../../lib/kv/channel_listeners.ts";
import { testChannelKey } from "../../support/drafts.ts";

const [A, B, C] = [testChannelKey("a"), testChannelKey("b"), testChannelKey("c")];

Deno.test("call() calls the listeners of the given channels", () => {
  const listeners = new ChannelListeners<[number]>();
  const calls: string[] = [];
  for (const [name, key] of [["first", A], ["second", A], ["other", B]] as const) {
    listeners.add(key, (value) => calls.push(`${name} ${value}`));
  }
  listeners.call([A, C], 1);
  assert.deepEqual(calls, ["first 1", "second 1"]);
  listeners.call([B], 2);
  assert.deepEqual(calls.slice(2), ["other 2"]);
});

Deno.test("a disposed listener is not called, and a channel without listeners is forgotten", () => {
  const listeners = new ChannelListeners();
  let calls = 0;
  const first = listeners.add(A, () => calls++);
  const second = listeners.add(A, () => calls++);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  listeners.call([A]);
  assert.equal(calls, 1);
  assert.deepEqual([...listeners.channelKeys()], [A]);
  second[Symbol.dispose]();
  assert.deepEqual([...listeners.channelKeys()], []);
});
