import assert from "node:assert/strict";
import {
  AUDIT_CHANNEL,
  type Channel,
  channelKeyOf,
  type Tenant,
} from "../../../lib/shared/channel.ts";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import { EMBEDDED_TRAITS } from "../../../lib/kv/limits.ts";
import { KvLog } from "../../../lib/log/kv_log.ts";
import type { Draft } from "../../../lib/log/log.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { draft } from "../../support/drafts.ts";
import "../../support/open_broadcast_channel.ts";

const [ANN, BOB] = ["ann" as Tenant, "bob" as Tenant];
const RETENTION = { age: 60_000, events: 1_000, bytes: 1_000_000 };

/** A log in memory that allows each tenant two channels, with a clock that the test moves. */
async function open() {
  const kv = await Deno.openKv(":memory:");
  const doorbell = new BroadcastDoorbell(crypto.randomUUID());
  let time = 0;
  const now = () => time;
  const options = {
    kv,
    doorbell,
    traits: EMBEDDED_TRAITS,
    retention: RETENTION,
    maxChannels: 2,
    now,
  };
  const log = new KvLog(options);
  return {
    log,
    /** Moves the clock past the time for which a count is used. */
    later: () => time += 1_001,
    async [Symbol.asyncDispose]() {
      await log.close();
      await doorbell.close();
      kv.close();
    },
  };
}

const at = (tenant: Tenant, name: string) => channelKeyOf(tenant, name as Channel);
const to = (channelKey: ChannelKey): Draft => ({ ...draft("x", "1"), channelKey });

Deno.test("a tenant at its limit can create no channels, and can still use those it has", async () => {
  await using store = await open();
  const { log } = store;
  await log.append([to(at(ANN, "1")), to(at(ANN, "2"))]);
  await assert.rejects(log.append([to(at(ANN, "3"))]), { code: "tenant_limit" });
  await assert.rejects(log.configure(at(ANN, "3"), {}), { code: "tenant_limit" });
  assert.equal(await log.head(at(ANN, "3")), undefined);
  await log.append([to(at(ANN, "1")), to(at(ANN, "2"))]);
  await log.append([to(at(BOB, "1"))]);
});

Deno.test("deleting a channel makes room for another, and creating it again takes the room", async () => {
  await using store = await open();
  const { log } = store;
  await log.append([to(at(ANN, "1"))]);
  await log.configure(at(ANN, "2"), { events: 5 });
  await log.configure(at(ANN, "2"), { events: 6 });
  await log.delete(at(ANN, "1"));
  await log.delete(at(ANN, "1"));
  store.later();
  await log.append([to(at(ANN, "3"))]);
  await assert.rejects(log.append([to(at(ANN, "1"))]), { code: "tenant_limit" });
  await log.delete(at(ANN, "2"));
  store.later();
  await log.append([to(at(ANN, "1"))]);
  await assert.rejects(log.append([to(at(ANN, "2"))]), { code: "tenant_limit" });
});

Deno.test("a publish to several channels is refused as a whole, and others of its group are not", async () => {
  await using store = await open();
  const { log } = store;
  const results = await Promise.allSettled([
    log.append([to(at(ANN, "1")), to(at(ANN, "2")), to(at(ANN, "3"))]),
    log.append([to(at(BOB, "1"))]),
  ]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "fulfilled"]);
  assert.equal(await log.head(at(ANN, "1")), undefined);
  await log.append([to(at(ANN, "1")), to(at(ANN, "2"))]);
});

Deno.test("channels of the system do not count", async () => {
  await using store = await open();
  const { log } = store;
  await log.append([to(at(ANN, "1")), to(at(ANN, "2"))]);
  await log.append([to(channelKeyOf(ANN, AUDIT_CHANNEL))]);
  await log.delete(at(ANN, "1"));
  store.later();
  await log.append([to(at(ANN, "3"))]);
});
