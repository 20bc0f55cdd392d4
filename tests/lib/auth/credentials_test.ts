import assert from "node:assert/strict";
import { AccessWorld, FakeHandler } from "../../support/access_world.ts";
import { authorityOf } from "../../support/grants.ts";
import { jwksOf, makeSigner } from "../../support/tokens.ts";
import { until } from "../../support/until.ts";

const ADMIN = { authority: authorityOf({ admin: true }, { subject: "root" }), ip: "" };
const [OLD, FRESH] = await Promise.all([makeSigner("EdDSA", "k1"), makeSigner("EdDSA", "k2")]);
const SAME_NAME = await makeSigner("EdDSA", "k1");

Deno.test("requireValid() refuses an authority once its credential is revoked, expires or loses its key", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, jwksOf(OLD, FRESH));
    await using world = await AccessWorld.make();
    const { access } = await world.open(path);
    const ann = await access.credentials.verify(await OLD.sign({ sub: "ann" }));
    const bob = await access.credentials.verify(await FRESH.sign({ sub: "bob" }));
    const now = Math.floor(Date.now() / 1_000);
    const brief = await access.credentials.verify(await FRESH.sign({ sub: "eve", exp: now + 2 }));
    for (const each of [ann, bob, brief]) access.credentials.requireValid(each);
    await access.administration.revoke(ADMIN, "sub", "bob");
    assert.throws(() => access.credentials.requireValid(bob), { code: "token_revoked" });
    await Deno.writeTextFile(path, jwksOf(FRESH, { jwk: { ...SAME_NAME.jwk } }));
    await until("the key is removed", () => {
      try {
        access.credentials.requireValid(ann);
        return false;
      } catch (cause) {
        return cause instanceof Error && /token_revoked/.test(cause.message);
      }
    });
    // A connection that opened just before ends too.
    const handler = new FakeHandler();
    using _connection = access.connections.open("stream-1", ann, handler);
    access.connections.sweep();
    assert.deepEqual(handler.ends, ["revoked"]);
    await until("the token has expired", () => Date.now() >= (now + 2) * 1_000);
    assert.throws(() => access.credentials.requireValid(brief), { code: "token_expired" });
  } finally {
    await Deno.remove(path);
  }
});
