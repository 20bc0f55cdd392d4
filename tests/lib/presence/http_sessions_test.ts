import assert from "node:assert/strict";
import { FakeClock } from "../../support/clock.ts";
import { problem } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { ann, bob, changes, names, openIsolate, pass } from "../../support/presence_isolates.ts";
import { until } from "../../support/until.ts";
import { watchedKv } from "../../support/watched_kv.ts";

const noConnection = () => ({ [Symbol.dispose]() {} });

Deno.test("an HTTP session expires unless it is renewed", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  let open = 0;
  const connect = () => {
    open++;
    return { [Symbol.dispose]: () => void open-- };
  };
  const [kept, lost] = [{ member: ann, sessionName: "a" }, { member: bob, sessionName: "b" }];
  await one.presence.renewHttpSession(kept, undefined, connect);
  await one.presence.renewHttpSession(lost, undefined, connect);
  await pass(clock, 15, [one]);
  await one.presence.renewHttpSession(kept, undefined, connect);
  assert.equal(open, 2);
  await pass(clock, 5, [one]);
  assert.equal(open, 1, "the expired session no longer counts");
  await pass(clock, 9, [one]);
  assert.deepEqual(await names(one), ["ann", "bob"], "the grace period follows");
  await pass(clock, 1, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  await pass(clock, 15, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "enter bob", "leave bob", "leave ann"]);
  assert.equal(open, 0);
  await one.presence.close();
});

Deno.test("an HTTP session whose join fails is not kept", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  let open = 0;
  const connect = () => {
    open++;
    return { [Symbol.dispose]: () => void open-- };
  };
  await one.log.close();
  const session = { member: ann, sessionName: "a" };
  await assert.rejects(
    one.presence.renewHttpSession(session, "1", connect),
    problem("shutting_down"),
  );
  assert.equal(open, 0);
  assert.deepEqual(await names(one), []);
  await one.presence.tick();
  await one.presence.close();
});

Deno.test("any isolate can end an HTTP session", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await one.presence.renewHttpSession({ member: ann, sessionName: "a" }, undefined, noConnection);
  await one.presence.renewHttpSession({ member: bob, sessionName: "a" }, undefined, noConnection);
  await two.presence.endHttpSession({ member: ann, sessionName: "a" });
  await pass(clock, 4, [one, two]);
  assert.deepEqual(await changes(one), ["enter ann", "enter bob", "leave ann"]);
  assert.deepEqual(await names(one), ["bob"]);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("ending made-up HTTP sessions costs few commits", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let writes = 0;
  const kv = watchedKv(store.kv, (name) => (name === "delete" || name === "atomic") && writes++);
  const [one, two] = [await openIsolate(store, clock, { kv }), await openIsolate(store, clock)];
  await one.presence.renewHttpSession({ member: ann, sessionName: "a" }, undefined, noConnection);
  for (let i = 0; i < 500; i++) {
    await two.presence.endHttpSession({ member: ann, sessionName: `made-up-${i}` });
  }
  await two.presence.endHttpSession({ member: ann, sessionName: "a" });
  writes = 0;
  await pass(clock, 4, [one]);
  assert.ok(writes < 50, `${writes} writes`);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  assert.deepEqual(await Array.fromAsync(store.kv.list({ prefix: ["parting"] })), []);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("HTTP sessions that end slowly do not delay the reaping of a dead isolate", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  const held = Promise.withResolvers<void>();
  const one = await openIsolate(store, clock, {
    log: {
      bounds: (channelKey) => log.bounds(channelKey),
      append: async (drafts) => {
        if (drafts.some(({ type, key }) => type === "leave" && key === bob.name)) {
          await held.promise;
        }
        return await log.append(drafts);
      },
    },
  });
  const [two, dead] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await dead.presence.join("s", ann);
  await one.presence.renewHttpSession({ member: bob, sessionName: "b" }, undefined, noConnection);
  await two.presence.endHttpSession({ member: bob, sessionName: "b" });
  const ticks: Promise<void>[] = [];
  await until("the dead isolate's member has left", async () => {
    clock.advance(1_000);
    ticks.push(one.presence.tick());
    await new Promise((resolve) => setTimeout(resolve, 1));
    return !(await names(one)).includes("ann");
  });
  held.resolve();
  await Promise.all(ticks);
  assert.deepEqual(await names(one), []);
  await Promise.all([one.presence.close(), two.presence.close()]);
});
