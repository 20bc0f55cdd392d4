import assert from "node:assert/strict";
import fc from "fast-check";
import type { Grant } from "../../../lib/auth/authority.ts";
import { ControlJournal } from "../../../lib/auth/control_journal.ts";
import {
  MAX_PER_TENANT,
  MAX_VALUE_LENGTH,
  type Revocation,
  REVOCATION_KINDS,
  type RevocationEntry,
  type RevocationKind,
  Revocations,
} from "../../../lib/auth/revocations.ts";
import { scopeSchema } from "../../../lib/auth/scope.ts";
import type { Doorbell } from "../../../lib/kv/doorbell.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { openStore } from "../../../lib/kv/store.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { problem } from "../../support/log_reading.ts";
import { FakeClock } from "../../support/clock.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";
import "../../support/open_broadcast_channel.ts";

const A = "tenant-a" as Tenant;
const B = "tenant-b" as Tenant;
const SECOND = 1_000;
const MAX_TOKEN_LIFETIME = 100 * SECOND;
const SKEW = 10 * SECOND;
/** How long a revocation by `jti` or `sub` is kept. */
const LIFETIME = MAX_TOKEN_LIFETIME + 2 * SKEW;
const START = 1_700_000_000_000;
const SCOPE = scopeSchema.parse({});

Deno.test("jti revokes only the token with this id", async () => {
  const { revocations } = new World();
  await revocations.revoke(A, "jti", "t1");
  assert.ok(revocations.isRevoked(token({ tokenId: "t1" })));
  assert.ok(!revocations.isRevoked(token({ tokenId: "t2" })));
  assert.ok(!revocations.isRevoked(token({ subject: "t1", keyId: "t1" })));
  assert.ok(!revocations.isRevoked(token({ tenant: B, tokenId: "t1" })));
});

Deno.test("sub revokes the subject's tokens issued until now", async () => {
  const { revocations, clock } = new World();
  clock.advance(600);
  await revocations.revoke(A, "sub", "ann");
  // A token issued in the same second has a time in whole seconds.
  assert.ok(revocations.isRevoked(token({ subject: "ann", issuedAt: START })));
  assert.ok(revocations.isRevoked(token({ subject: "ann", issuedAt: clock.now() })));
  assert.ok(revocations.isRevoked(token({ subject: "ann", issuedAt: undefined })));
  assert.ok(!revocations.isRevoked(token({ subject: "ann", issuedAt: START + SECOND })));
  assert.ok(!revocations.isRevoked(token({ subject: "bob" })));
});

Deno.test("kid revokes all tokens of a signing key, also later ones, but no API key with this id", async () => {
  const { revocations } = new World();
  await revocations.revoke(A, "kid", "k1");
  assert.ok(revocations.isRevoked(token({ keyId: "k1", issuedAt: START + 50 * SECOND })));
  assert.ok(!revocations.isRevoked(apiKey({ keyId: "k1" })));
  await revocations.revoke(A, "key", "k2");
  assert.ok(revocations.isRevoked(apiKey({ keyId: "k2", issuedAt: START + 50 * SECOND })));
  assert.ok(!revocations.isRevoked(token({ keyId: "k2" })));
});

Deno.test("tenant revokes the tenant's credentials issued until now, for any value", async () => {
  const { revocations } = new World();
  await revocations.revoke(A, "tenant", B);
  assert.deepEqual(revocations.list(A), [{ tenant: A, kind: "tenant", value: A, at: START }]);
  for (const make of [token, apiKey]) {
    assert.ok(revocations.isRevoked(make({})));
    assert.ok(revocations.isRevoked(make({ issuedAt: undefined })));
    assert.ok(!revocations.isRevoked(make({ issuedAt: START + 1 })));
    assert.ok(!revocations.isRevoked(make({ tenant: B })));
  }
});

Deno.test("never revokes open and anonymous grants", async () => {
  const { revocations } = new World();
  for (const kind of REVOCATION_KINDS) await revocations.revoke(A, kind, "x");
  for (const kind of ["open", "anonymous"] as const) {
    assert.ok(!revocations.isRevoked({ tenant: A, kind, scope: SCOPE }));
    const odd = { tenant: A, kind, subject: "x", tokenId: "x", keyId: "x", scope: SCOPE };
    assert.ok(!revocations.isRevoked(odd));
  }
});

Deno.test("a revocation by jti or sub is dropped with the last token that it can match", async () => {
  const { revocations, clock, rows } = new World();
  await revocations.revoke(A, "jti", "t1");
  await revocations.revoke(A, "sub", "ann");
  await revocations.revoke(A, "kid", "k1");
  const [jti, sub, kid] = [...rows.values()];
  assert.deepEqual([jti, sub, kid].map((row) => row?.expiresAt), [
    START + LIFETIME,
    START + LIFETIME,
    undefined,
  ]);
  clock.advance(LIFETIME - 1);
  assert.equal(revocations.list(A).length, 3);
  clock.advance(1);
  assert.deepEqual(revocations.list(A).map(({ kind }) => kind), ["kid"]);
  assert.ok(!revocations.isRevoked(token({ tokenId: "t1" })));
});

Deno.test("a repeated revocation replaces the first one and revokes no less", async () => {
  const { revocations, clock, rows } = new World();
  for (const kind of REVOCATION_KINDS) {
    for (let i = 0; i < 30; i++) {
      await revocations.revoke(A, kind, "x");
      clock.advance(SECOND);
    }
    clock.advance(-60 * SECOND); // a clock may go back
    await revocations.revoke(A, kind, "x");
    const { at } = revocations.list(A).find((each) => each.kind === kind) ?? assert.fail();
    assert.equal([...rows.values()].at(-1)?.entry.revocation.at, at);
    assert.equal(at, clock.now() + 59 * SECOND);
  }
  assert.equal(rows.size, REVOCATION_KINDS.length);
});

Deno.test("a revocation deletes both rows that two isolates wrote concurrently", async () => {
  const world = new World();
  const others = world.join();
  world.isHeld = true; // each writes before it hears of the other
  await Promise.all([world.revocations, others].map((each) => each.revoke(A, "kid", "k1")));
  world.release();
  assert.equal(world.rows.size, 2);
  await others.revoke(A, "kid", "k1");
  assert.equal(world.rows.size, 1);
});

Deno.test("onRevoked receives new revocations with a predicate", async () => {
  const { revocations, clock, told } = new World();
  await revocations.revoke(A, "sub", "ann");
  const [matches] = told;
  assert.ok(matches?.(token({ subject: "ann" })));
  assert.ok(!matches?.(token({ subject: "bob" })));
  assert.ok(!matches?.(token({ subject: "ann", tenant: B })));
  const [same] = revocations.list(A);
  revocations.apply(entryOf(same ?? assert.fail()), ["control", "0"]); // told twice
  revocations.apply(entryOf({ ...same ?? assert.fail(), at: START - 1 }), ["control", "1"]);
  assert.equal(told.length, 1);
  clock.advance(1);
  await revocations.revoke(A, "sub", "ann");
  assert.equal(told.length, 2);
});

Deno.test("rejects empty and too long values", async () => {
  const { revocations, rows } = new World();
  for (const kind of ["jti", "sub", "kid", "key"] as const) {
    await assert.rejects(revocations.revoke(A, kind, ""), problem("bad_parameter"));
    const long = "x".repeat(MAX_VALUE_LENGTH + 1);
    await assert.rejects(revocations.revoke(A, kind, long), problem("bad_parameter"));
  }
  assert.equal(rows.size, 0);
  await revocations.revoke(A, "sub", "é".repeat(MAX_VALUE_LENGTH));
});

Deno.test("a revocation that could not be stored is not in force", async () => {
  const revocations = new Revocations({
    write: () => Promise.reject(new Error("the store is away")),
    maxTokenLifetimeMs: MAX_TOKEN_LIFETIME,
    skewMs: SKEW,
    onRevoked: () => assert.fail("it is not in force"),
  });
  await assert.rejects(revocations.revoke(A, "jti", "t1"), /the store is away/);
  assert.deepEqual(revocations.list(A), []);
});

Deno.test("a tenant with 100,000 revocations can still revoke all, and other tenants are unaffected", async () => {
  const { revocations, clock } = new World();
  for (let i = 0; i < MAX_PER_TENANT; i++) {
    const kind = i === 0 ? "kid" : "jti";
    revocations.apply(
      entryOf({ tenant: A, kind, value: `t${i}`, at: START }),
      ["control", String(i)],
    );
  }
  await assert.rejects(revocations.revoke(A, "jti", "new"), problem("tenant_limit"));
  await revocations.revoke(A, "jti", "t5");
  await revocations.revoke(B, "jti", "new");
  await revocations.revoke(A, "tenant", A);
  assert.ok(revocations.isRevoked(token({})));
  clock.advance(LIFETIME);
  await revocations.revoke(A, "jti", "new");
  assert.equal(revocations.list(A).length, 3);
});

const VALUES = ["x", "y", "z"];

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("revoke" as const),
      who: fc.nat(1),
      tenant: fc.constantFrom(A, B),
      kind: fc.constantFrom(...REVOCATION_KINDS),
      value: fc.constantFrom(...VALUES),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      milliseconds: fc.oneof(fc.nat(3), fc.nat(2 * LIFETIME)),
    }),
  },
);

const grant: fc.Arbitrary<Grant> = fc.record({
  tenant: fc.constantFrom(A, B),
  kind: fc.constantFrom("token", "token", "key", "anonymous", "open"),
  subject: fc.constantFrom(...VALUES, undefined),
  tokenId: fc.constantFrom(...VALUES, undefined),
  keyId: fc.constantFrom(...VALUES, undefined),
  issuedAt: fc.option(fc.nat(3 * LIFETIME).map((after) => START + after), { nil: undefined }),
  scope: fc.constant(SCOPE),
});

Deno.test("two isolates and one that starts later agree with a plain list", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(step, { maxLength: 30 }),
    fc.array(grant, { minLength: 20, maxLength: 20 }),
    async (steps, grants) => {
      const world = new World();
      const isolates = [world.revocations, world.join()];
      let model: Revocation[] = [];
      for (const each of steps) {
        if (each.do === "pass") {
          world.clock.advance(each.milliseconds);
        } else {
          const { tenant, kind } = each;
          const value = kind === "tenant" ? tenant : each.value;
          await isolates[each.who]?.revoke(tenant, kind, value);
          model.push({ tenant, kind, value, at: world.clock.now() });
        }
        model = model.filter((revocation) => isKept(revocation, world.clock.now()));
        for (const revocations of [...isolates, world.join()]) {
          for (const grant of grants) {
            const expected = model.some((revocation) => isMeant(revocation, grant));
            assert.equal(revocations.isRevoked(grant), expected);
          }
          for (const tenant of [A, B]) {
            const listed = revocations.list(tenant).map(nameOf).sort();
            const own = model.filter((revocation) => revocation.tenant === tenant);
            assert.deepEqual(listed, [...new Set(own.map(nameOf))].sort());
          }
        }
      }
    },
  ));
});

Deno.test("a tenant's revocation does not affect the same names in other tenants", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(step, { maxLength: 30 }),
    fc.array(grant, { minLength: 20, maxLength: 20 }),
    async (steps, grants) => {
      const [both, alone] = [new World(), new World()];
      for (const each of steps) {
        for (const world of [both, alone]) {
          if (each.do === "pass") world.clock.advance(each.milliseconds);
          else if (each.tenant === A || world === both) {
            await world.revocations.revoke(each.tenant, each.kind, each.value);
          }
        }
        for (const grant of grants.filter(({ tenant }) => tenant === A)) {
          assert.equal(both.revocations.isRevoked(grant), alone.revocations.isRevoked(grant));
        }
        assert.deepEqual(both.revocations.list(A), alone.revocations.list(A));
      }
      const own = grants.filter(({ tenant }) => tenant === A);
      const [told, toldAlone] = [both, alone].map(({ told }) =>
        told.filter((matches) => own.some(matches)).length
      );
      assert.equal(told, toldAlone);
    },
  ));
});

for (const kind of ["file", "denokv"] as const) {
  for (const isRung of [true, false]) {
    const how = isRung ? "" : ", though no doorbell rings";
    Deno.test(`a revocation reaches other isolates within 3 s${how} (${kind})`, {
      ignore: kind === "denokv" && DENOKV_MISSING,
    }, async () => {
      await using place = await Place.make(kind);
      const doorbell = isRung ? {} : { doorbell: SILENT_DOORBELL };
      const [here, there] = [await place.open(doorbell), await place.open(doorbell)];
      for (const value of ["ann", "bob", "eve"]) {
        const heard = Promise.withResolvers<void>();
        const ann = token({ subject: value, issuedAt: START });
        assert.ok(!there.isRevoked(ann));
        place.onRevoked = (matches) => {
          if (matches(ann) && there.isRevoked(ann)) heard.resolve();
        };
        await here.revoke(A, "sub", value);
        assert.ok(here.isRevoked(ann));
        await within(3 * SECOND, heard.promise);
        assert.ok(there.isRevoked(ann));
        assert.ok(!there.isRevoked({ ...ann, tenant: B }));
      }
    });
  }

  Deno.test(`revocations survive a restart, and a repeated one leaves one row (${kind})`, {
    ignore: kind === "denokv" && DENOKV_MISSING,
  }, async () => {
    await using place = await Place.make(kind);
    const before = await place.open();
    for (const each of REVOCATION_KINDS) await before.revoke(A, each, "x");
    const listed = before.list(A);
    assert.equal(listed.length, REVOCATION_KINDS.length);
    await place.closeAll();
    const after = await place.open();
    assert.deepEqual(after.list(A), listed);
    for (const each of REVOCATION_KINDS) await after.revoke(A, each, "x");
    assert.equal(await place.countRows(), REVOCATION_KINDS.length);
    await place.closeAll();
    assert.deepEqual((await place.open()).list(A).map(nameOf), listed.map(nameOf));
  });
}

/** Implements the specification literally, one revocation at a time. */
function isMeant({ tenant, kind, value, at }: Revocation, grant: Grant): boolean {
  if (grant.tenant !== tenant || !["token", "key"].includes(grant.kind)) return false;
  const isOld = (grant.issuedAt ?? -Infinity) <= at;
  const isToken = grant.kind === "token";
  const meant: Record<RevocationKind, boolean> = {
    jti: isToken && grant.tokenId === value,
    sub: isToken && grant.subject === value && isOld,
    kid: isToken && grant.keyId === value,
    key: !isToken && grant.keyId === value,
    tenant: isOld,
  };
  return meant[kind];
}

function isKept({ kind, at }: Revocation, now: number): boolean {
  return ["kid", "tenant"].includes(kind) || now < at + LIFETIME;
}

function nameOf({ tenant, kind, value }: Revocation): string {
  return `${tenant} ${kind} ${value}`;
}

function entryOf(revocation: Revocation): RevocationEntry {
  return { type: "revocation", revocation };
}

function token(rest: Partial<Grant>): Grant {
  return { tenant: A, kind: "token", issuedAt: START, scope: SCOPE, ...rest };
}

function apiKey(rest: Partial<Grant>): Grant {
  return { ...token(rest), kind: "key" };
}

type OnRevoked = (matches: (grant: Grant) => boolean) => void;

/** Isolates on a journal in memory that delivers immediately, unless it is held. */
class World {
  readonly clock = new FakeClock({ start: START });
  /** What the first isolate received. */
  readonly told: ((grant: Grant) => boolean)[] = [];
  /** By their key's versionstamp. */
  readonly rows = new Map<
    string,
    { readonly entry: RevocationEntry; readonly expiresAt: number | undefined }
  >();
  readonly #isolates: Revocations[] = [];
  readonly #held: (() => void)[] = [];
  readonly revocations = this.join((matches) => this.told.push(matches));
  isHeld = false;
  #count = 0;

  /** Adds an isolate, which receives the existing entries first. */
  join(onRevoked: OnRevoked = () => {}): Revocations {
    const revocations = new Revocations({
      write: (entry, expiresAt, replaces) => this.#write(entry, expiresAt, replaces),
      maxTokenLifetimeMs: MAX_TOKEN_LIFETIME,
      skewMs: SKEW,
      onRevoked,
      now: this.clock.now,
    });
    for (const [versionstamp, { entry, expiresAt = Infinity }] of this.rows) {
      if (expiresAt > this.clock.now()) revocations.apply(entry, ["control", versionstamp]);
    }
    this.#isolates.push(revocations);
    return revocations;
  }

  /** Delivers what was held back. */
  release(): void {
    this.isHeld = false;
    for (const tell of this.#held.splice(0)) tell();
  }

  #write(
    entry: RevocationEntry,
    expiresAt: number | undefined,
    replaces: readonly Deno.KvKey[],
  ): Promise<void> {
    const versionstamp = String(++this.#count);
    for (const key of replaces) this.rows.delete(String(key[1]));
    this.rows.set(versionstamp, { entry, expiresAt });
    const tell = () => {
      for (const each of this.#isolates) each.apply(entry, ["control", versionstamp]);
    };
    if (this.isHeld) this.#held.push(tell);
    else tell();
    return Promise.resolve();
  }
}

/** A store with isolates, each with its own handle. */
class Place implements AsyncDisposable {
  /** Receives what any of the isolates receives. */
  onRevoked: OnRevoked = () => {};
  readonly #target: string;
  readonly #resources: AsyncDisposableStack;
  #isolates = new AsyncDisposableStack();

  private constructor(target: string, resources: AsyncDisposableStack) {
    this.#target = target;
    this.#resources = resources;
  }

  static async make(kind: "file" | "denokv"): Promise<Place> {
    const resources = new AsyncDisposableStack();
    if (kind === "denokv") return new Place(resources.use(await Denokv.start()).url, resources);
    const directory = await Deno.makeTempDir({ prefix: "weir_revocations_" });
    resources.defer(() => Deno.remove(directory, { recursive: true }));
    return new Place(`${directory}/kv.sqlite`, resources);
  }

  async open(options: { readonly doorbell?: Doorbell } = {}): Promise<Revocations> {
    const { kv, doorbell } = await this.#openStore();
    const onError = (cause: unknown) => {
      throw cause;
    };
    const revocations = new Revocations({
      write: (entry, expiresAt, replaces) => journal.write(entry, expiresAt, replaces),
      maxTokenLifetimeMs: MAX_TOKEN_LIFETIME,
      skewMs: SKEW,
      onRevoked: (matches) => this.onRevoked(matches),
    });
    const journal = await ControlJournal.open({
      kv,
      doorbell,
      onEntry: (entry, key) => {
        if (entry.type === "revocation") revocations.apply(entry, key);
      },
      onError,
      ...options,
    });
    this.#isolates.defer(() => journal.close());
    return revocations;
  }

  async closeAll(): Promise<void> {
    await this.#isolates.disposeAsync();
    this.#isolates = new AsyncDisposableStack();
  }

  async countRows(): Promise<number> {
    const { kv } = await this.#openStore();
    return (await Array.fromAsync(kv.list({ prefix: keys.control() }))).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeAll();
    await this.#resources.disposeAsync();
  }

  async #openStore() {
    return this.#isolates.adopt(await openStore(this.#target), (store) => store.close());
  }
}

async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`not within ${milliseconds} ms`)),
    milliseconds,
  );
  await Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
