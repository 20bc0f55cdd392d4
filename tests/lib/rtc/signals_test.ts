import assert from "node:assert/strict";
import type { AppendedEvent, Draft, Log } from "../../../lib/log/log.ts";
import { MAX_INBOX_BYTES, MAX_INBOX_SIGNALS } from "../../../lib/log/retention_limits.ts";
import type { Member } from "../../../lib/presence/member.ts";
import { NamedSession } from "../../../lib/presence/named_session.ts";
import { MAX_SIGNAL_BYTES, parseSignal, type SignalSender } from "../../../lib/rtc/signal.ts";
import { MAX_SIGNALS_OF_SENDER } from "../../../lib/rtc/sender_quota.ts";
import { Signals } from "../../../lib/rtc/signals.ts";
import {
  channelKeyOf,
  inboxChannel,
  parseChannel,
  type Tenant,
} from "../../../lib/shared/channel.ts";
import { ORIGIN } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { itemsOf, problem, readEvents, readRuns } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { memberIn } from "../../support/presence.ts";
import { openIsolate, pass } from "../../support/presence_isolates.ts";

const ann = memberIn("room", "ann");
const bob = memberIn("room", "bob");
const inboxKey = (session: string) =>
  channelKeyOf(
    "default" as Tenant,
    inboxChannel({ channel: parseChannel("room"), member: "bob", session }),
  );

function from(member: Member, session: string | undefined, hasJoined = true): SignalSender {
  return { member, session, publisher: member.name, hasJoined };
}

const BY_ANN = from(ann, "a1");
const toBob = (data: unknown, toSession?: string) => parseSignal({ to: "bob", toSession, data });
const countCopies = () => {};

/** A log that keeps drafts in memory, and answers when a test says so. */
class SlowLog implements Pick<Log, "append"> {
  readonly appends: (readonly Draft[])[] = [];
  readonly answers: PromiseWithResolvers<readonly AppendedEvent[]>[] = [];

  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]> {
    const answer = Promise.withResolvers<readonly AppendedEvent[]>();
    this.appends.push(drafts);
    this.answers.push(answer);
    return answer.promise;
  }

  /** The data that was sent, in the order of the appends. */
  get sent(): readonly unknown[] {
    return this.appends.map(([draft]) => JSON.parse(String(draft?.data)).data);
  }
}

/** Lets everything run that waits for no timer and no store. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("signals of one sender are stored in the order of the calls, however long reads take", async () => {
  const log = new SlowLog();
  const reads: PromiseWithResolvers<readonly string[]>[] = [];
  const presence = {
    sessionsOf: () => {
      const read = Promise.withResolvers<readonly string[]>();
      reads.push(read);
      return read.promise;
    },
  };
  const signals = new Signals({ presence, log, maxChannels: 9 });
  const send = (sender: SignalSender, data: number) =>
    signals.send({ sender, signal: toBob(data), countCopies });
  const sent = [send(BY_ANN, 1), send(BY_ANN, 2), send(BY_ANN, 3), send(from(ann, "a2"), 4)];
  const results = Promise.allSettled(sent);
  assert.equal(reads.length, 4, "reads do not wait for each other");
  reads[2]?.resolve(["b1"]);
  reads[1]?.reject(new Problem("storage_unavailable", "down"));
  await settled();
  assert.deepEqual(log.sent, []);
  reads[3]?.resolve(["b1"]);
  await settled();
  assert.deepEqual(log.sent, [4], "another sender does not wait");
  reads[0]?.resolve(["b1"]);
  await settled();
  assert.deepEqual(log.sent, [4, 1, 3], "no signal waits for the answer of the store");
  for (const { resolve } of log.answers) resolve([]);
  assert.deepEqual((await results).map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
});

Deno.test("a signal to many sessions is one commit, or few if the store allows no more", async () => {
  const sessions = Array.from({ length: 20 }, (_, i) => `b${i + 10}`);
  const presence = { sessionsOf: () => Promise.resolve(sessions) };
  for (const [maxChannels, sizes] of [[99, [20]], [9, [9, 9, 2]]] as const) {
    const log = new SlowLog();
    const signals = new Signals({ presence, log, maxChannels });
    const counted: number[] = [];
    const sending = signals.send({
      sender: BY_ANN,
      signal: toBob(1),
      countCopies: (copies) => void counted.push(copies),
    });
    await settled();
    assert.deepEqual(log.appends.map(({ length }) => length), sizes);
    assert.deepEqual(counted, [19]);
    for (const { resolve } of log.answers) resolve([]);
    assert.deepEqual(await sending, sessions);
  }
});

Deno.test("a signal whose copies are refused is not stored at all", async () => {
  const log = new SlowLog();
  const presence = { sessionsOf: () => Promise.resolve(["b1", "b2"]) };
  const signals = new Signals({ presence, log, maxChannels: 9 });
  const refuse = () => {
    throw new Problem("rate_limited", "too many");
  };
  const sending = signals.send({ sender: BY_ANN, signal: toBob(1), countCopies: refuse });
  await assert.rejects(sending, problem("rate_limited"));
  assert.deepEqual(log.appends, []);
});

/** Several members: an inbox takes only a part of what it can hold from one of them. */
const SENDERS = Array.from({ length: 8 }, (_, i) => from(memberIn("room", `sender ${i}`), "s"));

/** A channel with ann and bob, who have the sessions a1, b1 and b2. */
async function openRoom(clock: FakeClock) {
  await using undo = new AsyncDisposableStack();
  const store = undo.use(await openEmbedded());
  const isolate = await openIsolate(store, clock);
  undo.defer(() => isolate.presence.close());
  const { log, presence } = isolate;
  const sessions = {
    a1: new NamedSession("a1", true),
    b1: new NamedSession("b1", true),
    b2: new NamedSession("b2", true),
  };
  await presence.join(sessions.a1, ann);
  await presence.join(sessions.b1, bob);
  await presence.join(sessions.b2, bob);
  const signals = new Signals({ presence, log, maxChannels: 99, monotonicNow: clock.now });
  const send = (data: unknown, toSession?: string, sender = BY_ANN) =>
    signals.send({ sender, signal: toBob(data, toSession), countCopies });
  const resources = undo.move();
  return {
    isolate,
    log,
    presence,
    sessions,
    send,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

Deno.test("an inbox takes 4,096 signals until retention removes old ones", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const { log, send, isolate } = room;
  const all = Array.from({ length: MAX_INBOX_SIGNALS }, (_, i) => send(i, "b1", SENDERS[i % 8]));
  await Promise.all(all);
  await assert.rejects(send("one more", "b1"), (cause) => {
    assert.ok(cause instanceof Problem);
    assert.deepEqual([cause.code, cause.retryAfterMs], ["inbox_full", 30_000]);
    return true;
  });
  await assert.rejects(send("to all"), problem("inbox_full"));
  assert.deepEqual(await send("to another", "b2"), ["b2"]);
  assert.equal((await readEvents(log, inboxKey("b2"))).length, 1, "none of the refused ones");
  await pass(clock, 61, [isolate]);
  await log.retain();
  assert.deepEqual(await send("again", "b1"), ["b1"]);
});

Deno.test("an inbox takes 1,024 signals of one member in a minute, from all its sessions", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const { send } = room;
  const all = Array.from({ length: MAX_SIGNALS_OF_SENDER - 1 }, (_, i) => send(i, "b1"));
  await Promise.all(all);
  await send("from another session", "b1", from(ann, "a2"));
  clock.advance(10_000);
  for (const toSession of ["b1", undefined]) {
    await assert.rejects(send("one more", toSession), (cause) => {
      assert.ok(cause instanceof Problem);
      assert.deepEqual([cause.code, cause.retryAfterMs], ["inbox_full", 50_000]);
      return true;
    });
  }
  await send("of another member", "b1", from(bob, "b2"));
  await send("to another session", "b2");
  clock.advance(50_000);
  await send("a minute later", "b1");
});

Deno.test("an inbox takes 4 MiB of one member in a minute", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const data = "x".repeat(MAX_SIGNAL_BYTES - 2);
  const results = await Promise.allSettled(
    Array.from({ length: 64 }, () => room.send(data, "b1")),
  );
  const stored = results.filter(({ status }) => status === "fulfilled").length;
  assert.equal(stored, 63); // 64 have more than 4 MiB with their other members
  await assert.rejects(room.send(data, "b1"), problem("inbox_full"));
  await room.send("small", "b1");
});

Deno.test("an inbox takes 16 MiB, and a burst cannot exceed that", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const data = "x".repeat(MAX_SIGNAL_BYTES - 2);
  const burst = Array.from({ length: 300 }, (_, i) => room.send(data, "b1", SENDERS[i % 8]));
  const results = await Promise.allSettled(burst);
  const stored = results.filter(({ status }) => status === "fulfilled").length;
  const head = await room.log.head(inboxKey("b1"));
  assert.ok(head !== undefined && head.bytes <= MAX_INBOX_BYTES, `${head?.bytes}`);
  assert.equal(head.last, stored);
  assert.equal(stored, Math.floor(MAX_INBOX_BYTES / (head.bytes / stored)));
  for (const result of results) {
    if (result.status === "rejected") assert.equal(result.reason.code, "inbox_full");
  }
});

Deno.test("signals are read for a minute, and those that are gone are a gap", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const { log, send, isolate } = room;
  await send("early", "b1");
  await pass(clock, 59, [isolate]);
  await send("late", "b1");
  const data = async () =>
    (await readEvents(log, inboxKey("b1"))).map(({ data }) => JSON.parse(String(data)).data);
  assert.deepEqual(await data(), ["early", "late"]);
  await pass(clock, 1, [isolate]);
  assert.deepEqual(await data(), ["late"]);
  const [gap] = itemsOf(await readRuns(log, inboxKey("b1"), ORIGIN));
  assert.ok(gap !== undefined && "gap" in gap);
  assert.deepEqual([gap.gap.reason, gap.gap.lost], ["expired", 1]);
});

Deno.test("an empty inbox stays while its session does, and goes after it", async () => {
  const clock = new FakeClock();
  await using room = await openRoom(clock);
  const { log, presence, send, isolate, sessions } = room;
  await send("early");
  const before = await log.head(inboxKey("b1"));
  await presence.leave(sessions.b2, bob);
  await assert.rejects(send("nobody reads it", "b2"), problem("no_such_member"));
  for (let passes = 0; passes < 3; passes++) {
    await pass(clock, 31, [isolate]);
    await log.retain();
  }
  const kept = await log.head(inboxKey("b1"));
  assert.deepEqual([kept?.epoch, kept?.first, kept?.last], [before?.epoch, 2, 1]);
  assert.equal(await log.head(inboxKey("b2")), undefined);
  await send("later", "b1");
  assert.ok(before !== undefined);
  const runs = await readRuns(log, inboxKey("b1"), { epoch: before.epoch, sequence: 1 });
  assert.deepEqual(itemsOf(runs).map((item) => "gap" in item), [false], "no gap for its reader");
});
