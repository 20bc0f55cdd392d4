import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { newApiKey, randomBase62 } from "../../../lib/auth/api_key.ts";
import { ApiKeyStore, MAX_KEY_BYTES } from "../../../lib/auth/api_key_store.ts";
import { MAX_API_KEYS } from "../../../lib/auth/api_key_adder.ts";
import type { KeyInfo } from "../../../lib/auth/api_key_rows.ts";
import { type Scope, scopeSchema } from "../../../lib/auth/scope.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { openStore } from "../../../lib/kv/store.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { Problem, type ProblemCode } from "../../../lib/shared/problem.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { upTo } from "../../support/log_reading.ts";
import { openEmbedded, STORES } from "../../support/log_stores.ts";
import { FakeClock } from "../../support/clock.ts";
import { NO_STORE } from "../../support/no_store.ts";
import { patientStore } from "../../support/patient_store.ts";

const A = "tenant-a" as Tenant;
const B = "tenant-b" as Tenant;
const SCOPE = scopeSchema.parse({ publish: ["orders/*"], limits: { publishes: 5 } });
const UNKNOWN = "This API key does not exist or was removed.";
const EXPIRED = "This API key has expired.";

for (const { name, ignore, open } of STORES) {
  const test = (behaviour: string, body: (kv: Deno.Kv, clock: FakeClock) => Promise<void>) =>
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using store = await open();
      await body(store.kv, new FakeClock());
    });

  test("finds a created key and returns its rights", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const expiresAt = clock.now() + 1_000;
    const { key, info } = await store.create(A, { name: "shop", scope: SCOPE, expiresAt });
    assert.deepEqual(await store.find(key), {
      tenant: A,
      kind: "key",
      keyId: info.id,
      issuedAt: clock.now(),
      expiresAt,
      scope: SCOPE,
    });
    assert.deepEqual(info, {
      id: key.slice(5, 17),
      name: "shop",
      scope: SCOPE,
      createdAt: clock.now(),
      expiresAt,
    });
    assert.deepEqual(await store.list(A, undefined, 10), { keys: [info], next: undefined });
  });

  test("the store contains no key and no secret", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const { key, info } = await store.create(A, { scope: SCOPE });
    const rotated = await store.rotate(A, info.id, { graceMs: 1_000 });
    const rows = await Array.fromAsync(kv.list({ prefix: [] }));
    assert.ok(rows.length >= 4);
    const stored = JSON.stringify(rows.map(({ key, value }) => [key, value]));
    for (const text of [key, rotated?.key ?? assert.fail()]) {
      assert.ok(stored.includes(text.slice(5, 17)));
      assert.ok(!stored.includes(text.slice(17, 49)));
    }
  });

  test("refuses a wrong secret and an unknown id with the same message", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const { info } = await store.create(A, { scope: SCOPE, expiresAt: clock.now() + 1_000 });
    await assert.rejects(store.find(newApiKey().text), refusal("key_invalid", UNKNOWN));
    await assert.rejects(store.find(keyOf(info.id)), refusal("key_invalid", UNKNOWN));
    clock.advance(1_000);
    await assert.rejects(store.find(keyOf(info.id)), refusal("key_invalid", UNKNOWN));
  });

  test(
    "refuses an expired key with a message of its own and lists it no longer",
    async (kv, clock) => {
      const store = new ApiKeyStore(kv, clock.now);
      const { key, info } = await store.create(A, { scope: SCOPE, expiresAt: clock.now() + 1_000 });
      clock.advance(999);
      await store.find(key);
      clock.advance(1);
      await assert.rejects(store.find(key), refusal("key_invalid", EXPIRED));
      assert.deepEqual((await store.list(A, undefined, 10)).keys, []);
      assert.equal(await store.rotate(A, info.id, { graceMs: 0 }), undefined);
      assert.equal(await store.remove(A, info.id), false);
    },
  );

  test("after a rotation the old key stays valid for the grace period", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const old = await store.create(A, { name: "shop", scope: SCOPE });
    clock.advance(10);
    const next = await store.rotate(A, old.info.id, { graceMs: 1_000 }) ?? assert.fail();
    assert.deepEqual(next.info, { ...old.info, id: next.info.id, createdAt: clock.now() });
    assert.equal((await store.find(old.key)).expiresAt, clock.now() + 1_000);
    const ofOld = { ...old.info, expiresAt: clock.now() + 1_000, replacedBy: next.info.id };
    const listed = (await store.list(A, undefined, 10)).keys;
    assert.deepEqual(listed, [ofOld, next.info].sort(byId));
    assert.equal(await store.rotate(A, old.info.id, { graceMs: 0 }), undefined);
    clock.advance(1_000);
    await assert.rejects(store.find(old.key), refusal("key_invalid", EXPIRED));
    assert.deepEqual((await store.find(next.key)).scope, SCOPE);
    assert.deepEqual((await store.list(A, undefined, 10)).keys, [next.info]);
  });

  test("a rotation without grace ends the old key immediately", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const old = await store.create(A, { scope: SCOPE });
    const next = await store.rotate(A, old.info.id, { graceMs: 0 }) ?? assert.fail();
    await assert.rejects(store.find(old.key), refusal("key_invalid", EXPIRED));
    await store.find(next.key);
  });

  test(
    "a rotation extends neither the old key nor the new one beyond the old expiry",
    async (kv, clock) => {
      const store = new ApiKeyStore(kv, clock.now);
      const expiresAt = clock.now() + 500;
      const old = await store.create(A, { scope: SCOPE, expiresAt });
      const next = await store.rotate(A, old.info.id, { graceMs: 1_000 }) ?? assert.fail();
      assert.equal((await store.find(old.key)).expiresAt, expiresAt);
      assert.equal((await store.find(next.key)).expiresAt, expiresAt);
    },
  );

  test("of concurrent rotations of one key, one succeeds", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const { info } = await store.create(A, { scope: SCOPE });
    const rotated = await Promise.all(
      upTo(8).map(() => store.rotate(A, info.id, { graceMs: 1_000 })),
    );
    assert.equal(rotated.filter((each) => each !== undefined).length, 1);
    assert.equal((await store.list(A, undefined, 10)).keys.length, 2);
  });

  test("get() returns the current info of the tenant's own key", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const { key, info } = await store.create(A, { scope: SCOPE });
    assert.deepEqual(await store.get(A, info.id), info);
    assert.deepEqual(await store.current(A, info.id), await store.find(key));
    for (const [tenant, id] of [[B, info.id], [A, "0".repeat(12)], [A, "x"]] as const) {
      assert.equal(await store.get(tenant, id), undefined);
      assert.equal(await store.current(tenant, id), undefined);
    }
    const { oldEndsAt } = await store.rotate(A, info.id, { graceMs: 500 }) ?? assert.fail();
    assert.equal(oldEndsAt, clock.now() + 500);
    assert.equal((await store.current(A, info.id))?.expiresAt, oldEndsAt);
    clock.advance(500);
    assert.equal(await store.current(A, info.id), undefined);
  });

  test(
    "announces a key before it stores it, and does not store it if that fails",
    async (kv, clock) => {
      const store = new ApiKeyStore(kv, clock.now);
      const fault = new Problem("storage_unavailable", "away");
      const refuse = () => Promise.reject(fault);
      await assert.rejects(store.create(A, { scope: SCOPE }, refuse), fault);
      assert.deepEqual((await store.list(A, undefined, 10)).keys, []);
      const announced: KeyInfo[] = [];
      const announce = async (info: KeyInfo) => {
        assert.equal(await store.get(A, info.id), undefined);
        announced.push(info);
      };
      const { key, info } = await store.create(A, { scope: SCOPE }, announce);
      await assert.rejects(store.rotate(A, info.id, { graceMs: 0, announce: refuse }), fault);
      await store.find(key);
      const next = await store.rotate(A, info.id, { graceMs: 0, announce }) ?? assert.fail();
      assert.deepEqual(announced, [info, next.info]);
      assert.equal(await store.rotate(A, info.id, { graceMs: 0, announce }), undefined);
      assert.equal(announced.length, 2);
    },
  );

  test("a removed key no longer exists", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    const { key, info } = await store.create(A, { scope: SCOPE });
    assert.equal(await store.remove(A, info.id), true);
    await assert.rejects(store.find(key), refusal("key_invalid", UNKNOWN));
    assert.equal(await store.remove(A, info.id), false);
    assert.deepEqual((await store.list(A, undefined, 10)).keys, []);
  });

  test("lists keys in pages", async (kv, clock) => {
    const store = new ApiKeyStore(kv, clock.now);
    await store.create(B, { scope: SCOPE });
    const made: KeyInfo[] = [];
    for (let i = 0; i < 6; i++) made.push((await store.create(A, { scope: SCOPE })).info);
    made.sort(byId);
    const first = await store.list(A, undefined, 4);
    assert.deepEqual(first, { keys: made.slice(0, 4), next: made[3]?.id });
    const second = await store.list(A, first.next, 2);
    assert.deepEqual(second, { keys: made.slice(4), next: undefined });
  });
}

Deno.test("refuses a malformed key without reading the store", async () => {
  const store = new ApiKeyStore(NO_STORE);
  const { text } = newApiKey();
  for (const typo of ["", "weir_", "hello", text.slice(0, -1), keyOf(randomBase62(12), "000000")]) {
    await assert.rejects(store.find(typo), refusal("key_invalid"));
  }
  await assert.rejects(store.list(A, "é".repeat(3_000), 1), refusal("bad_parameter"));
});

Deno.test("a malformed id names no key", async () => {
  await using store = await openEmbedded();
  const keyStore = new ApiKeyStore(store.kv);
  for (const id of ["", "a", "x".repeat(5_000), "../../etc", "é".repeat(12)]) {
    assert.equal(await keyStore.remove(A, id), false);
    assert.equal(await keyStore.rotate(A, id, { graceMs: 0 }), undefined);
  }
});

Deno.test("a tenant has at most 1,000 keys, also with concurrent requests, independently of other tenants", async () => {
  // Each attempt reads 1,000 rows, which takes a busy machine longer than the store's timeout.
  using _patient = patientStore();
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const keyStore = new ApiKeyStore(store.kv, clock.now);
  const { info } = await keyStore.create(A, { scope: SCOPE });
  for (let i = 0; i < MAX_API_KEYS - 5; i++) {
    const id = randomBase62(12); // like a real key, without the time to make one
    await store.kv.set(keys.apiKeyInfo(A, id), { ...info, id } satisfies KeyInfo);
  }
  const asked = await Promise.allSettled(upTo(10).map(() => keyStore.create(A, { scope: SCOPE })));
  for (const each of asked) {
    if (each.status === "rejected") assert.ok(refusal("tenant_limit")(each.reason));
  }
  const made = asked.filter((each) => each.status === "fulfilled");
  assert.equal(made.length, 4);
  await assert.rejects(
    keyStore.rotate(A, info.id, { graceMs: 1_000 }),
    refusal("tenant_limit"),
  );
  const rotated = await keyStore.rotate(A, info.id, { graceMs: 0 }) ?? assert.fail();
  await assert.rejects(keyStore.create(A, { scope: SCOPE }), refusal("tenant_limit"));
  await keyStore.create(B, { scope: SCOPE });
  await keyStore.remove(A, rotated.info.id);
  await keyStore.create(A, { scope: SCOPE, expiresAt: clock.now() + 1_000 });
  await assert.rejects(keyStore.create(A, { scope: SCOPE }), refusal("tenant_limit"));
  clock.advance(1_000);
  await keyStore.create(A, { scope: SCOPE });
});

Deno.test("accepts a scope of up to 16 KiB, in any script", async () => {
  await using store = await openEmbedded();
  const keyStore = new ApiKeyStore(store.kv);
  // With one character beyond Latin-1 the store needs two bytes for each character of a string.
  const pattern = (i: number) => `${"a".repeat(150)}水${i}`;
  const scope = scopeSchema.parse({ publish: upTo(100).map(pattern) });
  const name = "n".repeat(MAX_KEY_BYTES - JSON.stringify({ name: "", scope }).length - 2 * 100);
  const { key } = await keyStore.create(A, { name, scope });
  assert.deepEqual((await keyStore.find(key)).scope, scope);
  await assert.rejects(keyStore.create(A, { name: `${name}n`, scope }), refusal("bad_body"));
});

Deno.test("reports a closed or failing store as unavailable", async () => {
  const kv = await Deno.openKv(":memory:");
  const keyStore = new ApiKeyStore(kv);
  const { key, info } = await keyStore.create(A, { scope: SCOPE });
  kv.close();
  const unavailable = refusal("storage_unavailable");
  await assert.rejects(keyStore.find(key), unavailable);
  await assert.rejects(keyStore.create(A, { scope: SCOPE }), unavailable);
  await assert.rejects(keyStore.list(A, undefined, 1), unavailable);
  await assert.rejects(keyStore.rotate(A, info.id, { graceMs: 0 }), unavailable);
  await assert.rejects(keyStore.remove(A, info.id), unavailable);
});

Deno.test("a commit that is repeated after a lost answer creates one key", async () => {
  await using store = await openEmbedded();
  const keyStore = new ApiKeyStore(repeatingCommits(store.kv));
  const made = await keyStore.create(A, { scope: SCOPE });
  assert.deepEqual((await keyStore.list(A, undefined, 10)).keys, [made.info]);
  const before = Date.now();
  const rotated = await keyStore.rotate(A, made.info.id, { graceMs: 0 }) ?? assert.fail();
  assert.ok(rotated.oldEndsAt >= before && rotated.oldEndsAt <= Date.now());
  assert.deepEqual((await keyStore.list(A, undefined, 10)).keys, [rotated.info]);
  await keyStore.find(rotated.key);
});

Deno.test("a key that is removed during its rotation stays removed", async () => {
  await using store = await openEmbedded();
  const keyStore = new ApiKeyStore(store.kv);
  const { key, info } = await keyStore.create(A, { scope: SCOPE });
  const late = new ApiKeyStore(withCommit(store.kv, async (commit) => {
    await keyStore.remove(A, info.id);
    return await commit();
  }));
  assert.equal(await late.rotate(A, info.id, { graceMs: 1_000 }), undefined);
  await assert.rejects(keyStore.find(key), refusal("key_invalid", UNKNOWN));
  assert.deepEqual((await keyStore.list(A, undefined, 10)).keys, []);
});

Deno.test("a reopened file has its keys and not the removed ones", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_keys_" });
  const path = `${directory}/kv.sqlite`;
  const before = await openStore(path);
  const store = new ApiKeyStore(before.kv);
  const [kept, removed] = [
    await store.create(A, { scope: SCOPE }),
    await store.create(A, { scope: SCOPE }),
  ];
  await store.remove(A, removed.info.id);
  await before.close();
  const after = await openStore(path);
  const reopened = new ApiKeyStore(after.kv);
  assert.equal((await reopened.find(kept.key)).keyId, kept.info.id);
  await assert.rejects(reopened.find(removed.key), refusal("key_invalid", UNKNOWN));
  await after.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("another process sees changes of keys immediately", {
  ignore: DENOKV_MISSING,
}, async () => {
  await using denokv = await Denokv.start();
  const [here, there] = [await openStore(denokv.url), await openStore(denokv.url)];
  const [own, others] = [new ApiKeyStore(here.kv), new ApiKeyStore(there.kv)];
  const { key, info } = await own.create(A, { scope: SCOPE });
  assert.equal((await others.find(key)).keyId, info.id);
  const next = await others.rotate(A, info.id, { graceMs: 0 }) ?? assert.fail();
  await assert.rejects(own.find(key), refusal("key_invalid", EXPIRED));
  await own.remove(A, next.info.id);
  await assert.rejects(others.find(next.key), refusal("key_invalid", UNKNOWN));
  await here.close();
  await there.close();
});

Deno.test("keys behave like a list of them, and tenants are isolated", async () => {
  const tenant = fc.constantFrom(A, B);
  const step = fc.oneof(
    fc.record({ do: fc.constant("create" as const), tenant, life: fc.option(fc.nat(50)) }),
    fc.record({
      do: fc.constant("rotate" as const),
      tenant,
      which: fc.nat(),
      graceMs: fc.nat(30),
    }),
    fc.record({ do: fc.constant("remove" as const), tenant, which: fc.nat() }),
    fc.record({ do: fc.constant("pass" as const), milliseconds: fc.nat(20) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      await using store = await openEmbedded();
      const model = new Model(store.kv);
      for (const each of steps) {
        if (each.do === "create") await model.create(each.tenant, each.life);
        else if (each.do === "rotate") await model.rotate(each.tenant, each.which, each.graceMs);
        else if (each.do === "remove") await model.remove(each.tenant, each.which);
        else model.clock.advance(each.milliseconds);
        await model.compare();
      }
    }),
    { numRuns: 60 },
  );
});

interface ModelKey {
  readonly tenant: Tenant;
  readonly id: string;
  readonly text: string;
  readonly scope: Scope;
  ends: number;
  isReplaced: boolean;
}

/** A store of keys, compared with a list of them. */
class Model {
  readonly clock = new FakeClock();
  readonly #store: ApiKeyStore;
  readonly #all: ModelKey[] = [];

  constructor(kv: Deno.Kv) {
    this.#store = new ApiKeyStore(kv, this.clock.now);
  }

  async create(tenant: Tenant, life: number | null): Promise<void> {
    const scope = scopeSchema.parse({ publish: [`c${this.#all.length}`] });
    const expiresAt = life === null ? undefined : this.clock.now() + life;
    const { key, info } = await this.#store.create(tenant, { scope, expiresAt });
    this.#all.push({
      tenant,
      id: info.id,
      text: key,
      scope,
      ends: expiresAt ?? Infinity,
      isReplaced: false,
    });
  }

  async rotate(tenant: Tenant, which: number, graceMs: number): Promise<void> {
    const old = this.#all[which % this.#all.length];
    if (old === undefined) return;
    const rotated = await this.#store.rotate(tenant, old.id, { graceMs });
    const isExpected = old.tenant === tenant && this.#isLive(old) && !old.isReplaced;
    assert.equal(rotated !== undefined, isExpected);
    if (rotated === undefined) return;
    this.#all.push({ ...old, id: rotated.info.id, text: rotated.key });
    old.ends = Math.min(old.ends, this.clock.now() + graceMs);
    old.isReplaced = true;
  }

  async remove(tenant: Tenant, which: number): Promise<void> {
    const key = this.#all[which % this.#all.length];
    if (key === undefined) return;
    const isExpected = key.tenant === tenant && this.#isLive(key);
    assert.equal(await this.#store.remove(tenant, key.id), isExpected);
    if (isExpected) key.ends = -Infinity;
  }

  async compare(): Promise<void> {
    for (const tenant of [A, B]) {
      const own = this.#all.filter((key) => key.tenant === tenant && this.#isLive(key));
      const listed = (await this.#store.list(tenant, undefined, 100)).keys;
      assert.deepEqual(listed.map(({ id }) => id), own.map(({ id }) => id).sort());
    }
    for (const key of this.#all) {
      if (this.#isLive(key)) {
        const { tenant, keyId, scope } = await this.#store.find(key.text);
        assert.deepEqual({ tenant, keyId, scope }, {
          tenant: key.tenant,
          keyId: key.id,
          scope: key.scope,
        });
      } else {
        await assert.rejects(this.#store.find(key.text), refusal("key_invalid"));
      }
    }
  }

  #isLive({ ends }: ModelKey): boolean {
    return this.clock.now() < ends;
  }
}

type Commit = () => Promise<Deno.KvCommitResult | Deno.KvCommitError>;

/** Returns the store with a wrapper around each commit. */
function withCommit(kv: Deno.Kv, through: (commit: Commit) => ReturnType<Commit>): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (name === "atomic") {
        return () => {
          const atomic = target.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = () => through(commit);
          return atomic;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Sends each commit twice and returns the second result, as a client that repeats a commit does. */
function repeatingCommits(kv: Deno.Kv): Deno.Kv {
  return withCommit(kv, async (commit) => {
    await commit();
    return await commit();
  });
}

/** Returns a key with this id, another secret and, unless given, the right checksum. */
function keyOf(id: string, checksum?: string): string {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const body = `weir_${id}${randomBase62(32)}`;
  const digits = upTo(6).map((_, i) => Math.floor(crc32(body) / 62 ** (5 - i)) % 62);
  return body + (checksum ?? digits.map((digit) => alphabet[digit]).join(""));
}

function refusal(code: ProblemCode, detail?: string): (cause: unknown) => boolean {
  return (cause) => {
    assert.ok(cause instanceof Problem, String(cause));
    assert.equal(cause.code, code);
    if (detail !== undefined) assert.equal(cause.detail, detail);
    return true;
  };
}

function byId(a: KeyInfo, b: KeyInfo): number {
  return a.id < b.id ? -1 : 1;
}
