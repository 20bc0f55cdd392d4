import assert from "node:assert/strict";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { memberIn } from "../../support/presence.ts";
import {
  ann,
  changes,
  names,
  openIsolate,
  pass,
  refusing,
} from "../../support/presence_isolates.ts";

const HOUR = 60 * 60 * 1_000;

Deno.test("a member whose session disconnects stays for 10 s", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  await one.presence.join("s", ann);
  one.presence.disconnect("s", ann);
  await pass(clock, 9, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.close();
});

Deno.test("a session that joins and leaves repeatedly, without waiting, has left in the end", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  for (const times of [1, 2, 3, 4]) {
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < times; i++) {
      calls.push(one.presence.join("s", ann), one.presence.leave("s", ann));
    }
    await Promise.all(calls);
    assert.deepEqual(await names(one), [], `${times} times`);
    calls.push(one.presence.join("s", ann));
    await Promise.all(calls);
    const leaving = one.presence.leave("s", ann);
    await Promise.all([one.presence.join("s", ann), one.presence.leave("s", ann), leaving]);
    assert.deepEqual(await names(one), [], `${times} times from inside`);
  }
  await one.presence.close();
});

Deno.test("a session that is refused once and then accepted has joined", async () => {
  for (const leavesBetween of [false, true]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const log = await store.isolate({ now: clock.now });
    const one = await openIsolate(store, clock, {
      log: refusing(
        log,
        ({ data }) => String(data).includes("refused") ? new Problem("overloaded", "") : undefined,
      ),
    });
    const refused = assert.rejects(
      one.presence.join("s", ann, `"refused"`),
      problem("overloaded"),
    );
    const left = leavesBetween && one.presence.leave("s", ann);
    await Promise.all([refused, left, one.presence.join("s", ann, `"taken"`)]);
    await pass(clock, 20, [one]);
    assert.deepEqual(await names(one), ["ann"]);
    await one.presence.leave("s", ann);
    assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
    await one.presence.close();
  }
});

Deno.test("a refused reconnect leaves the rest of the grace period", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  const one = await openIsolate(store, clock, {
    log: refusing(log, ({ type }) => type === "update" ? new Problem("overloaded", "") : undefined),
  });
  await one.presence.join("s", ann);
  one.presence.disconnect("s", ann);
  await pass(clock, 4, [one]);
  await assert.rejects(one.presence.join("t", ann, "1"), problem("overloaded"));
  await pass(clock, 5, [one]);
  assert.deepEqual(await changes(one), ["enter ann"]);
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.close();
});

Deno.test("a presence channel without members is deleted once its events have expired", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock, {}, { maxChannels: 2 });
  const later = memberIn("later", "ann");
  await one.presence.join("s", ann);
  await one.presence.join("s", later);
  await assert.rejects(one.presence.join("s", memberIn("more", "ann")), problem("tenant_limit"));
  await one.presence.leave("s", later);
  await pass(clock, 1, [one]);
  for (let hours = 0; hours < 2; hours++) {
    clock.advance(HOUR + 1);
    await one.log.retain();
    await one.log.retain(); // channels that have become empty
  }
  const channels = await one.log.channels(DEFAULT_TENANT, "", 10);
  assert.deepEqual(channels.map(({ channel }) => channel), ["$presence:room"]);
  assert.deepEqual(await changes(one), [], "events are kept for an hour");
  assert.deepEqual(await names(one), ["ann"]);
  await one.presence.join("s", memberIn("more", "ann"));
  await one.presence.close();
});
