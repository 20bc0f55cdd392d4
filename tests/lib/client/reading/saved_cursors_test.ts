import assert from "node:assert/strict";
import { connect } from "../../../../lib/client/client.ts";
import { webStorage } from "../../../../lib/client/reading/web_storage.ts";
import { SavedCursors } from "../../../../lib/client/reading/saved_cursors.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publishNumbers } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";
import { FakeClock } from "../../../support/clock.ts";

const unexpected = (error: WeirError) => {
  throw error;
};

Deno.test("web storage holds cursors under the prefix", async () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
  };
  const store = webStorage(storage, "app:");
  assert.equal(await store.get("a"), undefined);
  await store.set("a", "c1");
  assert.deepEqual([...items], [["app:a", "c1"]]);
  assert.equal(await webStorage(() => storage, "app:").get("a"), "c1");
});

Deno.test("a cursor is written immediately, then once a second, and at the end", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  const written: string[] = [];
  const cursors = new SavedCursors({
    get: () => undefined,
    set: (_, cursor) => void written.push(cursor),
  }, unexpected);
  const kept = cursors.forChannel("a");
  kept.set("1");
  assert.deepEqual(written, ["1"]);
  for (let i = 2; i <= 500; i++) kept.set(String(i));
  await clock.advanceAsync(999);
  assert.deepEqual(written, ["1"]);
  await clock.advanceAsync(1);
  assert.deepEqual(written, ["1", "500"]);
  await clock.advanceAsync(5_000);
  assert.deepEqual(written, ["1", "500"]);
  kept.set("501");
  await cursors.flush();
  kept.set("502");
  kept.close();
  assert.deepEqual(written, ["1", "500", "501", "502"]);
  assert.equal(clock.timers, 0);
});

Deno.test("neither the next write nor a read overtakes a slow write", async () => {
  const done: string[] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const cursors = new SavedCursors({
    get: () => (done.push("read"), undefined),
    async set(_, cursor) {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      done.push(cursor);
    },
  }, unexpected);
  const kept = cursors.forChannel("a");
  kept.set("1");
  kept.set("2");
  kept.close();
  kept.set("3");
  const read = cursors.forChannel("a").get();
  const written = cursors.flush();
  await undefined;
  assert.deepEqual([gates.length, done], [1, []]);
  gates[0]?.resolve();
  await until("the next is written", () => gates.length === 2);
  gates[1]?.resolve();
  await Promise.all([read, written]);
  assert.deepEqual(done, ["1", "3", "read"]);
});

Deno.test("close() waits for the last write", async () => {
  await using server = await LocalServer.start();
  const gate = Promise.withResolvers<void>();
  let isWritten = false;
  const cursors = {
    get: () => undefined,
    async set() {
      await gate.promise;
      isWritten = true;
    },
  };
  const weir = connect(server.url, { cursors });
  await new Promise<void>((resolve) => {
    weir.listen(newChannel(), { onStart: () => resolve(), onEvent() {}, onGap: "throw" });
  });
  const closed = weir.close();
  gate.resolve();
  await closed;
  assert.equal(isWritten, true);
});

Deno.test("close() waits a second for a write that never ends", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  const hung = new SavedCursors({
    get: () => undefined,
    set: () => new Promise(() => {}),
  }, unexpected);
  const kept = hung.forChannel("a");
  kept.set("1");
  kept.close();
  const written = hung.flush();
  await clock.advanceAsync(1_000);
  await written;
});

Deno.test("a failing store is reported once until it works again, and reading continues", async () => {
  let isFull = true;
  const store = {
    get: () => Promise.reject(new Error("denied")),
    set() {
      if (isFull) throw new Error("full");
    },
  };
  const codes: string[] = [];
  const cursors = new SavedCursors(store, ({ code, detail }) => codes.push(`${code} ${detail}`));
  const kept = cursors.forChannel("a");
  assert.equal(await kept.get(), undefined);
  const write = async (cursor: string) => {
    kept.set(cursor);
    kept.close();
    await cursors.flush();
  };
  await write("1");
  await write("2");
  assert.equal(codes.length, 1);
  assert.match(codes[0] ?? "", /^cursor_store_failed .*\ba\b.*denied/);
  isFull = false;
  await write("3");
  isFull = true;
  await write("4");
  assert.equal(codes.length, 2);
});

Deno.test("a subscription continues after the last event that the previous one took", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const kept = new Map<string, string>();
  const cursors = {
    get: (channel: string) => kept.get(channel),
    set: (channel: string, cursor: string) => void kept.set(channel, cursor),
  };
  /** Reads events until `last` with a new client. */
  const read = async (last: number, publishing?: () => Promise<unknown>) => {
    await using weir = connect(server.url, { cursors });
    const seen: unknown[] = [];
    const started = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    using _listening = weir.listen(channel, {
      onStart: () => started.resolve(),
      onEvent: ({ data }) => {
        seen.push(data);
        if (data === last) ended.resolve();
      },
      onGap: "throw",
    });
    await started.promise;
    await publishing?.();
    await ended.promise;
    return seen;
  };
  assert.deepEqual(await read(3, () => publishNumbers(server.url, channel, 3)), [1, 2, 3]);
  await publishNumbers(server.url, channel, 5);
  assert.deepEqual(await read(5), [1, 2, 3, 4, 5]);

  await using weir = connect(server.url, { cursors });
  await publishNumbers(server.url, channel, 2);
  const told: unknown[] = [];
  for (let life = 1; life <= 2; life++) {
    for await (const item of weir.subscribe(channel)) {
      told.push(item.kind === "event" && item.data);
      if (told.at(-1) === 2) break; // so this item is not done
    }
  }
  assert.deepEqual(told, [1, 2, 2]);
});

Deno.test("the cursor of a subscription that received nothing is saved too", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const [first] = await publishNumbers(server.url, channel, 1);
  const written: string[] = [];
  const cursors = {
    get: () => undefined,
    set: (_: string, cursor: string) => void written.push(cursor),
  };
  await using weir = connect(server.url, { cursors });
  await new Promise<void>((resolve) => {
    weir.listen(channel, { onStart: () => resolve(), onEvent() {}, onGap: "throw" });
  });
  assert.deepEqual(written, [first?.offset]);
});

Deno.test("an invalid stored cursor is reported, and reading begins at the latest event", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await publishNumbers(server.url, channel, 2);
  const codes: string[] = [];
  const cursors = { get: () => "garbage", set() {} };
  await using weir = connect(server.url, { cursors, onError: ({ code }) => codes.push(code) });
  const subscription = weir.subscribe(channel);
  const started = Promise.withResolvers<string>();
  weir.listen(channel, { onStart: started.resolve, onEvent() {}, onGap: "throw" });
  const cursor = await started.promise;
  assert.equal(cursor.slice(10), formatOffset(epochAt(0), 2).slice(10));
  assert.deepEqual([codes, subscription.cursor], [
    ["cursor_store_failed", "cursor_store_failed"],
    cursor,
  ]);
});
