import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { KvLog } from "../../../lib/log/kv_log.ts";
import { GRACE_MS, type SessionKey } from "../../../lib/presence/local_members.ts";
import { NamedSession } from "../../../lib/presence/named_session.ts";
import type { Presence } from "../../../lib/presence/presence.ts";
import { FakeClock } from "../../support/clock.ts";
import { type LogStore, STORES } from "../../support/log_stores.ts";
import { foldOf, memberIn, openPresence, snapshotOf } from "../../support/presence.ts";

const ISOLATES = 3;
const SESSIONS = 2;
const MEMBERS = ["ann", "bob"] as const;
/** Names of sessions. A name that was left is not used again: a number is added to it. */
const NAMES = ["x", "y"] as const;
const TICK_MS = 1_000;
/** After this time no session is left whose end was requested from another isolate. */
const ENDED_ELSEWHERE_MS = 5_000;
/** After this time no member of a killed isolate is left. */
const GONE_MS = 30_000;

type Step =
  | { readonly op: "join"; readonly at: Session; readonly data: number | undefined }
  | { readonly op: "leave"; readonly at: Session };

interface Session {
  readonly isolate: number;
  readonly session: number;
  readonly member: typeof MEMBERS[number];
  /** Undefined for a session without a name. */
  readonly name: typeof NAMES[number] | undefined;
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
const at = fc.record({
  isolate,
  session,
  member: fc.constantFrom(...MEMBERS),
  name: fc.constantFrom(undefined, ...NAMES),
}, plain);
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
        selector: ({ at }) => `${at.isolate} ${at.session} ${at.member} ${at.name}`,
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
  /** Its sessions on living isolates, as `isolate session`, and the name if there is one. */
  readonly sessions: Set<string>;
  /** Without a session the member must be present until then: the grace period. */
  staysUntil: number;
  /** Without a session the member must be gone after this time. */
  goneAt: number;
  /** The `since` of the member, unless it may have left in the meantime. */
  since: string | undefined;
  /** The data that the member may have. */
  data: ReadonlySet<string>;
  /** By name: the named sessions that the member has or had. */
  readonly names: Map<string, ExpectedName>;
}

/** What the model knows about sessions with one name. */
interface ExpectedName {
  /** As in {@link Expected.sessions}. */
  readonly sessions: Set<string>;
  /** The isolates, dead ones too, that may list the name. */
  readonly isolates: Set<Presence>;
  /** Without a session the name must be listed until then. */
  staysUntil: number;
  /** Without a session the name must not be listed after this time. */
  goneAt: number;
}

class Model {
  readonly #channel: string;
  readonly #clock: FakeClock;
  readonly #open: () => Promise<{ presence: Presence; log: KvLog }>;
  readonly #isolates: { presence: Presence; log: KvLog }[] = [];
  /** By `isolate session`, or `isolate session name member`. */
  readonly #sessions = new Map<string, SessionKey>();
  /** By member and name, how often the name was left. */
  readonly #ended = new Map<string, number>();
  /** Until when isolates may have to end sessions by request of others. */
  #endsUntil = -Infinity;
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
        names: new Map(),
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
        // A reaped isolate does not learn which of its sessions others ended.
        while (this.#clock.now() <= this.#endsUntil) await this.#pass(1);
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
    // The names as they are now: what leaves in this group is not used again in it.
    const named = steps.map(({ op, at }) => {
      return { op, at, name: at.name && this.#currentName(at.member, at.name) };
    });
    const left = named.filter(({ op, name }) => op === "leave" && name !== undefined);
    for (const { member, name } of new Set(left.map(({ at }) => at))) {
      this.#ended.set(`${member} ${name}`, (this.#ended.get(`${member} ${name}`) ?? 0) + 1);
    }
    await Promise.all(steps.map(async (step, i) => {
      const { at, name } = named[i] ?? assert.fail();
      const { member } = at;
      const { presence } = this.#isolates[at.isolate] ?? assert.fail();
      const who = memberIn(this.#channel, member);
      const expected = this.#of(member);
      const socket = `${at.isolate} ${at.session}`;
      const key = name === undefined ? socket : `${socket} ${name}`;
      if (step.op === "join") {
        if (left.some((other) => other.at.member === member && other.name === name)) return;
        const data = step.data === undefined ? undefined : String(step.data);
        const may = given.get(member) ?? new Set([...expected.data, "null"]);
        given.set(member, may.add(data ?? "null"));
        expected.sessions.add(key);
        if (name !== undefined) {
          const expectedName = this.#nameOf(expected, name);
          expectedName.sessions.add(key);
          expectedName.isolates.add(presence);
        }
        await presence.join(this.#session(socket, name, member), who, data);
      } else if (name === undefined) {
        if (expected.sessions.delete(key)) this.#afterLeave(expected);
        await presence.leave(this.#session(socket, name, member), who);
      } else {
        const expectedName = this.#nameOf(expected, name);
        const wasThere = expectedName.isolates.size > 0;
        const isElsewhere = [...expectedName.isolates].some((other) => other !== presence);
        for (const other of expectedName.sessions) expected.sessions.delete(other);
        expectedName.sessions.clear();
        expectedName.staysUntil = -Infinity;
        expectedName.goneAt = isElsewhere
          ? Math.max(expectedName.goneAt, this.#clock.now() + ENDED_ELSEWHERE_MS)
          : -Infinity;
        if (isElsewhere) this.#endsUntil = this.#clock.now() + ENDED_ELSEWHERE_MS;
        if (wasThere) this.#afterLeave(expected);
        await presence.endSession({ member: who, sessionName: name });
      }
    }));
    for (const [member, may] of given) this.#of(member).data = may;
    // A session that joins while another one leaves may have found the member gone.
    if (steps.some(({ op }) => op === "leave")) {
      for (const expected of this.#expected.values()) expected.since = undefined;
    }
  }

  #afterLeave(expected: Expected): void {
    if (expected.sessions.size > 0) return;
    // Other steps may happen before or after this one. The member leaves at once, even in the grace
    // period of a session without a name that disconnected before.
    expected.since = undefined;
    expected.staysUntil = -Infinity;
    expected.goneAt = Math.max(expected.goneAt, this.#clock.now());
  }

  /** Disconnects one of the sockets. */
  #disconnect(which: number): void {
    const open = [
      ...new Set([...this.#expected.values()].flatMap((of) => {
        return [...of.sessions].map((key) => key.split(" ", 2).join(" "));
      })),
    ];
    const socket = open[which % open.length];
    if (socket === undefined) return;
    const { presence } = this.#isolates[Number(socket.split(" ")[0])] ?? assert.fail();
    this.#disconnectAll(presence, socket);
    for (const expected of this.#expected.values()) {
      this.#lose(expected, socket, GRACE_MS + 2 * TICK_MS);
    }
  }

  async #end(isolate: number, how: "kill" | "stop"): Promise<void> {
    const { presence, log } = this.#isolates[isolate] ?? assert.fail();
    const now = this.#clock.now();
    for (const expected of this.#expected.values()) {
      // What is in its grace period here stays until others reap it.
      if (expected.goneAt > now) expected.goneAt = Math.max(expected.goneAt, now + GONE_MS);
      for (const name of expected.names.values()) {
        if (name.goneAt > now) name.goneAt = Math.max(name.goneAt, now + GONE_MS);
      }
    }
    for (let session = 0; session < SESSIONS; session++) {
      const socket = `${isolate} ${session}`;
      if (how === "stop") this.#disconnectAll(presence, socket);
      for (const expected of this.#expected.values()) this.#lose(expected, socket, GONE_MS);
      for (const key of this.#sessions.keys()) {
        if (`${key} `.startsWith(`${socket} `)) this.#sessions.delete(key);
      }
    }
    if (how === "stop") await presence.close();
    await log.close();
    this.#isolates[isolate] = await this.#open();
  }

  #disconnectAll(presence: Presence, socket: string): void {
    for (const [key, session] of this.#sessions) {
      if (!`${key} `.startsWith(`${socket} `)) continue;
      for (const member of MEMBERS) {
        const isItsSession = key === socket || key.endsWith(` ${member}`);
        if (isItsSession) presence.disconnect(session, memberIn(this.#channel, member));
      }
      this.#sessions.delete(key);
    }
  }

  /** Starts the grace period of what a socket had. */
  #lose(expected: Expected, socket: string, goneAfter: number): void {
    const lost = [...expected.sessions].filter((key) => `${key} `.startsWith(`${socket} `));
    for (const key of lost) {
      expected.sessions.delete(key);
      for (const name of expected.names.values()) {
        if (name.sessions.delete(key)) this.#startGrace(name, goneAfter);
      }
    }
    if (lost.length === 0) return;
    this.#startGrace(expected, goneAfter);
    // A session whose end was requested from another isolate may still leave.
    if (this.#clock.now() <= this.#endsUntil) expected.staysUntil = -Infinity;
  }

  #startGrace(expected: Expected | ExpectedName, goneAfter: number): void {
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
        for (const name of expected.names.values()) name.staysUntil = -Infinity;
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
      const { sessions } = expected;
      const names = [...expected.names.values()];
      const staysUntil = Math.max(expected.staysUntil, ...names.map((of) => of.staysUntil));
      const goneAt = Math.max(expected.goneAt, ...names.map((of) => of.goneAt));
      if (sessions.size > 0 || now < staysUntil) assert.ok(member, `${name} is not present`);
      else if (isSettled || now > goneAt) assert.equal(member, undefined, `${name} is a ghost`);
      this.#checkNames(expected, member?.sessions ?? [], isSettled);
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

  #checkNames({ names }: Expected, listed: readonly string[], isSettled: boolean): void {
    const now = this.#clock.now();
    assert.deepEqual(listed, [...new Set(listed)].sort());
    for (const [name, { sessions, isolates, staysUntil, goneAt }] of names) {
      const isListed = listed.includes(name);
      if (sessions.size > 0 || now < staysUntil) assert.ok(isListed, `${name} is not listed`);
      else if (isSettled || now > goneAt) assert.ok(!isListed, `${name} is still listed`);
      if (!isListed) isolates.clear();
    }
    assert.ok(listed.every((name) => names.has(name)), `${listed} has unknown names`);
  }

  /** Lets all due work happen, and checks the result. */
  async settle(): Promise<void> {
    await this.#pass(GONE_MS / TICK_MS + 15);
    await this.check(true);
  }

  #of(member: string): Expected {
    return this.#expected.get(member) ?? assert.fail();
  }

  #nameOf(expected: Expected, name: string): ExpectedName {
    const known = expected.names.get(name) ??
      { sessions: new Set(), isolates: new Set(), staysUntil: -Infinity, goneAt: -Infinity };
    expected.names.set(name, known);
    return known;
  }

  #currentName(member: string, name: string): string {
    return `${name}${this.#ended.get(`${member} ${name}`) ?? 0}`;
  }

  #session(socket: string, name: string | undefined, member: string): SessionKey {
    const key = name === undefined ? socket : `${socket} ${name} ${member}`;
    const session = this.#sessions.get(key) ??
      (name === undefined ? Symbol(socket) : new NamedSession(name, true));
    this.#sessions.set(key, session);
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
