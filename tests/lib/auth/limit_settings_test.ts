import assert from "node:assert/strict";
import { DEFAULT_LIMITS, parseLimits } from "../../../lib/auth/limit_settings.ts";

Deno.test("parseLimits() replaces the defaults that the setting names", () => {
  assert.deepEqual(parseLimits(""), DEFAULT_LIMITS);
  assert.deepEqual(parseLimits(" ,\n"), DEFAULT_LIMITS);
  const { credential, address, tenant } = DEFAULT_LIMITS;
  const text = "tenant.publishes=10000, address.connections=0 tenant.bytes=16MiB,address.bytes=5";
  assert.deepEqual(parseLimits(text), {
    credential,
    address: { ...address, connections: 0, bytes: 5 },
    tenant: { ...tenant, publishes: 10_000, bytes: 16 * 2 ** 20 },
  });
  assert.equal(parseLimits("tenant.bytes=2KiB").tenant.bytes, 2_048);
  assert.equal(parseLimits("tenant.bytes=1GiB").tenant.bytes, 2 ** 30);
});

Deno.test("parseLimits() rejects other settings and says what is allowed", () => {
  const texts = [
    "x",
    "publishes=1",
    "tenant.publish=1",
    "user.publishes=1",
    "tenant.publishes",
    "tenant.publishes=",
    "tenant.publishes=-1",
    "tenant.publishes=1.5",
    "tenant.publishes=1e3",
    "tenant.publishes=1MiB",
    "tenant.bytes=1MB",
    "tenant.bytes=1000000000001",
    "tenant.bytes=9999GiB",
    "tenant.toString=1",
    "tenant.publishes = 1",
    "tenant.publishes=1;address.publishes=1",
  ];
  for (const text of texts) {
    assert.throws(() => parseLimits(text), /^Error: limits like tenant\.publishes=10000/, text);
  }
});
