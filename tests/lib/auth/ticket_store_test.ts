import assert from "node:assert/strict";
import type { Grant } from "../../../lib/auth/authority.ts";
import { randomBase62 } from "../../../lib/auth/api_key.ts";
import { scopeSchema } from "../../../lib/auth/scope.ts";
import { TICKET_MS, TicketStore } from "../../../lib/auth/ticket_store.ts";
import { openStore, type Store } from "../../../lib/kv/store.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { Problem, type ProblemCode } from "../../../lib/shared/problem.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { upTo } from "../../support/log_reading.ts";
import { openEmbedded, STORES } from "../../support/log_stores.ts";
import { FakeClock } from "../../support/clock.ts";
import { NO_STORE } from "../../support/no_store.ts";

const A = "tenant-a" as Tenant;
const ORIGIN = "https://shop.example";
const INVALID = "This ticket is unknown, used or expired. A ticket is valid once, for 30 s.";
const GRANT: Grant = {
  tenant: A,
  kind: "token",
  subject: "ann",
  tokenId: "token-1",
  keyId: "signing-1",
  issuedAt: 1_600_000_000_000,
  expiresAt: 1_800_000_000_000,
  scope: scopeSchema.parse({ subscribe: ["orders/**"], limits: { connections: 2 } }),
};

for (const { name, ignore, open } of STORES) {
  const test = (behaviour: string, body: (kv: Deno.Kv, clock: FakeClock) => Promise<void>) =>
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using store = await open();
      await body(store.kv, new FakeClock());
    });

  test("a ticket returns its grant and origin once", async (kv, clock) => {
    const reused: Tenant[] = [];
    const store = new TicketStore(kv, { now: clock.now, onReused: (by) => reused.push(by) });
    const { ticket, expiresAt } = await store.issue(GRANT, ORIGIN);
    assert.match(ticket, /^wt_[0-9A-Za-z]{32}$/);
    assert.equal(expiresAt, clock.now() + TICKET_MS);
    assert.deepEqual(await store.redeem(ticket), { grant: GRANT, origin: ORIGIN });
    assert.deepEqual(reused, []);
    await assert.rejects(store.redeem(ticket), refusal("ticket_invalid", INVALID));
    await assert.rejects(store.redeem(ticket), refusal("ticket_invalid", INVALID));
    assert.deepEqual(reused, [A, A]);
  });

  test("a ticket without an origin returns none", async (kv, clock) => {
    const store = new TicketStore(kv, { now: clock.now });
    const { ticket } = await store.issue(GRANT, undefined);
    assert.equal((await store.redeem(ticket)).origin, undefined);
  });

  test("a ticket expires after 30 s, used or not, and with its grant", async (kv, clock) => {
    const reused: Tenant[] = [];
    const store = new TicketStore(kv, { now: clock.now, onReused: (by) => reused.push(by) });
    const brief = await store.issue({ ...GRANT, expiresAt: clock.now() + 500 }, ORIGIN);
    assert.equal(brief.expiresAt, clock.now() + 500);
    const [used, late, last] = [
      await store.issue(GRANT, ORIGIN),
      await store.issue(GRANT, ORIGIN),
      await store.issue({ ...GRANT, expiresAt: undefined }, ORIGIN),
    ];
    await store.redeem(used.ticket);
    clock.advance(500);
    await assert.rejects(store.redeem(brief.ticket), refusal("ticket_invalid", INVALID));
    clock.advance(TICKET_MS - 501);
    await store.redeem(last.ticket);
    clock.advance(1);
    await assert.rejects(store.redeem(late.ticket), refusal("ticket_invalid", INVALID));
    await assert.rejects(store.redeem(used.ticket), refusal("ticket_invalid", INVALID));
    assert.deepEqual(reused, []);
  });

  test("the store contains no ticket, and no grant of a used one", async (kv, clock) => {
    const store = new TicketStore(kv, { now: clock.now });
    const { ticket } = await store.issue(GRANT, ORIGIN);
    assert.ok(!(await textOf(kv)).includes(ticket.slice(3)));
    await store.redeem(ticket);
    const text = await textOf(kv);
    assert.ok(text.includes(A));
    assert.ok(!text.includes(ticket.slice(3)) && !text.includes("ann"));
  });

  test("refuses an unknown ticket and a used one with the same message", async (kv, clock) => {
    const store = new TicketStore(kv, {
      now: clock.now,
      onReused: () => assert.fail("nobody's ticket was used again"),
    });
    await assert.rejects(
      store.redeem(`wt_${randomBase62(32)}`),
      refusal("ticket_invalid", INVALID),
    );
  });
}

for (const kind of ["file", "denokv"] as const) {
  const ignore = kind === "denokv" && DENOKV_MISSING;
  Deno.test(
    `of 50 concurrent redemptions of a ticket one succeeds (${kind})`,
    { ignore },
    async () => {
      await using resources = new AsyncDisposableStack();
      const target = await place(kind, resources);
      const stores: Store[] = [];
      for (let i = 0; i < 3; i++) {
        stores.push(resources.adopt(await openStore(target), (store) => store.close()));
      }
      let reused = 0;
      const tickets = stores.map(({ kv }) =>
        new TicketStore(kv, { onReused: () => void reused++ })
      );
      const issuer = tickets[0] ?? assert.fail();
      for (let round = 1; round <= 5; round++) {
        const { ticket } = await issuer.issue(GRANT, ORIGIN);
        const outcomes = await Promise.allSettled(
          upTo(50).map((i) => (tickets[i % 3] ?? issuer).redeem(ticket)),
        );
        const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
        assert.deepEqual(won.map(({ value }) => value), [{ grant: GRANT, origin: ORIGIN }]);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") refusal("ticket_invalid", INVALID)(outcome.reason);
        }
        assert.equal(reused, 49 * round);
      }
    },
  );
}

Deno.test("refuses a malformed ticket without reading the store", async () => {
  const store = new TicketStore(NO_STORE);
  const right = `wt_${randomBase62(32)}`;
  const wrong = ["", "wt_", right.slice(0, -1), `${right}a`, `${right}\n`, right.slice(3)];
  for (const text of [...wrong, right.toUpperCase(), `wt_${"é".repeat(32)}`, "x".repeat(1e6)]) {
    await assert.rejects(store.redeem(text), refusal("ticket_invalid", INVALID));
  }
});

Deno.test("redeems a ticket although the store's answer was lost", async () => {
  await using store = await openEmbedded();
  const tickets = new TicketStore(repeatingCommits(store.kv), {
    onReused: () => assert.fail("it was used once"),
  });
  const { ticket } = await tickets.issue(GRANT, ORIGIN);
  assert.deepEqual(await tickets.redeem(ticket), { grant: GRANT, origin: ORIGIN });
});

Deno.test("reports a closed or failing store as unavailable", async () => {
  const kv = await Deno.openKv(":memory:");
  const store = new TicketStore(kv);
  const { ticket } = await store.issue(GRANT, ORIGIN);
  kv.close();
  await assert.rejects(store.issue(GRANT, ORIGIN), refusal("storage_unavailable"));
  await assert.rejects(store.redeem(ticket), refusal("storage_unavailable"));
});

async function place(
  kind: "file" | "denokv",
  resources: AsyncDisposableStack,
): Promise<string> {
  if (kind === "denokv") return resources.use(await Denokv.start()).url;
  const directory = await Deno.makeTempDir({ prefix: "weir_tickets_" });
  resources.defer(() => Deno.remove(directory, { recursive: true }));
  return `${directory}/kv.sqlite`;
}

async function textOf(kv: Deno.Kv): Promise<string> {
  const rows = await Array.fromAsync(kv.list({ prefix: [] }));
  return JSON.stringify(rows.map(({ key, value }) => [key, value]));
}

/** Sends each commit twice and returns the second result, as a client that repeats a commit does. */
function repeatingCommits(kv: Deno.Kv): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (name === "atomic") {
        return () => {
          const atomic = target.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = async () => {
            await commit();
            return await commit();
          };
          return atomic;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function refusal(code: ProblemCode, detail?: string): (cause: unknown) => boolean {
  return (cause) => {
    assert.ok(cause instanceof Problem, String(cause));
    assert.equal(cause.code, code);
    if (detail !== undefined) assert.equal(cause.detail, detail);
    return true;
  };
}
