import assert from "node:assert/strict";
import { Audit } from "../../../lib/auth/audit.ts";
import { AUDIT_CHANNEL, channelOf, DEFAULT_TENANT, tenantOf } from "../../../lib/shared/channel.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import type { Draft } from "../../../lib/log/log.ts";
import { FakeClock } from "../../support/clock.ts";

const OTHER = "other" as Tenant;

function recording(now: () => number) {
  const drafts: Draft[] = [];
  const errors: unknown[] = [];
  let fault: Error | undefined;
  const log = {
    append: (given: readonly Draft[]) => {
      if (fault !== undefined) return Promise.reject(fault);
      drafts.push(...given);
      return Promise.resolve([]);
    },
  };
  const audit = new Audit(log, (cause) => errors.push(cause), now);
  return { audit, drafts, errors, fail: (cause: Error | undefined) => fault = cause };
}

Deno.test("records an event in the $audit channel of its tenant", async () => {
  const { audit, drafts } = recording(() => 0);
  await audit.record(OTHER, "key.created", { id: "x", name: undefined });
  const [draft] = drafts;
  assert.ok(draft !== undefined);
  assert.deepEqual([tenantOf(draft.channelKey), channelOf(draft.channelKey)], [
    OTHER,
    AUDIT_CHANNEL,
  ]);
  assert.deepEqual([draft.type, draft.data], ["key.created", `{"id":"x"}`]);
});

Deno.test("counts a tenant's flood instead of recording it, without affecting other tenants", async () => {
  const clock = new FakeClock({ start: 0 });
  const { audit, drafts } = recording(clock.now);
  for (let i = 0; i < 1_000; i++) await audit.record(DEFAULT_TENANT, "access.denied", { i });
  assert.equal(drafts.length, 20);
  await audit.record(OTHER, "access.denied", {});
  assert.equal(drafts.length, 21);
  clock.set(1_000);
  await audit.record(DEFAULT_TENANT, "access.denied", { i: 1_000 });
  assert.equal(drafts.at(-1)?.data, `{"i":1000,"suppressed":980}`);
});

Deno.test("an administrator's actions are recorded on a full disk too", async () => {
  const { audit, drafts } = recording(() => 0);
  await audit.record(DEFAULT_TENANT, "access.denied", {});
  await audit.record(DEFAULT_TENANT, "credential.revoked", { id: "x" });
  assert.deepEqual(drafts.map(({ isEssential }) => isEssential), [false, true]);
});

Deno.test("a store failure is reported and fails only an administrator's actions", async () => {
  const { audit, errors, fail } = recording(() => 0);
  const fault = new Error("away");
  fail(fault);
  await audit.record(DEFAULT_TENANT, "access.denied", {});
  assert.deepEqual(errors, [fault]);
  for (const type of ["key.created", "key.rotated", "key.removed", "credential.revoked"] as const) {
    await assert.rejects(audit.record(DEFAULT_TENANT, type, { id: "x" }), fault);
  }
  assert.deepEqual(errors, [fault]);
});
