import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { memberIn, snapshotOf } from "../../support/presence.ts";
import {
  ann,
  bob,
  changes,
  guarded,
  names,
  openIsolate,
  pass,
  refusing,
} from "../../support/presence_isolates.ts";

Deno.test("a certain refusal leaves nothing in the store, and no work for later", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let calls = 0;
  const kv = guarded(store.kv, () => Promise.resolve(void calls++));
  const log = await store.isolate({ now: clock.now });
  const one = await openIsolate(store, clock, {
    kv,
    log: refusing(log, () => new Problem("tenant_limit", "")),
  });
  await one.presence.tick();
  const refused = () => assert.rejects(one.presence.join("s", ann), problem("tenant_limit"));
  await refused();
  await Promise.all([refused(), refused()]);
  calls = 0;
  clock.advance(1_000);
  await one.presence.tick();
  assert.equal(calls, 1, "only the unused lease is deleted");
  await one.presence.close();
});

Deno.test("a leave that fails while the store is unreachable is done later", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  let isUnreachable = false;
  const warnings: string[] = [];
  const one = await openIsolate(store, clock, {
    log: {
      bounds: (channelKey) => log.bounds(channelKey),
      append: (drafts) =>
        isUnreachable
          ? Promise.reject(new Problem("storage_unavailable", "The store is unreachable."))
          : log.append(drafts),
    },
    onWarning: (message) => warnings.push(message),
  });
  await one.presence.join("s", ann);
  isUnreachable = true;
  await assert.rejects(one.presence.leave("s", ann), problem("storage_unavailable"));
  await assert.rejects(one.presence.join("s", bob), problem("storage_unavailable"));
  await pass(clock, 2, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  assert.ok(warnings.length > 0);
  isUnreachable = false;
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.join("s", bob);
  assert.deepEqual(await names(one), ["bob"]);
  await one.presence.close();
});

Deno.test("a failed join whose commit arrives later is undone", async () => {
  for (const isAlone of [true, false]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const log = await store.isolate({ now: clock.now });
    let arrive: (() => Promise<unknown>) | undefined;
    const one = await openIsolate(store, clock, {
      log: {
        bounds: (channelKey) => log.bounds(channelKey),
        append: (drafts) => {
          if (drafts.every(({ key }) => key !== ann.name) || arrive) return log.append(drafts);
          arrive = () => log.append(drafts);
          return Promise.reject(new Problem("commit_unknown", "The store did not answer."));
        },
      },
    });
    if (!isAlone) await one.presence.join("s", bob);
    await assert.rejects(one.presence.join("s", ann), problem("commit_unknown"));
    await pass(clock, 3, [one]);
    assert.ok(arrive);
    await arrive();
    assert.ok((await names(one)).includes("ann"));
    await pass(clock, 65, [one]);
    assert.deepEqual(await names(one), isAlone ? [] : ["bob"]);
    await one.presence.close();
  }
});

Deno.test("an isolate without members writes nothing and leaves nothing behind", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  const rows = async () => {
    const found: Deno.KvKey[] = [];
    for (const prefix of [keys.isolates(), ["stay"], ["member"], ["parting"], ["lease"]]) {
      for await (const { key } of store.kv.list({ prefix })) found.push(key);
    }
    return found;
  };
  await pass(clock, 10, [one]);
  assert.deepEqual(await rows(), []);
  await one.presence.join("s", ann);
  assert.equal((await rows()).length, 3);
  await one.presence.leave("s", ann);
  await pass(clock, 1, [one]);
  assert.deepEqual(await rows(), []);
  await one.presence.close();
});

Deno.test("many members with the longest names and the largest data fit into the store's commits", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  const many = Array.from({ length: 300 }, (_, i) => {
    return memberIn("€".repeat(82), `${"€".repeat(84)}${String(i).padStart(4, "0")}`);
  });
  const data = `"${"€".repeat(340)}"`;
  await Promise.all(many.map((who) => one.presence.join("s", who, data)));
  const [first] = many;
  assert.ok(first);
  assert.equal((await snapshotOf(one.presence, first.channelKey)).size, 300);
  await Promise.all(many.map((who) => one.presence.leave("s", who)));
  assert.equal((await snapshotOf(one.presence, first.channelKey)).size, 0);
  await one.presence.close();
});
