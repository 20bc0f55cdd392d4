import assert from "node:assert/strict";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { type AccessIsolate, AccessWorld, FakeHandler } from "../../support/access_world.ts";
import { authorityOf, grantOf } from "../../support/grants.ts";
import { jwksOf, makeSigner, type Signer } from "../../support/tokens.ts";
import { until } from "../../support/until.ts";

const ADMIN = { authority: authorityOf({ admin: true }, { subject: "root" }), ip: "" };
const { scope: SCOPE } = grantOf();
const STREAM = "stream-1";

/** Opens two isolates with different signing keys, and a stream in the second one. */
async function withStream(
  world: AccessWorld,
  old: Signer,
  fresh: Signer,
  body: (here: AccessIsolate, there: AccessIsolate, handler: FakeHandler) => Promise<void>,
): Promise<void> {
  const [here, there] = [await world.open(jwksOf(old)), await world.open(jwksOf(fresh))];
  const handler = new FakeHandler();
  const authority = await there.access.credentials.verify(await fresh.sign({ sub: "ann" }));
  using _connection = there.access.connections.open(STREAM, authority, handler);
  await body(here, there, handler);
}

const [OLD, FRESH] = await Promise.all([makeSigner("EdDSA", "k1"), makeSigner("EdDSA", "k2")]);
const SAME_NAME = await makeSigner("EdDSA", "k1");

for (const [how, fresh] of [["was removed", FRESH], ["names another key", SAME_NAME]] as const) {
  Deno.test(`rejects a swap from another isolate if the token's kid ${how}`, async () => {
    await using world = await AccessWorld.make();
    await withStream(world, OLD, fresh, async (here, there, handler) => {
      const revived = await here.access.credentials.verify(await OLD.sign({ sub: "ann" }));
      assert.equal(await here.access.swaps.swap(STREAM, revived), false);
      await until("the swap is rejected", () => there.audited.includes("access.denied"));
      assert.equal(handler.changes, 0);
    });
  });
}

Deno.test("applies a swap from another isolate", async () => {
  await using world = await AccessWorld.make();
  await withStream(world, FRESH, FRESH, async (here, there, handler) => {
    const next = await here.access.credentials.verify(await FRESH.sign({ sub: "ann", jti: "1" }));
    await here.access.swaps.swap(STREAM, next);
    await until("the swap is applied", () => handler.changes === 1);
    let ended = 0;
    await there.access.connections.revoke(({ tokenId }) => tokenId === "1", () => ended++);
    assert.equal(ended, 1);
    assert.deepEqual(there.warnings, []);
  });
});

Deno.test("applies swaps in order, even if the first takes longer to verify", async () => {
  await using world = await AccessWorld.make();
  const [here, there] = [await world.open(jwksOf(FRESH)), await world.open(jwksOf(FRESH))];
  const { apiKeys } = here.access;
  const [first, second] = [
    await apiKeys.create(DEFAULT_TENANT, { scope: SCOPE }),
    await apiKeys.create(DEFAULT_TENANT, { scope: SCOPE }),
  ];
  const [one, two] = [
    await here.access.credentials.verify(first.key),
    await here.access.credentials.verify(second.key),
  ];
  const handler = new FakeHandler();
  using connection = there.access.connections.open(STREAM, one, handler);
  const found = Promise.withResolvers<void>();
  const current = there.access.apiKeys.current.bind(there.access.apiKeys);
  there.access.apiKeys.current = async (tenant, id) => {
    if (id === first.info.id) await found.promise;
    return await current(tenant, id);
  };
  await here.access.swaps.swap(STREAM, one);
  await here.access.swaps.swap(STREAM, two);
  await here.access.administration.revoke(ADMIN, "jti", "x");
  // Entries arrive in order, so the second swap has arrived too.
  await until(
    "the revocation has arrived",
    () => there.access.revocations.list(DEFAULT_TENANT).length === 1,
  );
  found.resolve();
  await until("both swaps are applied", () => handler.changes === 2);
  assert.equal(connection.authority.grant.keyId, second.info.id);
});

Deno.test("a swap to an API key uses the key's current expiry", async () => {
  await using world = await AccessWorld.make();
  const [here, there] = [await world.open(jwksOf(FRESH)), await world.open(jwksOf(FRESH))];
  const { key, info } = await here.access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await here.access.credentials.verify(key);
  const handler = new FakeHandler();
  using connection = there.access.connections.open(STREAM, authority, handler);
  const rotated = await there.access.apiKeys.rotate(DEFAULT_TENANT, info.id, { graceMs: 60_000 });
  assert.equal(authority.grant.expiresAt, undefined);
  await here.access.swaps.swap(STREAM, authority);
  await until("the swap is applied", () => handler.changes === 1);
  assert.equal(connection.authority.grant.expiresAt, rotated?.oldEndsAt);
  await there.access.apiKeys.remove(DEFAULT_TENANT, info.id);
  await here.access.swaps.swap(STREAM, authority);
  await until("the swap is rejected", () => there.audited.includes("access.denied"));
  assert.equal(handler.changes, 1);
});

Deno.test("a swap that cannot be verified warns the operator and keeps the stream open", async () => {
  await using world = await AccessWorld.make();
  const [here, there] = [await world.open(jwksOf(FRESH)), await world.open(jwksOf(FRESH))];
  const { key } = await here.access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await here.access.credentials.verify(key);
  const handler = new FakeHandler();
  using _connection = there.access.connections.open(STREAM, authority, handler);
  there.access.apiKeys.current = () => Promise.reject(new Error("away"));
  await here.access.swaps.swap(STREAM, authority);
  await until("the operator is warned", () => there.warnings.length === 1);
  assert.deepEqual([handler.changes, handler.ends], [0, []]);
});
