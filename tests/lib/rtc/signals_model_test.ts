import assert from "node:assert/strict";
import * as fc from "fast-check";
import { GRACE_MS } from "../../../lib/presence/local_members.ts";
import { NamedSession } from "../../../lib/presence/named_session.ts";
import { parseSignal } from "../../../lib/rtc/signal.ts";
import { Signals } from "../../../lib/rtc/signals.ts";
import {
  channelKeyOf,
  channelOf,
  DEFAULT_TENANT,
  inboxChannel,
} from "../../../lib/shared/channel.ts";
import { ORIGIN, type Position } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { readRuns } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { memberIn } from "../../support/presence.ts";
import { type Isolate, openIsolate, pass, room } from "../../support/presence_isolates.ts";

const ISOLATES = 2;
const MEMBERS = ["ann", "bob", "c/d"] as const;
const SESSIONS = ["x", "y"] as const;
const LIFETIME_MS = 60_000;

/** A session, which joins on the isolate that its name stands for. */
interface SessionId {
  readonly member: typeof MEMBERS[number];
  readonly session: typeof SESSIONS[number];
}

interface Send {
  readonly from: SessionId;
  readonly to: typeof MEMBERS[number];
  readonly toSession: typeof SESSIONS[number] | undefined;
  readonly isolate: number;
}

type Operation =
  | { readonly op: "join" | "leave" | "disconnect" | "read"; readonly id: SessionId }
  | { readonly op: "send"; readonly sends: readonly Send[] }
  | { readonly op: "pass"; readonly seconds: number }
  | { readonly op: "retain" };

const plain = { noNullPrototype: true };
const id = fc.record({
  member: fc.constantFrom(...MEMBERS),
  session: fc.constantFrom(...SESSIONS),
}, plain);
const send = fc.record({
  from: id,
  to: fc.constantFrom(...MEMBERS),
  toSession: fc.option(fc.constantFrom(...SESSIONS), { nil: undefined }),
  isolate: fc.nat(ISOLATES - 1),
}, plain);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("join" as const), id }, plain) },
  {
    weight: 3,
    arbitrary: fc.record(
      { op: fc.constantFrom("leave" as const, "disconnect" as const), id },
      plain,
    ),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("read" as const), id }, plain) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("send" as const),
      sends: fc.array(send, { minLength: 1, maxLength: 12 }),
    }, plain),
  },
  {
    weight: 3,
    // No sum of these is exactly the lifetime of a signal.
    arbitrary: fc.record({
      op: fc.constant("pass" as const),
      seconds: fc.constantFrom(7, 31, 77),
    }, plain),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("retain" as const) }, plain) },
);

/** A signal as the model knows it. */
interface Sent {
  readonly sender: string;
  readonly n: number;
  readonly expiresAt: number;
}

/** What a correct server does, in plain lists. */
class Model {
  /** By session: until when it is listed. */
  readonly listed = new Map<string, number>();
  /** By session: the signals that its reader has not taken. */
  readonly unread = new Map<string, Sent[]>();

  join(id: SessionId): void {
    this.listed.set(keyOf(id), Infinity);
  }

  leave(id: SessionId): void {
    this.listed.delete(keyOf(id));
  }

  disconnect(id: SessionId, now: number): void {
    const until = this.listed.get(keyOf(id));
    if (until === Infinity) this.listed.set(keyOf(id), now + GRACE_MS);
  }

  pass(now: number): void {
    for (const [key, until] of this.listed) if (until <= now) this.listed.delete(key);
  }

  /** Returns the sessions that receive the signal, or the code of the refusal. */
  send({ from, to, toSession }: Send, n: number, now: number): readonly string[] | string {
    if (!this.listed.has(keyOf(from))) return "not_a_member";
    const receivers = SESSIONS.filter((session) =>
      this.listed.has(keyOf({ member: to, session })) &&
      (toSession === undefined || toSession === session)
    );
    if (receivers.length === 0) return "no_such_member";
    for (const session of receivers) {
      const key = keyOf({ member: to, session });
      const sent = { sender: keyOf(from), n, expiresAt: now + LIFETIME_MS };
      this.unread.set(key, [...this.unread.get(key) ?? [], sent]);
    }
    return receivers;
  }

  /** Takes what the session has not read and is not too old. */
  read(id: SessionId, now: number): readonly Sent[] {
    const unread = this.unread.get(keyOf(id)) ?? [];
    this.unread.delete(keyOf(id));
    return unread.filter(({ expiresAt }) => expiresAt > now);
  }
}

/** Isolates with signals, and a reader of each inbox that continues from its position. */
class World implements AsyncDisposable {
  readonly #clock: FakeClock;
  readonly #isolates: readonly Isolate[];
  readonly #signals: readonly Signals[];
  readonly #joined = new Map<string, NamedSession>();
  readonly #positions = new Map<string, Position>();

  constructor(isolates: readonly Isolate[], clock: FakeClock) {
    this.#clock = clock;
    this.#isolates = isolates;
    this.#signals = isolates.map(({ presence, log }) => {
      return new Signals({ presence, log, maxChannels: 99, monotonicNow: clock.now });
    });
  }

  async join(id: SessionId): Promise<void> {
    const named = this.#joined.get(keyOf(id)) ?? new NamedSession(id.session, true);
    this.#joined.set(keyOf(id), named);
    await this.#isolateOf(id).presence.join(named, memberIn("room", id.member));
  }

  async leave(id: SessionId): Promise<void> {
    this.#joined.delete(keyOf(id));
    const member = memberIn("room", id.member);
    await this.#isolateOf(id).presence.endSession({ member, sessionName: id.session });
  }

  disconnect(id: SessionId): void {
    const named = this.#joined.get(keyOf(id));
    if (named === undefined) return;
    this.#joined.delete(keyOf(id));
    this.#isolateOf(id).presence.disconnect(named, memberIn("room", id.member));
  }

  /** Returns the sessions that have received the signal, or the code of the refusal. */
  async send(
    { from, to, toSession, isolate }: Send,
    n: number,
  ): Promise<readonly string[] | string> {
    const member = memberIn("room", from.member);
    const { session } = from;
    try {
      return await this.#signals[isolate]!.send({ // an index in the list
        sender: { member, session, publisher: undefined, hasJoined: false },
        signal: parseSignal({ to, toSession, data: n }),
        countCopies() {},
      });
    } catch (cause) {
      if (cause instanceof Problem) return cause.code;
      throw cause;
    }
  }

  /** Returns what the inbox has after the position of its reader. */
  async read({ member, session }: SessionId, isolate: number): Promise<readonly Sent[]> {
    const inbox = inboxChannel({ channel: channelOf(room), member, session });
    const channelKey = channelKeyOf(DEFAULT_TENANT, inbox);
    const key = keyOf({ member, session });
    const { log } = this.#isolates[isolate]!; // an index in the list
    const runs = await readRuns(log, channelKey, this.#positions.get(key) ?? ORIGIN);
    const last = runs.at(-1);
    if (last !== undefined) this.#positions.set(key, { epoch: last.epoch, sequence: last.last });
    return runs.flatMap(({ events }) => events).map(({ data, expiresAt = 0 }) => {
      const { from, fromSession, to, toSession, data: n } = JSON.parse(String(data));
      assert.deepEqual([to, toSession], [member, session]);
      return { sender: keyOf({ member: from, session: fromSession }), n, expiresAt };
    });
  }

  async pass(seconds: number): Promise<void> {
    await pass(this.#clock, seconds, this.#isolates);
  }

  async retain(): Promise<void> {
    for (const { log } of this.#isolates) await log.retain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { presence } of this.#isolates) await presence.close();
  }

  #isolateOf({ session }: SessionId): Isolate {
    return this.#isolates[SESSIONS.indexOf(session)]!; // there are as many isolates
  }
}

function keyOf({ member, session }: { readonly member: string; readonly session: string }): string {
  return `${member} ${session}`;
}

/** Sorts what different senders have sent at the same time; the order of each sender stays. */
function bySender(signals: readonly Sent[]): readonly Sent[] {
  return signals.toSorted((a, b) => a.sender < b.sender ? -1 : a.sender > b.sender ? 1 : 0);
}

async function run(operations: readonly Operation[]): Promise<void> {
  const clock = new FakeClock();
  await using store = await openEmbedded();
  const isolates: Isolate[] = [];
  for (let i = 0; i < ISOLATES; i++) isolates.push(await openIsolate(store, clock));
  await using world = new World(isolates, clock);
  const model = new Model();
  let n = 0;
  for (const member of MEMBERS) {
    for (const session of SESSIONS) {
      model.join({ member, session });
      await world.join({ member, session });
    }
  }
  for (const operation of operations) {
    const now = clock.now();
    switch (operation.op) {
      case "join":
        model.join(operation.id);
        await world.join(operation.id);
        break;
      case "leave":
        model.leave(operation.id);
        await world.leave(operation.id);
        break;
      case "disconnect":
        model.disconnect(operation.id, now);
        world.disconnect(operation.id);
        break;
      case "send": {
        // One sender's signals go through one isolate, as those of one connection do.
        const first = new Map<string, number>();
        const sends = operation.sends.map((send) => {
          const isolate = first.get(keyOf(send.from)) ?? send.isolate;
          first.set(keyOf(send.from), isolate);
          return { ...send, isolate, n: n++ };
        });
        const expected = sends.map((send) => model.send(send, send.n, now));
        assert.deepEqual(
          await Promise.all(sends.map((send) => world.send(send, send.n))),
          expected,
        );
        break;
      }
      case "read": {
        const isolate = n % ISOLATES;
        const expected = bySender(model.read(operation.id, now));
        assert.deepEqual(bySender(await world.read(operation.id, isolate)), expected);
        break;
      }
      case "pass":
        await world.pass(operation.seconds);
        model.pass(clock.now());
        break;
      case "retain":
        await world.retain();
    }
  }
}

Deno.test("signals reach the sessions that a model says, in the order of each sender, for a minute", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 40 }), run),
    { numRuns: 40 },
  );
});
