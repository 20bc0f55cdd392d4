import assert from "node:assert/strict";
import { type Access, openAccess } from "../../../lib/auth/access.ts";
import type { ConnectionHandler } from "../../../lib/auth/connections.ts";
import { parseLimits } from "../../../lib/auth/limit_settings.ts";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import { keys } from "../../../lib/kv/keys.ts";
import type { Draft } from "../../../lib/log/log.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { authorityOf, grantOf } from "../../support/grants.ts";
import { jwksOf, makeSigner, type Signer } from "../../support/tokens.ts";
import { until } from "../../support/until.ts";

const ADMIN = { authority: authorityOf({ admin: true }, { subject: "root" }), ip: "" };
const { scope: SCOPE } = grantOf();
const STREAM = "stream-1";

class FakeHandler implements ConnectionHandler {
  changes = 0;
  readonly ends: string[] = [];
  expiring(): void {}
  changed(): void {
    this.changes++;
  }
  end(reason: string): void {
    this.ends.push(reason);
  }
}

/** An isolate's access control, and what it has said. */
interface Isolate {
  readonly access: Access;
  /** Types of the events that it has recorded. */
  readonly audited: string[];
  readonly warnings: string[];
}

/** Isolates on one store, whose JWK sets may differ. */
class World implements AsyncDisposable {
  readonly #name = crypto.randomUUID();
  readonly #resources = new AsyncDisposableStack();

  private constructor(readonly kv: Deno.Kv) {}

  static async make(): Promise<World> {
    const world = new World(await Deno.openKv(":memory:"));
    world.#resources.defer(() => world.kv.close());
    return world;
  }

  async open(jwks: string, kv = this.kv): Promise<Isolate> {
    const audited: string[] = [];
    const warnings: string[] = [];
    const doorbell = new BroadcastDoorbell(this.#name);
    this.#resources.defer(() => doorbell.close());
    const access = await openAccess({
      kv,
      doorbell,
      log: {
        append: (drafts: readonly Draft[]) => {
          audited.push(...drafts.map(({ type }) => type ?? ""));
          return Promise.resolve([]);
        },
      },
      isOpen: false,
      anonymous: undefined,
      tokens: { jwks, issuer: undefined, audience: undefined, maxLifetimeMs: 1e9, skewMs: 0 },
      limits: parseLimits(""),
      onWarning: (message) => warnings.push(message),
    });
    this.#resources.defer(() => access.close());
    return { access, audited, warnings };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

/** Two isolates of which the second hasn't the first's key any more, and a stream of the second. */
async function withStream(
  world: World,
  old: Signer,
  fresh: Signer,
  body: (here: Isolate, there: Isolate, handler: FakeHandler) => Promise<void>,
): Promise<void> {
  const [here, there] = [await world.open(jwksOf(old)), await world.open(jwksOf(fresh))];
  const handler = new FakeHandler();
  const authority = await there.access.credentials.verify(await fresh.sign({ sub: "ann" }));
  using _connection = there.access.connections.open(STREAM, authority, handler);
  await body(here, there, handler);
}

const [OLD, FRESH] = await Promise.all([makeSigner("EdDSA", "k1"), makeSigner("EdDSA", "k2")]);
const SAME_NAME = await makeSigner("EdDSA", "k1");

for (const [how, fresh] of [["has gone", FRESH], ["is another's now", SAME_NAME]] as const) {
  Deno.test(`a swap that was passed on brings back no token whose kid ${how}`, async () => {
    await using world = await World.make();
    await withStream(world, OLD, fresh, async (here, there, handler) => {
      const revived = await here.access.credentials.verify(await OLD.sign({ sub: "ann" }));
      assert.equal(await here.access.swaps.swap(STREAM, revived), false);
      await until("it is refused", () => there.audited.includes("access.denied"));
      assert.equal(handler.changes, 0);
    });
  });
}

Deno.test("a swap that was passed on is done", async () => {
  await using world = await World.make();
  await withStream(world, FRESH, FRESH, async (here, there, handler) => {
    const next = await here.access.credentials.verify(await FRESH.sign({ sub: "ann", jti: "1" }));
    await here.access.swaps.swap(STREAM, next);
    await until("it is done", () => handler.changes === 1);
    assert.equal(there.access.connections.revoke(({ tokenId }) => tokenId === "1").length, 1);
    assert.deepEqual(there.warnings, []);
  });
});

Deno.test("of two swaps the later one stays, however long the first is looked at", async () => {
  await using world = await World.make();
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
  // Entries come one after the other: the second swap has come too.
  await until("it has come", () => there.access.revocations.list(DEFAULT_TENANT).length === 1);
  found.resolve();
  await until("both are done", () => handler.changes === 2);
  assert.equal(connection.authority.grant.keyId, second.info.id);
});

Deno.test("a swap to an API key gives the stream the end that the key has by then", async () => {
  await using world = await World.make();
  const [here, there] = [await world.open(jwksOf(FRESH)), await world.open(jwksOf(FRESH))];
  const { key, info } = await here.access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await here.access.credentials.verify(key);
  const handler = new FakeHandler();
  using connection = there.access.connections.open(STREAM, authority, handler);
  const rotated = await there.access.apiKeys.rotate(DEFAULT_TENANT, info.id, { graceMs: 60_000 });
  assert.equal(authority.grant.expiresAt, undefined);
  await here.access.swaps.swap(STREAM, authority);
  await until("it is done", () => handler.changes === 1);
  assert.equal(connection.authority.grant.expiresAt, rotated?.oldEndsAt);
  await there.access.apiKeys.remove(DEFAULT_TENANT, info.id);
  await here.access.swaps.swap(STREAM, authority);
  await until("it is refused", () => there.audited.includes("access.denied"));
  assert.equal(handler.changes, 1);
});

Deno.test("a swap that can't be looked at is told to the operator, and the stream goes on", async () => {
  await using world = await World.make();
  const [here, there] = [await world.open(jwksOf(FRESH)), await world.open(jwksOf(FRESH))];
  const { key } = await here.access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await here.access.credentials.verify(key);
  const handler = new FakeHandler();
  using _connection = there.access.connections.open(STREAM, authority, handler);
  there.access.apiKeys.current = () => Promise.reject(new Error("away"));
  await here.access.swaps.swap(STREAM, authority);
  await until("it is told", () => there.warnings.length === 1);
  assert.deepEqual([handler.changes, handler.ends], [0, []]);
});

Deno.test("a key that is rotated while nobody else can be told ends here all the same", async () => {
  await using world = await World.make();
  let isAway = false;
  // Only the journal writes by `set` of this key.
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
  const { access, warnings } = await world.open(jwksOf(FRESH), kv);
  const { key, info } = await access.apiKeys.create(DEFAULT_TENANT, { scope: SCOPE });
  const authority = await access.credentials.verify(key);
  using connection = access.connections.open(STREAM, authority, new FakeHandler());
  isAway = true;
  const endsAt = Date.now() - 1;
  await access.administration.keyChanged(DEFAULT_TENANT, info.id, endsAt);
  assert.equal(connection.authority.grant.expiresAt, endsAt);
  assert.throws(() => access.credentials.requireValid(authority), { code: "key_invalid" });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", new RegExp(info.id));
});

Deno.test("an authority is good until its credential is revoked, ends or loses its key", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, jwksOf(OLD, FRESH));
    await using world = await World.make();
    const { access } = await world.open(path);
    const ann = await access.credentials.verify(await OLD.sign({ sub: "ann" }));
    const bob = await access.credentials.verify(await FRESH.sign({ sub: "bob" }));
    const now = Math.floor(Date.now() / 1_000);
    const brief = await access.credentials.verify(await FRESH.sign({ sub: "eve", exp: now + 1 }));
    for (const each of [ann, bob, brief]) access.credentials.requireValid(each);
    await access.administration.revoke(ADMIN, "sub", "bob");
    assert.throws(() => access.credentials.requireValid(bob), { code: "token_revoked" });
    await Deno.writeTextFile(path, jwksOf(FRESH, { jwk: { ...SAME_NAME.jwk } }));
    await until("the key has gone", () => {
      try {
        access.credentials.requireValid(ann);
        return false;
      } catch (cause) {
        return cause instanceof Error && /token_revoked/.test(cause.message);
      }
    });
    // Whoever was let in just before doesn't stay.
    const handler = new FakeHandler();
    using _connection = access.connections.open(STREAM, ann, handler);
    access.connections.sweep();
    assert.deepEqual(handler.ends, ["revoked"]);
    await until("it has ended", () => Date.now() >= (now + 1) * 1_000);
    assert.throws(() => access.credentials.requireValid(brief), { code: "token_expired" });
  } finally {
    await Deno.remove(path);
  }
});
