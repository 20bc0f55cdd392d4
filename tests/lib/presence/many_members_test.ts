import assert from "node:assert/strict";
import { ROWS_PER_TURN } from "../../../lib/presence/batched_reads.ts";
import { MAX_MEMBERS } from "../../../lib/presence/member_counts.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem, upTo } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { patientStore } from "../../support/patient_store.ts";
import { PerTurn } from "../../support/per_turn.ts";
import { memberIn } from "../../support/presence.ts";
import { openIsolate, pass } from "../../support/presence_isolates.ts";

/** Members that join together. A channel has at most a thousand of them. */
const MEMBERS = 10_000;

const members = upTo(MEMBERS).map((i) => memberIn(`room${i % 10}`, `member${i}`));

Deno.test("10,000 members join, are read and leave in many short turns", async () => {
  using _patient = patientStore();
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const rows = new PerTurn();
  let lists = 0;
  const kv = new Proxy(store.kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "getMany") {
        return (keys: readonly Deno.KvKey[]) => {
          rows.count(keys.length);
          return target.getMany([...keys]);
        };
      }
      if (name === "list") {
        return (...args: Parameters<Deno.Kv["list"]>) => {
          lists++;
          return target.list(...args);
        };
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const isolate = await openIsolate(store, clock, { kv });
  const { presence } = isolate;
  await Promise.all(members.map((member) => presence.join(member.name, member)));
  rows.assertAtMost(ROWS_PER_TURN);

  const listsBefore = lists;
  const [{ channelKey }] = members as [typeof members[0] & object];
  const snapshots = await Promise.all(upTo(1_000).map(() => presence.snapshot(channelKey)));
  for (const { members } of snapshots) assert.equal(members.length, MAX_MEMBERS);
  assert.equal(lists - listsBefore, 1, "they share a read");

  const tooMany = upTo(1_000).map((i) => presence.join(i, memberIn("room1", `other${i}`)));
  await Promise.all(tooMany.map((join) => assert.rejects(join, problem("presence_full"))));

  const [leaving, lost] = [members.slice(0, MEMBERS / 2), members.slice(MEMBERS / 2)];
  for (const member of lost) presence.disconnect(member.name, member);
  await Promise.all(leaving.map((member) => presence.leave(member.name, member)));
  await pass(clock, 11, [isolate]);
  assert.deepEqual((await presence.snapshot(channelKey)).members, []);
  rows.assertAtMost(ROWS_PER_TURN);
  await presence.close();
});
