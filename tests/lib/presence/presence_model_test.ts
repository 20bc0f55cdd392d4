import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { KvLog } from "../../../lib/log/kv_log.ts";
import { GRACE_MS } from "../../../lib/presence/local_members.ts";
import type { Presence } from "../../../lib/presence/presence.ts";
import { FakeClock } from "../../support/clock.ts";
import { type LogStore, STORES } from "../../support/log_stores.ts";
import { foldOf, memberIn, openPresence, snapshotOf } from "../../support/presence.ts";

const ISOLATES = 3;
const SESSIONS = 2;
const MEMBERS = ["ann", "bob"] as const;
const TICK_MS = 1_000;
/** After this time no member of a killed isolate is left. */
const GONE_MS = 30_000;

type Step =
  | { readonly op: "join"; readonly at: Session; readonly data: number | undefined }
  | { readonly op: "leave"; readonly at: Session };

interface Session {
  readonly isolate: number;
  readonly session: number;
  readonly member: typeof MEMBERS[number];
}

type Operation =
  | { readonly op: "together"; readonly steps: readonly Step[] }
  | { readonly op: "disconnect"; readonly which: number }
  | { readonly op: "kill" | "stop"; readonly isolate: number }
  | { readonly op: "pause"; readonly isolate: number; readonly seconds: number }
  | { readonly op: "pass"; readonly seconds: number };

const plain = { noNullPrototype: true };
const isolate = fc.nat(ISOLATES - 1);
const session = fc.nat(SESSIONS - 1);
const at = fc.record({ isolate, session, member: fc.constantFrom(...MEMBERS) }, plain);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("join" as const),
      at,
      data: fc.option(fc.nat(2), { nil: undefined }),
    }, plain),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("leave" as const), at }, plain) },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      op: fc.constant("together" as const),
      steps: fc.uniqueArray(step, {
        minLength: 1,
        maxLength: 6,
        selector: ({ at }) => `${at.isolate} ${at.session} ${at.member}`,
      }),
    }, plain),
  },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant("disconnect" as const), which: fc.nat(5) }, plain),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("kill" as const), isolate }, plain) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("stop" as const), isolate }, plain) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("pause" as const),
      isolate,
      seconds: fc.constantFrom(5, 25, 45),
    }, plain),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("pass" as const),
      seconds: fc.constantFrom(1, 4, 9, 13, 30),
    }, plain),
  },
);

/** What the model knows about a member, without reading the rows. */
interface Expected {
  /** Its sessions on living isolates, as `isolate session`. */
  readonly sessions: Set<string>;
  /** Without a session the member must be present until then: the grace period. */
  staysUntil: number;
  /** Without a session the member must be gone after this time. */
  goneAt: number;
  /** The `since` of the member, unless it may have left in the meantime. */
  since: string | undefined;
  /** The data that the member may have. */
  data: ReadonlySet<string>;
}

class Model {
  readonly #channel: string;
  readonly #clock: FakeClock;
  readonly #open: () => Promise<{ presence: Presence; log: KvLog }>;
  readonly #isolates: { presence: Presence; log: KvLog }[] = [];
  readonly #sessions = new Map<string, symbol>();
  readonly #expected = new Map<string, Expected>();

  constructor(
    channel: string,
    clock: FakeClock,
    open: () => Promise<{ presence: Presence; log: KvLog }>,
  ) {
    this.#channel = channel;
    this.#clock = clock;
    this.#open = open;
    for (const member of MEMBERS) {
      this.#expected.set(member, {
        sessions: new Set(),
        staysUntil: -Infinity,
        goneAt: -Infinity,
        since: undefined,
        data: new Set(),
      });
    }
  }

  async open(): Promise<void> {
    for (let i = 0; i < ISOLATES; i++) this.#isolates.push(await this.#open());
  }

  async apply(operation: Operation): Promise<void> {
    switch (operation.op) {
      case "together":
        await this.#together(operation.steps);
        break;
      case "disconnect":
        this.#disconnect(operation.which);
        break;
      case "kill":
      case "stop":
        await this.#end(operation.isolate, operation.op);
        break;
      case "pause":
        await this.#pass(operation.seconds, operation.isolate);
        // Members that were reaped join again at its next tick.
        await this.#pass(1);
        break;
      case "pass":
        await this.#pass(operation.seconds);
    }
    await this.check();
  }

  async close(): Promise<void> {
    for (const { presence } of this.#isolates) await presence.close();
  }

  async #together(steps: readonly Step[]): Promise<void> {
    const given = new Map<string, Set<string>>();
    await Promise.all(steps.map(async (step) => {
      const { isolate, session, member } = step.at;
      const { presence } = this.#isolates[isolate] ?? assert.fail();
      const who = memberIn(this.#channel, member);
      const expected = this.#of(member);
      const name = `${isolate} ${session}`;
      const identity = this.#session(name);
      if (step.op === "join") {
        const data = step.data === undefined ? undefined : String(step.data);
        const may = given.get(member) ?? new Set([...expected.data, "null"]);
        given.set(member, may.add(data ?? "null"));
        expected.sessions.add(name);
        await presence.join(identity, who, data);
      } else {
        if (expected.sessions.delete(name) && expected.sessions.size === 0) {
          // Other steps may happen before or after this one. The member leaves at once, even in the
          // grace period of a session that disconnected before.
          expected.since = undefined;
          expected.staysUntil = -Infinity;
          expected.goneAt = Math.max(expected.goneAt, this.#clock.now());
        }
        await presence.leave(identity, who);
      }
    }));
    for (const [member, may] of given) this.#of(member).data = may;
    // A session that joins while another one leaves may have found the member gone.
    if (steps.some(({ op }) => op === "leave")) {
      for (const expected of this.#expected.values()) expected.since = undefined;
    }
  }

  /** Disconnects one of the sessions. */
  #disconnect(which: number): void {
    const open = [...new Set([...this.#expected.values()].flatMap((of) => [...of.sessions]))];
    const name = open[which % open.length];
    if (name === undefined) return;
    const isolate = Number(name.split(" ")[0]);
    for (const member of MEMBERS) {
      this.#isolates[isolate]?.presence.disconnect(
        this.#session(name),
        memberIn(this.#channel, member),
      );
      const expected = this.#of(member);
      if (expected.sessions.delete(name)) this.#startGrace(expected, GRACE_MS + 2 * TICK_MS);
    }
    this.#sessions.delete(name);
  }

  async #end(isolate: number, how: "kill" | "stop"): Promise<void> {
    const { presence, log } = this.#isolates[isolate] ?? assert.fail();
    for (let session = 0; session < SESSIONS; session++) {
      const name = `${isolate} ${session}`;
      for (const expected of this.#expected.values()) {
        if (expected.sessions.delete(name)) this.#startGrace(expected, GONE_MS);
        else if (expected.goneAt > this.#clock.now()) {
          // The member may be in its grace period here, also while it has sessions elsewhere.
          expected.goneAt = Math.max(expected.goneAt, this.#clock.now() + GONE_MS);
        }
      }
      if (how === "stop") this.#disconnectAll(presence, name);
      this.#sessions.delete(name);
    }
    if (how === "stop") await presence.close();
    await log.close();
    this.#isolates[isolate] = await this.#open();
  }

  #disconnectAll(presence: Presence, name: string): void {
    for (const member of MEMBERS) {
      presence.disconnect(this.#session(name), memberIn(this.#channel, member));
    }
  }

  #startGrace(expected: Expected, goneAfter: number): void {
    const now = this.#clock.now();
    expected.goneAt = Math.max(expected.goneAt, now + goneAfter);
    if (expected.sessions.size === 0) expected.staysUntil = now + GRACE_MS;
  }

  async #pass(seconds: number, paused?: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.#clock.advance(TICK_MS);
      for (const [at, { presence }] of this.#isolates.entries()) {
        if (at !== paused) await presence.tick();
      }
      if (paused === undefined) continue;
      // Its members may have been reaped.
      for (const expected of this.#expected.values()) {
        expected.since = undefined;
        expected.staysUntil = -Infinity;
      }
    }
  }

  /** Checks that the rows, the changes and the model agree. */
  async check(isSettled = false): Promise<void> {
    const { presence, log } = this.#isolates[0] ?? assert.fail();
    const { channelKey } = memberIn(this.#channel, "ann");
    const members = await snapshotOf(presence, channelKey);
    assert.deepEqual(members, await foldOf(log, channelKey));
    const now = this.#clock.now();
    for (const [name, expected] of this.#expected) {
      const member = members.get(name);
      const { sessions, staysUntil, goneAt } = expected;
      if (sessions.size > 0 || now < staysUntil) assert.ok(member, `${name} is not present`);
      else if (isSettled || now > goneAt) assert.equal(member, undefined, `${name} is a ghost`);
      if (member === undefined) {
        expected.since = undefined;
        continue;
      }
      if (expected.since !== undefined) {
        assert.equal(member.since, expected.since, `${name} left in the meantime`);
      }
      const isCovered = sessions.size > 0 || now < staysUntil;
      expected.since = isCovered ? member.since : undefined;
      assert.ok(expected.data.has(member.data), `${name} has ${member.data}`);
    }
  }

  /** Lets all due work happen, and checks the result. */
  async settle(): Promise<void> {
    await this.#pass(GONE_MS / TICK_MS + 15);
    await this.check(true);
  }

  #of(member: string): Expected {
    return this.#expected.get(member) ?? assert.fail();
  }

  #session(name: string): symbol {
    const session = this.#sessions.get(name) ?? Symbol(name);
    this.#sessions.set(name, session);
    return session;
  }
}

for (const { name, ignore, open } of STORES) {
  Deno.test(`presence matches a model of sessions that join, leave, disconnect and die (${name})`, {
    ignore,
  }, async () => {
    const [maxLength, numRuns] = name === "memory" ? [40, 25] : [20, 4];
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength, size: "max" }),
        fc.boolean(),
        async (operations, isOneMachine) => {
          // A store of its own: every check for dead isolates reads those of earlier runs again.
          await using store = await open();
          const clock = new FakeClock();
          const model = new Model("room", clock, () => openIsolate(store, clock, isOneMachine));
          await model.open();
          for (const operation of operations) await model.apply(operation);
          await model.settle();
          await model.close();
        },
      ),
      { numRuns, endOnFailure: name === "denokv" },
    );

    async function openIsolate(store: LogStore, clock: FakeClock, isOneMachine: boolean) {
      const { now } = clock;
      const log = await store.isolate({ now, random: () => 0.01 });
      const presence = openPresence({ kv: store.kv, log, now, monotonicNow: now, isOneMachine });
      return { presence, log };
    }
  });
}
