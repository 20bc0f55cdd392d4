import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Authority, OPEN } from "../../../lib/auth/authority.ts";
import type { Caller } from "../../../lib/auth/caller.ts";
import {
  FAILED_AUTHENTICATIONS_PER_SECOND,
  Limiter,
  type LimiterOptions,
} from "../../../lib/auth/limiter.ts";
import {
  LIMIT_SCOPES,
  type LimitScope,
  type LimitTable,
} from "../../../lib/auth/limit_settings.ts";
import type { LimitName, Limits } from "../../../lib/auth/limits.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { Problem, type Quota } from "../../../lib/shared/problem.ts";
import { authorityOf, grantOf } from "../../support/grants.ts";
import { problem } from "../../support/log_reading.ts";
import { FakeClock } from "../../support/clock.ts";

const PLENTY: Limits = { publishes: 1e6, bytes: 1e9, subscribes: 1e6, connections: 1e6 };
const [ACME, OTHER] = ["acme" as Tenant, "other" as Tenant];

function table(changes: Partial<Record<LimitScope, Partial<Limits>>>): LimitTable {
  return {
    credential: { ...PLENTY, ...changes.credential },
    address: { ...PLENTY, ...changes.address },
    tenant: { ...PLENTY, ...changes.tenant },
  };
}

interface Setting {
  readonly clock?: FakeClock;
  readonly onLimited?: LimiterOptions["onLimited"];
}

function limiterOf(
  limits: Partial<Record<LimitScope, Partial<Limits>>>,
  { clock = new FakeClock({ start: 0 }), onLimited }: Setting = {},
): Limiter {
  const options = { limits: table(limits), now: clock.now };
  return new Limiter(onLimited === undefined ? options : { ...options, onLimited });
}

function caller(
  { tenant = ACME, subject = "ann", ip = "192.0.2.1", limits = {} }: {
    readonly tenant?: Tenant;
    readonly subject?: string;
    readonly ip?: string;
    readonly limits?: Partial<Limits>;
  } = {},
): Caller {
  return { authority: authorityOf({ limits }, { tenant, subject }), ip };
}

function quotaOf(run: () => unknown): Quota {
  try {
    run();
  } catch (cause) {
    if (cause instanceof Problem && cause.quota !== undefined) return cause.quota;
    throw cause;
  }
  throw new Error("it was let through");
}

Deno.test("each limit on publishing refuses independently and is named", () => {
  const few: readonly (readonly [LimitScope, LimitName])[] = LIMIT_SCOPES.flatMap((scope) => [
    [scope, "publishes"],
    [scope, "bytes"],
  ]);
  for (const [scope, name] of few) {
    const limiter = limiterOf({ [scope]: { [name]: 10 } });
    limiter.publish(caller(), 6, 6);
    const quota = quotaOf(() => limiter.publish(caller(), 5, 5));
    assert.deepEqual(quota, {
      policy: `${scope}-${name}`,
      limit: 10,
      remaining: 4,
      retryAfterMs: 100,
    });
    assert.throws(() => limiter.publish(caller(), 5, 5), problem("rate_limited"));
    limiter.publish(caller(), 4, 4);
  }
});

Deno.test("each limit on subscribing refuses independently and is named", () => {
  for (const scope of LIMIT_SCOPES) {
    const clock = new FakeClock({ start: 0 });
    const limiter = limiterOf({ [scope]: { subscribes: 10 } }, { clock });
    limiter.subscribe(caller(), 10);
    assert.throws(() => limiter.subscribe(caller(), 1), problem("rate_limited"));
    assert.equal(quotaOf(() => limiter.subscribe(caller(), 1)).policy, `${scope}-subscribes`);
    limiter.publish(caller(), 100, 100);
    clock.set(100);
    limiter.subscribe(caller(), 1);
  }
});

Deno.test("publish() returns what is left of the caller's own limits only", () => {
  const limiter = limiterOf({
    credential: { publishes: 100, bytes: 1_000 },
    address: { publishes: 50 },
    tenant: { publishes: 50 },
  });
  const publishes = { policy: "credential-publishes", limit: 100, remaining: 90, retryAfterMs: 0 };
  assert.deepEqual(limiter.publish(caller(), 10, 10), publishes);
  const bytes = { policy: "credential-bytes", limit: 1_000, remaining: 490, retryAfterMs: 0 };
  assert.deepEqual(limiter.publish(caller(), 1, 500), bytes);
});

Deno.test("a request refused in one scope counts in none", () => {
  const clock = new FakeClock({ start: 0 });
  const limiter = limiterOf({ credential: { publishes: 10 }, tenant: { publishes: 5 } }, { clock });
  const [ann, ben] = [caller(), caller({ subject: "ben", ip: "192.0.2.2" })];
  limiter.publish(ben, 5, 1);
  for (let i = 0; i < 100; i++) {
    assert.equal(quotaOf(() => limiter.publish(ann, 1, 1)).policy, "tenant-publishes");
  }
  clock.set(1_000);
  assert.equal(limiter.publish(ann, 1, 1)?.remaining, 9);
});

Deno.test("a credential's own limits replace the server's", () => {
  const limiter = limiterOf({ credential: { publishes: 10, connections: 1 } });
  limiter.publish(caller({ subject: "many", limits: { publishes: 100 } }), 100, 0);
  const none = caller({ subject: "none", limits: { publishes: 0 } });
  assert.throws(() => limiter.publish(none, 1, 1), problem("rate_limited"));
  const tiny = caller({ subject: "tiny", limits: { bytes: 5 } });
  limiter.publish(tiny, 1, 5);
  assert.equal(quotaOf(() => limiter.publish(tiny, 1, 1)).policy, "credential-bytes");
  limiter.publish(tiny, 9, 0); // of publishes it has the server's
  assert.equal(quotaOf(() => limiter.publish(tiny, 1, 0)).policy, "credential-publishes");
  const two = caller({ subject: "two", limits: { connections: 2 } });
  limiter.connect(two);
  limiter.connect(two);
  assert.throws(() => limiter.connect(two), problem("too_many_connections"));
});

Deno.test("a subject's next token shares the limits of the last one", () => {
  const limiter = limiterOf({ credential: { publishes: 10 } });
  const tokens = ["t1", "t2"].map((tokenId): Caller => {
    return { authority: authorityOf({}, { subject: "ann", tokenId }), ip: "" };
  });
  for (const token of tokens) limiter.publish(token, 5, 0);
  for (const token of tokens) {
    assert.throws(() => limiter.publish(token, 1, 0), problem("rate_limited"));
  }
});

Deno.test("anonymous callers count by IP, not by credential", () => {
  const limiter = limiterOf({
    credential: { publishes: 1, connections: 1 },
    address: { publishes: 10 },
  });
  const authority = new Authority({ ...grantOf({}), kind: "anonymous", subject: undefined });
  const [here, there] = ["192.0.2.1", "192.0.2.2"].map((ip) => ({ authority, ip }));
  assert.ok(here !== undefined && there !== undefined);
  assert.deepEqual(limiter.publish(here, 10, 0), {
    policy: "address-publishes",
    limit: 10,
    remaining: 0,
    retryAfterMs: 0,
  });
  assert.throws(() => limiter.publish(here, 1, 0), problem("rate_limited"));
  limiter.publish(there, 10, 0);
  for (let i = 0; i < 10; i++) limiter.connect(here);
});

Deno.test("an unknown IP is not counted", () => {
  const limiter = limiterOf({ address: { publishes: 1, connections: 1 } });
  const nowhere = caller({ ip: "" });
  for (let i = 0; i < 10; i++) {
    limiter.publish(nowhere, 1, 1);
    limiter.connect(nowhere);
  }
});

Deno.test("open mode has no limits", () => {
  const none = { publishes: 0, bytes: 0, subscribes: 0, connections: 0 };
  const limiter = limiterOf({ credential: none, address: none, tenant: none });
  const open = { authority: OPEN, ip: "127.0.0.1" };
  assert.equal(limiter.publish(open, 100, 1e9), undefined);
  limiter.subscribe(open, 100);
  using _connection = limiter.connect(open);
});

Deno.test("one tenant's publishes never change another's limits", () => {
  const step = fc.record({
    after: fc.nat(300),
    tenant: fc.constantFrom(ACME, OTHER),
    subject: fc.constantFrom("ann", "ben"),
    events: fc.nat(8),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
    // Each tenant has its own IPs, because IPs are counted across tenants.
    const run = (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) => {
      const clock = new FakeClock({ start: 0 });
      const limiter = limiterOf({ credential: { publishes: 5 }, tenant: { publishes: 8 } }, {
        clock,
      });
      return steps.map(({ after, tenant, subject, events }) => {
        clock.advance(after);
        if (events === 0) return undefined; // what the other tenant did, left out
        try {
          return [tenant, limiter.publish(caller({ tenant, subject, ip: tenant }), events, 1)];
        } catch (cause) {
          if (cause instanceof Problem) return [tenant, cause.quota];
          throw cause;
        }
      });
    };
    const both = run(steps);
    const alone = run(steps.map((one) => one.tenant === ACME ? one : { ...one, events: 0 }));
    const ofAcme = (_: unknown, i: number) => steps[i]?.tenant === ACME;
    assert.deepEqual(both.filter(ofAcme), alone.filter(ofAcme));
  }));
});

Deno.test("connections count while they are open", () => {
  for (const scope of LIMIT_SCOPES) {
    const limiter = limiterOf({ [scope]: { connections: 2 } });
    const first = limiter.connect(caller());
    limiter.connect(caller());
    assert.throws(() => limiter.connect(caller()), problem("too_many_connections"));
    assert.equal(quotaOf(() => limiter.connect(caller())).policy, `${scope}-connections`);
    first[Symbol.dispose]();
    first[Symbol.dispose](); // counts once
    limiter.connect(caller());
    assert.throws(() => limiter.connect(caller()), problem("too_many_connections"));
  }
});

Deno.test("a connection refused in one scope counts in none", () => {
  const limiter = limiterOf({ address: { connections: 3 }, tenant: { connections: 1 } });
  const open = limiter.connect(caller());
  for (let i = 0; i < 10; i++) {
    assert.throws(() => limiter.connect(caller()), problem("too_many_connections"));
  }
  open[Symbol.dispose]();
  limiter.connect(caller());
  limiter.connect(caller({ tenant: OTHER }));
});

Deno.test("a connection that replaces another needs no additional room", () => {
  for (const scope of LIMIT_SCOPES) {
    const limiter = limiterOf({ [scope]: { connections: 1 } });
    const first = limiter.connect(caller());
    const second = limiter.connect(caller(), first);
    assert.throws(() => limiter.connect(caller()), problem("too_many_connections"));
    first[Symbol.dispose](); // has ended already
    assert.throws(() => limiter.connect(caller()), problem("too_many_connections"));
    second[Symbol.dispose]();
    limiter.connect(caller());
  }
});

Deno.test("a connection that cannot be replaced continues to count for its requester", () => {
  const limiter = limiterOf({ tenant: { connections: 1 } });
  const [acme, other] = [caller(), caller({ tenant: OTHER })];
  const first = limiter.connect(acme);
  const full = limiter.connect(other);
  assert.throws(() => limiter.connect(other, first), problem("too_many_connections"));
  assert.throws(() => limiter.connect(acme), problem("too_many_connections"));
  full[Symbol.dispose]();
  limiter.connect(other, first);
  limiter.connect(acme);
});

Deno.test("a subscribe without a credential counts by IP", () => {
  const limiter = limiterOf({ address: { subscribes: 2 }, tenant: { subscribes: 0 } });
  const nobody = { authority: undefined, ip: "192.0.2.1" };
  limiter.subscribe(nobody, 2);
  assert.equal(quotaOf(() => limiter.subscribe(nobody, 1)).policy, "address-subscribes");
  limiter.subscribe({ ...nobody, ip: "192.0.2.2" }, 1);
});

Deno.test("connections without a credential count by IP", () => {
  const limiter = limiterOf({ address: { connections: 2 } });
  const nobody = { authority: undefined, ip: "192.0.2.1" };
  limiter.connect(nobody);
  limiter.connect(caller());
  assert.throws(() => limiter.connect(nobody), problem("too_many_connections"));
  limiter.connect({ ...nobody, ip: "192.0.2.2" });
});

Deno.test("refused credentials count by IP", () => {
  const clock = new FakeClock({ start: 0 });
  const limiter = limiterOf({}, { clock });
  for (let i = 0; i < FAILED_AUTHENTICATIONS_PER_SECOND; i++) {
    limiter.countFailedAuthentication("a");
  }
  assert.throws(() => limiter.countFailedAuthentication("a"), problem("rate_limited"));
  limiter.countFailedAuthentication("b");
  clock.set(1_000 / FAILED_AUTHENTICATIONS_PER_SECOND);
  limiter.countFailedAuthentication("a");
  assert.throws(() => limiter.countFailedAuthentication("a"), problem("rate_limited"));
});

Deno.test("reports a reached limit once per second and tenant", () => {
  const clock = new FakeClock({ start: 0 });
  const told: unknown[] = [];
  const limiter = limiterOf(
    { credential: { publishes: 1, connections: 0 }, tenant: { subscribes: 0 } },
    {
      clock,
      onLimited({ authority, ip }, limit, scope) {
        told.push([clock.now(), authority?.tenant, ip, limit, scope]);
      },
    },
  );
  const everything = (who: Caller) => {
    assert.throws(() => limiter.subscribe(who, 1), problem("rate_limited"));
    assert.throws(() => limiter.connect(who), problem("too_many_connections"));
  };
  for (; clock.now() < 2_000; clock.advance(100)) everything(caller());
  everything(caller({ tenant: OTHER, ip: "192.0.2.2" }));
  assert.deepEqual(told, [
    [0, "acme", "192.0.2.1", "subscribes", "tenant"],
    [1_000, "acme", "192.0.2.1", "subscribes", "tenant"],
    [2_000, "other", "192.0.2.2", "subscribes", "tenant"],
  ]);
});
