import assert from "node:assert/strict";
import type { WeirEvent } from "../../../../lib/client/api.ts";
import type { FeedListener, Link } from "../../../../lib/client/core/link.ts";
import { shareLink } from "../../../../lib/client/tabs/tabs.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { type FakeFeed, FakeLink } from "../../../support/fake_link.ts";
import { until } from "../../../support/until.ts";
import { FakeClock } from "../../../support/clock.ts";
import "../../../support/open_broadcast_channel.ts";

// Deno has Web Locks and BroadcastChannel, so each link acts as a tab.

const EPOCH = epochAt(1);
const at = (sequence: number) => formatOffset(EPOCH, sequence);

Deno.test("tabs of one name share a connection, and the next tab takes over", async () => {
  const tabs = new Tabs();
  const [a, b, c] = [await tabs.open(), await tabs.open(), await tabs.open()];
  assert.equal(tabs.links.length, 1);
  await b.close();
  assert.equal(tabs.links.length, 1);
  await a.close();
  await until("another tab leads", () => tabs.links.length === 2);
  assert.equal(tabs.links[0]?.state.value.status, "closed");
  await c.close();
});

Deno.test("readers at the same position share a feed, and each continues from its own position", async () => {
  const tabs = new Tabs();
  const [a, b, c] = [await tabs.open(), await tabs.open(), await tabs.open()];
  const [first] = tabs.links;
  assert.ok(first !== undefined);
  const [ra, rb, rc] = [new Reader(), new Reader(), new Reader()];
  a.feed("x", "latest", ra);
  const feedB = b.feed("x", "latest", rb);
  c.feed("x", at(1), rc);
  await until("two feeds are open", () => first.open.length === 2);
  await settled();
  assert.deepEqual(first.open.map(({ after }) => after), ["latest", at(1)]);
  const [live, replay] = first.open;
  live?.listener.started(at(5));
  replay?.listener.started(at(1));
  for (let n = 2; n <= 6; n++) replay?.listener.event(event(n));
  live?.listener.event(event(6));
  await until("all have read", () => [ra, rb, rc].every(({ last }) => last === at(6)));

  feedB.pause();
  feedB.pause();
  live?.listener.event(event(7));
  await until("a has read", () => ra.last === at(7));
  feedB.resume();
  await settled();
  assert.equal(first.open.length, 2); // the replay is at b's position
  replay?.listener.event(event(7));
  await until("b and c have read", () => rb.last === at(7) && rc.last === at(7));
  const rd = new Reader();
  c.feed("x", at(3), rd);
  await until("it has a feed of its own", () => first.open.length === 3);
  first.open[2]?.listener.started(at(3));
  first.open[2]?.listener.event(event(4));
  await until("it has read", () => rd.last === at(4));

  // From now on the other tabs read over the second link, each from its position.
  await a.close();
  await until("another tab leads", () => tabs.links.length === 2);
  const second = tabs.links[1];
  assert.ok(second !== undefined);
  await until("they read again", () => second.open.length === 2);
  await settled();
  assert.deepEqual(second.open.map(({ after }) => after).sort(), [at(4), at(7)]);
  for (const { listener, after } of second.open) {
    listener.started(after);
    for (let n = Number(after.slice(-1)) + 1; n <= 8; n++) listener.event(event(n));
  }
  await until("all have read", () => [rb, rc, rd].every(({ last }) => last === at(8)));
  const again = [`started ${at(7)}`, at(8)];
  assert.deepEqual(rb.told, [`started ${at(5)}`, at(6), at(7), ...again]);
  assert.deepEqual(rc.told, [`started ${at(1)}`, ...[2, 3, 4, 5, 6, 7].map(at), ...again]);
  assert.deepEqual(rd.told, [
    `started ${at(3)}`,
    at(4),
    `started ${at(4)}`,
    ...[5, 6, 7, 8].map(at),
  ]);
  assert.deepEqual(ra.told, [`started ${at(5)}`, at(6), at(7), "ended closed"]);
  await b.close();
  await c.close();
});

Deno.test("a feed without readers is closed, also after its tab is gone", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const [link] = tabs.links;
  const feed = b.feed("x", "latest", new Reader());
  b.feed("y", "latest", new Reader());
  await until("both are open", () => link?.open.length === 2);
  feed.close();
  await until("one is closed", () => link?.open.length === 1);
  await b.close();
  await until("none is open", () => link?.open.length === 0);
  await a.close();
});

Deno.test("gaps, ephemeral events and errors reach the tab that reads", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const reader = new Reader();
  b.feed("x", at(1), reader);
  await until("it is open", () => tabs.links[0]?.open.length === 1);
  const listener = tabs.links[0]?.open[0]?.listener;
  listener?.gap({
    kind: "gap",
    channel: "x",
    reason: "expired",
    requested: at(1),
    firstAvailable: at(5),
    lost: 3,
  });
  listener?.ephemeral({
    kind: "ephemeral",
    channel: "x",
    type: "typing",
    time: "",
    contentType: "application/json",
    data: 1,
  });
  listener?.event({ ...event(5), data: new Uint8Array([1, 2]) });
  listener?.ended(new WeirError("forbidden", "No.", { status: 403, retryAfter: 5 }));
  await until("it has ended", () => reader.error !== undefined);
  assert.deepEqual(reader.told, [`gap ${at(5)}`, "ephemeral 1", at(5), "ended forbidden"]);
  assert.ok(reader.error instanceof WeirError);
  assert.deepEqual([reader.error.status, reader.error.retryAfter], [403, 5]);
  await a.close();
  await b.close();
});

Deno.test("the leader makes calls, and they fail as unreachable when it is gone", async () => {
  const gate = Promise.withResolvers<void>();
  const tabs = new Tabs(async (op) => {
    if (op === "get") return { found: 1 };
    if (op === "ephemeral") throw new WeirError("rate_limited", "Slow.", { retryAfter: 7 });
    await gate.promise;
    return {};
  });
  const [a, b] = [await tabs.open(), await tabs.open()];
  assert.deepEqual(await b.call({ op: "get", path: "/v1/channels" }), { found: 1 });
  await assert.rejects(b.call({ op: "ephemeral", channel: "x", data: 1 }), {
    code: "rate_limited",
    retryAfter: 7,
  });
  const lost = b.call({ op: "publish", channel: "x", events: [] });
  await until("it is on its way", () => tabs.links[0]?.calls.at(-1)?.op === "publish");
  await a.close();
  await assert.rejects(lost, { code: "unreachable" });
  const controller = new AbortController();
  const aborted = b.call({ op: "publish", channel: "x", events: [] }, controller.signal);
  controller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  gate.resolve();
  await b.close();
  await assert.rejects(b.call({ op: "get", path: "/" }), { code: "closed" });
});

Deno.test("every tab has the state of the leader's connection, with its errors", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  tabs.links[0]?.lose();
  await until("b knows", () => b.state.value.status === "reconnecting");
  const state = b.state.value;
  assert.ok(state.status === "reconnecting" && state.error instanceof WeirError);
  assert.equal(state.error.code, "unreachable");
  await b.close();
  await a.close();
});

Deno.test("a leader whose connection is refused does not close other tabs", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const [ra, rb] = [new Reader(), new Reader()];
  a.feed("x", "latest", ra);
  b.feed("x", "latest", rb);
  await until("it is open", () => tabs.links[0]?.open.length === 1);
  await tabs.links[0]?.close(new WeirError("auth_failed", "Signed out."));
  await until("another tab leads", () => tabs.links.length === 2);
  await until("b reads on", () => tabs.links[1]?.open.length === 1);
  assert.deepEqual(ra.told, ["ended auth_failed"]);
  assert.deepEqual(rb.told, []);
  const { status } = a.state.value;
  assert.deepEqual([status, b.state.value.status], ["closed", "open"]);
  await a.close();
  await b.close();
});

Deno.test("named sessions of tabs leave one by one", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const named = (session: string) => ({ channel: "a", member: "ann", session });
  await a.call({ op: "enter", ...named("x") });
  await b.call({ op: "enter", ...named("y") });
  await a.call({ op: "leave", ...named("x") });
  await b.call({ op: "leave", ...named("y") });
  assert.deepEqual(tabs.links[0]?.calls, [
    { op: "enter", ...named("x") },
    { op: "enter", ...named("y") },
    { op: "leave", ...named("x") },
    { op: "leave", ...named("y") },
  ]);
  await a.close();
  await b.close();
});

Deno.test("a member that two tabs entered leaves with the last one", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const whom = { channel: "x", member: "ann" };
  await a.call({ op: "enter", ...whom });
  await b.call({ op: "enter", ...whom });
  await a.call({ op: "leave", ...whom });
  assert.deepEqual(tabs.links[0]?.calls.map(({ op }) => op), ["enter", "enter"]);
  await b.call({ op: "leave", ...whom });
  assert.deepEqual(tabs.links[0]?.calls.at(-1), { op: "leave", ...whom });
  await a.close();
  await b.close();
});

Deno.test("a publish, a read and a close before there is a leader are not lost", async () => {
  const tabs = new Tabs(() => Promise.resolve({ ok: true }));
  const early = tabs.link();
  const reader = new Reader();
  early.feed("x", "latest", reader);
  assert.deepEqual(await early.call({ op: "get", path: "/" }), { ok: true });
  assert.equal(tabs.links[0]?.open.length, 1);
  await early.close();

  const closed = tabs.link();
  const call = closed.call({ op: "get", path: "/" });
  await Promise.all([assert.rejects(call, { code: "closed" }), closed.close()]);
  await settled();
  assert.equal(tabs.links.length, 1);
});

Deno.test("a subscription after close() ends with the reason of the close", async () => {
  const tabs = new Tabs();
  for (const why of [undefined, new WeirError("auth_failed", "Signed out.")]) {
    const tab = await tabs.open();
    await tab.close(why);
    const reader = new Reader();
    tab.feed("x", "latest", reader);
    assert.deepEqual(reader.told, []);
    await until("it has ended", () => reader.error !== undefined);
    assert.deepEqual(reader.told, [`ended ${why?.code ?? "closed"}`]);
  }
});

Deno.test("a read from `latest` does not join a feed that lost its connection", async () => {
  const tabs = new Tabs();
  const [a, b] = [await tabs.open(), await tabs.open()];
  const [link] = tabs.links;
  const [before, late] = [new Reader(), new Reader()];
  a.feed("x", "latest", before);
  link?.open[0]?.listener.started(at(1));
  link?.lose();
  b.feed("x", "latest", late);
  await until("it has a feed of its own", () => link?.open.length === 2);
  link?.reconnect();
  link?.open[0]?.listener.event(event(2));
  link?.open[1]?.listener.started(at(2));
  await until("it has begun", () => late.told.length > 0);
  assert.deepEqual(before.told, [`started ${at(1)}`, at(2)]);
  assert.deepEqual(late.told, [`started ${at(2)}`]);
  await a.close();
  await b.close();
});

Deno.test("a leader that does not respond for 5 s loses the lead", async () => {
  using clock = new FakeClock({ replaces: ["intervals"] });
  const tabs = new Tabs(() => Promise.resolve({ ok: true }));
  const frozen = await tabs.freeze();
  const tab = tabs.link();
  const reader = new Reader();
  tab.feed("x", at(1), reader);
  const answer = tab.call({ op: "get", path: "/" });
  await until("it has asked", () => frozen.hellos === 1);
  clock.advance(5_000);
  await until("it has asked again", () => frozen.hellos === 2);
  assert.equal(tabs.links.length, 0);
  clock.advance(5_000);
  assert.deepEqual(await answer, { ok: true });
  await frozen.robbed;
  assert.deepEqual(tabs.links[0]?.open.map(({ after }) => after), [at(1)]);
  const other = await tabs.open();
  for (let i = 0; i < 10; i++) {
    clock.advance(5_000);
    await settled(); // it has sent a hello
    await settled(); // it has the answer
  }
  assert.equal(tabs.links.length, 1); // this one answers
  await tab.close();
  await other.close();
  assert.equal(clock.timers, 0);
});

Deno.test("a tab that lost the lead continues through the new leader, and may lead again", async () => {
  const tabs = new Tabs(() => Promise.resolve({}));
  const tab = await tabs.open();
  const [reader, other] = [new Reader(), new Reader()];
  tab.feed("x", at(1), reader);
  tabs.links[0]?.open[0]?.listener.started(at(1));
  tabs.links[0]?.open[0]?.listener.event(event(2));
  const thief = await tabs.freeze({ steal: true });
  await until("it gives up", () => tabs.links[0]?.state.value.status === "closed");
  assert.deepEqual(reader.told, [`started ${at(1)}`, at(2)]);
  assert.equal(tab.state.value.status, "open");
  const second = tabs.link();
  second.feed("x", at(2), other);
  thief.release();
  await until("it leads again", () => tabs.links[1]?.open.length === 1);
  // The other tab's read may arrive before or after the first feed has begun.
  const served = new Set<FakeFeed>();
  await until("both have read on", () => {
    for (const feed of tabs.links[1]?.open ?? []) {
      if (served.has(feed)) continue;
      served.add(feed);
      feed.listener.started(feed.after);
      feed.listener.event(event(3));
    }
    return reader.last === at(3) && other.last === at(3);
  });
  assert.deepEqual(reader.told, [`started ${at(1)}`, at(2), `started ${at(2)}`, at(3)]);
  await tab.close();
  await until("the second leads", () => tabs.links.length === 3);
  await second.close();
});

/** Shared links of one name, and the links to the server that they opened. */
class Tabs {
  readonly links: FakeLink[] = [];
  readonly #name = crypto.randomUUID();
  readonly #answer: (op: string) => Promise<Record<string, unknown>>;

  constructor(
    answer: (op: string) => Promise<Record<string, unknown>> = () => Promise.resolve({}),
  ) {
    this.#answer = answer;
  }

  link(): Link {
    return shareLink(this.#name, () => {
      const link = new FakeLink(({ op }) => this.#answer(op));
      this.links.push(link);
      return link;
    });
  }

  /** Makes a leader that receives messages but never answers. */
  async freeze(options: LockOptions = {}) {
    const name = `weir/3:${this.#name}`;
    const channel = new BroadcastChannel(name);
    const gate = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const lock = navigator.locks.request(name, options, () => (held.resolve(), gate.promise));
    const frozen = {
      hellos: 0,
      robbed: assert.rejects(lock, { name: "AbortError" }).finally(() => channel.close()),
      release: () => (channel.close(), gate.resolve()),
    };
    frozen.robbed.catch(() => {}); // it was released
    channel.onmessage = ({ data }) => data.kind === "hello" && frozen.hellos++;
    await held.promise;
    return frozen;
  }

  /** Opens a link and waits until there is a leader. */
  async open(): Promise<Link> {
    const link = this.link();
    await until("there is a leader", () => link.state.value.status === "open");
    return link;
  }
}

class Reader implements FeedListener {
  readonly told: string[] = [];
  error: WeirError | undefined;

  get last(): string | undefined {
    return this.told.at(-1);
  }

  started(cursor: string): void {
    this.told.push(`started ${cursor}`);
  }

  event({ offset }: WeirEvent): void {
    this.told.push(offset);
  }

  gap({ firstAvailable }: { firstAvailable: string }): void {
    this.told.push(`gap ${firstAvailable}`);
  }

  ephemeral({ data }: { data: unknown }): void {
    this.told.push(`ephemeral ${data}`);
  }

  ended(error: WeirError): void {
    this.error = error;
    this.told.push(`ended ${error.code}`);
  }
}

/** Waits until messages of the tabs have arrived, by sending one the same way. */
async function settled(): Promise<void> {
  const name = crypto.randomUUID();
  const [from, to] = [new BroadcastChannel(name), new BroadcastChannel(name)];
  await new Promise((resolve) => {
    to.onmessage = resolve;
    from.postMessage("");
  });
  from.close();
  to.close();
}

function event(sequence: number): WeirEvent {
  return {
    kind: "event",
    channel: "x",
    offset: at(sequence),
    id: at(sequence),
    type: "message",
    time: "",
    contentType: "application/json",
    data: sequence,
  };
}
