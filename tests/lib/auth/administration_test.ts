import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { AccessWorld, FakeHandler } from "../../support/access_world.ts";
import { grantOf } from "../../support/grants.ts";
import { jwksOf, makeSigner } from "../../support/tokens.ts";

const { scope: SCOPE } = grantOf();
const SIGNER = await makeSigner("EdDSA", "k1");

Deno.test("keyChanged() expires the key in this isolate if the journal cannot be written", async () => {
  await using world = await AccessWorld.make();
  let isAway = false;
  // Only the journal sets rows under this key.
  const kv = new Proxy(world.kv, {
    get(target, name) {
      if (name !== "atomic") {
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return () => {
        const atomic = target.atomic();
        const set = atomic.set.bind(atomic);
        atomic.set = (key, ...rest) => {
          if (isAway && key[0] === keys.control()[0]) throw new Error("away");
          return set(key, ...rest);
        };
        return atomic;
      };
    },
  });
  const { access, warnings } = await world.open(jwksOf(SIGNER), kv);
  const { key, info } = await access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await access.credentials.verify(key);
  using connection = access.connections.open("stream-1", authority, new FakeHandler());
  isAway = true;
  const endsAt = Date.now() - 1;
  await access.administration.keyChanged(DEFAULT_TENANT, info.id, endsAt);
  assert.equal(connection.authority.grant.expiresAt, endsAt);
  assert.throws(() => access.credentials.requireValid(authority), { code: "key_invalid" });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", new RegExp(info.id));
});
