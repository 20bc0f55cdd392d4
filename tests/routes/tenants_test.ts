import assert from "node:assert/strict";
import fc from "fast-check";
import { call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

const CHANNELS = ["a", "b", "room/1"] as const;
type ChannelName = typeof CHANNELS[number];
/** Which of the two tenants. */
type Side = 0 | 1;

/** Rights to all channels except system channels. */
const ALL = { publish: ["**"], subscribe: ["**"], manage: ["**"] };
const JSON_BODY = { "Content-Type": "application/json" };
const DEFAULT_EVENTS = 100_000;

interface Draft {
  readonly channel: ChannelName;
  readonly id: string | undefined;
  readonly data: number;
}

type Operation =
  | {
    readonly op: "publish";
    readonly by: "body" | "json" | "batch" | "socket";
    readonly draft: Draft;
  }
  | { readonly op: "batch"; readonly drafts: readonly Draft[] }
  | {
    readonly op: "read";
    readonly by: "SSE" | "WebSocket" | "long poll" | "short poll";
    readonly channel: ChannelName;
  }
  | { readonly op: "foreign cursor"; readonly channel: ChannelName }
  | { readonly op: "list" | "list one"; readonly channel: ChannelName }
  | { readonly op: "get" | "delete"; readonly channel: ChannelName }
  | { readonly op: "put"; readonly channel: ChannelName; readonly events: number };

const channel = fc.constantFrom(...CHANNELS);
// Few ids and values, so that both tenants use the same ones.
const draft = fc.record({
  channel,
  id: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
  data: fc.integer({ min: 1, max: 2 }),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("publish" as const),
      by: fc.constantFrom("body", "json", "batch", "socket"),
      draft,
    }),
  },
  fc.record({
    op: fc.constant("batch" as const),
    drafts: fc.array(draft, { minLength: 1, maxLength: 4 }),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("read" as const),
      by: fc.constantFrom("SSE", "WebSocket", "long poll", "short poll"),
      channel,
    }),
  },
  fc.record({
    op: fc.constantFrom("foreign cursor", "list", "list one", "get", "delete"),
    channel,
  }),
  fc.record({
    op: fc.constant("put" as const),
    channel,
    events: fc.integer({ min: 1_000, max: 1_002 }),
  }),
);
const side = fc.constantFrom<Side>(0, 1);

/** One channel, as its tenant must see it. */
interface ModelChannel {
  readonly events: { readonly id: string | undefined; readonly data: number }[];
  keeps: number;
}

/** What one tenant must see: nothing of the other one. */
class Model {
  readonly channels = new Map<ChannelName, ModelChannel>();

  open(channel: ChannelName): ModelChannel {
    const known = this.channels.get(channel) ?? { events: [], keeps: DEFAULT_EVENTS };
    this.channels.set(channel, known);
    return known;
  }

  /** The expected status of publishing all of them together. */
  publish(drafts: readonly Draft[]): 200 | 201 | 409 {
    const seen = new Map<string, number>();
    let fresh = 0;
    const added: Draft[] = [];
    for (const draft of drafts) {
      const name = `${draft.channel} ${draft.id}`;
      const kept = this.channels.get(draft.channel)?.events.find(({ id }) => id === draft.id);
      const before = draft.id === undefined ? undefined : seen.get(name) ?? kept?.data;
      if (before !== undefined && before !== draft.data) return 409;
      if (before !== undefined) continue;
      seen.set(name, draft.data);
      added.push(draft);
      fresh++;
    }
    for (const { channel, id, data } of added) this.open(channel).events.push({ id, data });
    return fresh === 0 ? 200 : 201;
  }

  data(channel: ChannelName): readonly number[] {
    return this.channels.get(channel)?.events.map(({ data }) => data) ?? [];
  }
}

/** One tenant's clients. */
interface Party extends AsyncDisposable {
  readonly model: Model;
  readonly headers: Readonly<Record<string, string>>;
  /** Has the right to read one channel only. */
  readonly narrow: (channel: ChannelName) => Promise<Readonly<Record<string, string>>>;
  readonly socket: SocketClient;
}

async function makeParty(weir: Guarded<LocalServer>, tenant: string): Promise<Party> {
  const token = await weir.token({ tenant, ...ALL });
  const socket = await SocketClient.open(weir.url, { token });
  return {
    model: new Model(),
    headers: bearer(token),
    narrow: async (channel) => bearer(await weir.token({ tenant, subscribe: [channel] })),
    socket,
    [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
  };
}

Deno.test("two tenants with the same names never see, count or change each other's channels", async () => {
  await using weir = await guardedLocal();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(side, operation), { minLength: 5, maxLength: 40 }),
      async (operations) => {
        const run = runs++;
        await using one = await makeParty(weir, `one-${run}`);
        await using other = await makeParty(weir, `other-${run}`);
        for (const [side, operation] of operations) {
          const [own, foreign] = side === 0 ? [one, other] : [other, one];
          await perform(weir.url, own, foreign, operation);
        }
        for (const party of [one, other]) await assertSeesOwn(weir.url, party);
      },
    ),
    { numRuns: 60 },
  );
});

async function perform(
  url: string,
  own: Party,
  foreign: Party,
  operation: Operation,
): Promise<void> {
  const { model, headers } = own;
  const path = "channel" in operation
    ? `/v1/channels/${encodeURIComponent(operation.channel)}`
    : "/v1/events";
  switch (operation.op) {
    case "publish": {
      const expected = model.publish([operation.draft]);
      return assert.equal(await publishBy(url, own, operation), expected);
    }
    case "batch": {
      const expected = model.publish(operation.drafts);
      const body = JSON.stringify({ events: operation.drafts });
      const answer = await call(url, path, { method: "POST", headers, body });
      return assert.equal(answer.status, expected, answer.text);
    }
    case "read": {
      const expected = model.data(operation.channel);
      return assert.deepEqual(await readBy(url, own, operation, expected.length), expected);
    }
    case "foreign cursor":
      return await assertCursorSaysNothing(url, own, foreign, operation.channel);
    case "list":
      return await assertList(url, headers, model, [...model.channels.keys()]);
    case "list one": {
      const visible = model.channels.has(operation.channel) ? [operation.channel] : [];
      return await assertList(url, await own.narrow(operation.channel), model, visible);
    }
    case "get": {
      const answer = await call(url, path, { headers });
      const known = model.channels.get(operation.channel);
      if (known === undefined) return assert.equal(answer.code, "channel_not_found");
      assert.equal(answer.json.events, known.events.length);
      return assert.equal(answer.json.retention.events, known.keeps);
    }
    case "put": {
      const body = JSON.stringify({ retention: { events: operation.events } });
      const answer = await call(url, path, { method: "PUT", headers, body });
      assert.equal(answer.status, 200, answer.text);
      model.open(operation.channel).keeps = operation.events;
      return assert.equal(answer.json.events, model.data(operation.channel).length);
    }
    case "delete": {
      const answer = await call(url, path, { method: "DELETE", headers });
      const existed = model.channels.delete(operation.channel);
      return assert.equal(answer.status, existed ? 204 : 404, answer.text);
    }
  }
}

async function publishBy(
  url: string,
  { headers, socket }: Party,
  { by, draft }: Operation & { readonly op: "publish" },
): Promise<number> {
  const { channel, id, data } = draft;
  if (by === "socket") {
    socket.send({ op: "publish", ref: 1, ...draft });
    const { op, code, duplicate } = await socket.next();
    if (op === "ack") return duplicate ? 200 : 201;
    return code === "idempotency_conflict" ? 409 : Number.NaN;
  }
  const answer = by === "body"
    ? await call(url, `/v1/channels/${encodeURIComponent(channel)}/events`, {
      method: "POST",
      headers: { ...headers, ...JSON_BODY, ...id !== undefined && { "Idempotency-Key": id } },
      body: String(data),
    })
    : await call(url, "/v1/events", {
      method: "POST",
      headers,
      body: JSON.stringify(by === "json" ? draft : { events: [draft] }),
    });
  return answer.status;
}

/** Reads all data of a channel; a poll shows whether there is more than `count`. */
async function readBy(
  url: string,
  { headers, socket }: Party,
  { by, channel }: Operation & { readonly op: "read" },
  count: number,
): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  if (by === "SSE") {
    await using stream = await SseClient.open(
      readUrl(url, [channel], { after: "earliest" }),
      { ...headers },
    );
    while (found.length < count) found.push(JSON.parse((await stream.next()).data));
  } else if (by === "WebSocket") {
    socket.send({ op: "subscribe", ref: 1, channel, after: "earliest" });
    await socket.until("subscribed");
    while (found.length < count) found.push((await socket.until("event"))["data"]);
    socket.send({ op: "unsubscribe", ref: 2, channel });
    await socket.until("unsubscribed");
  } else {
    // Reads existing events only: a wait would take its whole time if there are none.
    const wait = by === "long poll" && count > 0 ? "30" : "0";
    const answer = await fetch(readUrl(url, [channel], { after: "earliest", wait }), { headers });
    const { events, upToDate } = await answer.json();
    assert.equal(upToDate, true);
    for (const { data } of events) found.push(data);
  }
  return found;
}

async function assertList(
  url: string,
  headers: Readonly<Record<string, string>>,
  model: Model,
  names: readonly ChannelName[],
): Promise<void> {
  const { json, status, text } = await call(url, "/v1/channels", { headers });
  assert.equal(status, 200, text);
  const listed = json.channels.map((
    { channel, events }: { channel: string; events: number },
  ) => [channel, events]);
  assert.deepEqual(listed, names.toSorted().map((name) => [name, model.data(name).length]));
  assert.equal(json.next, null);
}

/** Asserts that the other tenant's cursor behaves like one of a time that never was. */
async function assertCursorSaysNothing(
  url: string,
  own: Party,
  foreign: Party,
  channel: ChannelName,
): Promise<void> {
  const cursor = await cursorOf(url, foreign, channel, "latest");
  // A deleted channel reveals its next epoch only to other cursors: here one of 1970.
  const ownCursor = await cursorOf(url, own, channel, `000000001_${"0".repeat(16)}`);
  const [epoch, ownEpoch] = [cursor.slice(0, 9), ownCursor.slice(0, 9)];
  if (epoch === ownEpoch) return; // created in the same millisecond: it is an own cursor too
  const made = (parseInt(epoch, 36) + (epoch < ownEpoch ? -1 : 1)).toString(36).padStart(9, "0");
  if (!/^[0-9a-z]{9}$/.test(made)) return; // nothing comes before the first
  const [theirs, invented] = await Promise.all(
    [cursor, made + cursor.slice(9)].map(async (after) => {
      const path = readUrl("", [channel], { after });
      const { status, text } = await call(url, path, { headers: own.headers });
      return { status, text: text.replaceAll(after, "CURSOR") };
    }),
  );
  assert.deepEqual(theirs, invented);
}

/** Returns the cursor of a reader that has read everything after `after`. */
async function cursorOf(
  url: string,
  { headers }: Party,
  channel: ChannelName,
  after: string,
): Promise<string> {
  const answer = await call(url, readUrl("", [channel], { after }), { headers });
  return answer.json.cursor;
}

async function assertSeesOwn(url: string, own: Party): Promise<void> {
  for (const channel of CHANNELS) {
    await perform(url, own, own, { op: "read", by: "short poll", channel });
    await perform(url, own, own, { op: "get", channel });
  }
  await perform(url, own, own, { op: "list", channel: "a" });
}

Deno.test("live readers receive only events of their own tenant", async () => {
  await using weir = await guardedLocal();
  const [ann, bob] = await Promise.all(
    ["one", "two"].map((tenant) => weir.token({ tenant, ...ALL })),
  );
  assert.ok(ann !== undefined && bob !== undefined);
  const url = readUrl(weir.url, ["a", "b"], { envelope: "0" });
  await using stream = await SseClient.open(url, { ...bearer(bob) });
  await using socket = await SocketClient.open(weir.url, { token: bob });
  socket.send({ op: "subscribe", ref: 1, channel: "a" });
  await socket.until("subscribed");
  const poll = call(weir.url, readUrl("", ["a"], { wait: "60" }), { headers: bearer(bob) });
  const send = (token: string, data: string) =>
    call(weir.url, "/v1/channels/a/events", {
      method: "POST",
      headers: { ...bearer(token), ...JSON_BODY, "Idempotency-Key": data },
      body: JSON.stringify(data),
    });
  await send(ann, "ann's");
  const gone = await call(weir.url, "/v1/channels/a", { method: "DELETE", headers: bearer(ann) });
  assert.equal(gone.status, 204);
  await send(ann, "ann's second");
  await send(bob, "bob's");
  // Events of ann would have arrived first.
  assert.equal(JSON.parse((await stream.next()).data), "bob's");
  assert.equal((await socket.next())["data"], "bob's");
  assert.deepEqual((await poll).json.events.map(({ data }: { data: string }) => data), ["bob's"]);
});

/** Every request that names a channel. */
const WAYS: Readonly<
  Record<string, (channel: string) => RequestInit & { readonly path: string }>
> = {
  "a short poll": (channel) => ({ path: readUrl("", [channel]) }),
  "a long poll": (channel) => ({ path: readUrl("", [channel], { wait: "60" }) }),
  "a stream": (channel) => ({
    path: readUrl("", [channel]),
    headers: { Accept: "text/event-stream" },
  }),
  "a read with a bad cursor": (channel) => ({ path: readUrl("", [channel], { after: "x" }) }),
  "a read of several": (channel) => ({ path: readUrl("", ["mine", channel]) }),
  "a HEAD": (channel) => ({ path: readUrl("", [channel]), method: "HEAD" }),
  "a look": (channel) => ({ path: `/v1/channels/${channel}` }),
  "settings": (channel) => ({ path: `/v1/channels/${channel}`, method: "PUT", body: "{}" }),
  "bad settings": (channel) => ({ path: `/v1/channels/${channel}`, method: "PUT", body: "{" }),
  "a deletion": (channel) => ({ path: `/v1/channels/${channel}`, method: "DELETE" }),
  "a publish": (channel) => ({
    path: `/v1/channels/${channel}/events`,
    method: "POST",
    body: "1",
    headers: JSON_BODY,
  }),
  "a publish under a used id": (channel) => ({
    path: `/v1/channels/${channel}/events`,
    method: "POST",
    body: "1",
    headers: { ...JSON_BODY, "Idempotency-Key": "used" },
  }),
  "a publish of one": (channel) => ({
    path: "/v1/events",
    method: "POST",
    body: JSON.stringify({ channel, data: 1 }),
  }),
  "a batch": (channel) => ({
    path: "/v1/events",
    method: "POST",
    body: JSON.stringify({ events: [{ channel: "mine", data: 1 }, { channel, data: 1 }] }),
  }),
};

/** Names of the same length, so that answers do not differ otherwise. */
const FORBIDDEN = { own: "hidden:own", none: "hidden:non", foreign: "hidden:for" } as const;

/** Makes a tenant with channels, one of which the visitor may not see, and a second tenant. */
async function withHidden(weir: Guarded<LocalServer>): Promise<string> {
  const make = async (tenant: string, names: readonly string[]) => {
    const headers = bearer(await weir.token({ tenant, ...ALL }));
    for (const name of names) {
      const answer = await call(weir.url, `/v1/channels/${name}/events`, {
        method: "POST",
        headers: { ...headers, ...JSON_BODY, "Idempotency-Key": "used" },
        body: "2",
      });
      assert.equal(answer.status, 201, answer.text);
    }
  };
  await make("one", ["mine", FORBIDDEN.own]);
  await make("two", [FORBIDDEN.foreign, "theirs"]);
  const mine = ["mine", "other", "theirs", "nobody"];
  return await weir.token({ tenant: "one", publish: mine, subscribe: mine, manage: mine });
}

Deno.test("a forbidden channel gets the same answer whether it exists, is another tenant's, or does not exist", async (t) => {
  await using weir = await guardedLocal();
  const token = await withHidden(weir);
  for (const [what, request] of Object.entries(WAYS)) {
    await t.step(what, async () => {
      const answers = await Promise.all(
        Object.values(FORBIDDEN).map(async (channel) => {
          const { path, headers, ...init } = request(channel);
          const answer = await call(weir.url, path, {
            ...init,
            headers: { ...Object.fromEntries(new Headers(headers)), ...bearer(token) },
          });
          assert.equal(answer.status, 403, answer.text);
          if (init.method !== "HEAD") assert.equal(answer.code, "forbidden", answer.text);
          return comparable(answer.headers, answer.text, channel);
        }),
      );
      for (const answer of answers) assert.deepEqual(answer, answers[0]);
    });
  }
});

Deno.test("a socket gets the same answer for a forbidden channel whether it exists or not", async () => {
  await using weir = await guardedLocal();
  await using socket = await SocketClient.open(weir.url, { token: await withHidden(weir) });
  const messages = (channel: string) => [
    { op: "subscribe", ref: 1, channel },
    { op: "subscribe", ref: 1, channel, after: "x" },
    { op: "subscribe", ref: 1, channels: ["mine", channel] },
    { op: "publish", ref: 1, channel, data: 1 },
    { op: "publish", ref: 1, channel, data: 1, id: "used" },
  ];
  const answers = [];
  for (const channel of Object.values(FORBIDDEN)) {
    const answered: string[] = [];
    for (const message of messages(channel)) {
      socket.send(message);
      const answer = await socket.next();
      assert.equal(answer["code"], "forbidden", JSON.stringify(answer));
      answered.push(JSON.stringify(answer).replaceAll(channel, "CHANNEL"));
    }
    answers.push(answered);
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
});

Deno.test("a channel of another tenant does not exist", async (t) => {
  await using weir = await guardedLocal();
  const token = await withHidden(weir);
  for (const [what, request] of Object.entries(WAYS)) {
    // Requests that create the channel or wait for it do not show whether it existed.
    // A cursor of several channels contains a hash of their names.
    if (/publish|batch|settings|stream|long poll|several/.test(what)) continue;
    await t.step(what, async () => {
      const answers = await Promise.all(["theirs", "nobody"].map(async (channel) => {
        const { path, ...init } = request(channel);
        const { headers, text, status } = await call(weir.url, path, {
          ...init,
          headers: bearer(token),
        });
        return { status, ...comparable(headers, text, channel) };
      }));
      assert.deepEqual(answers[0], answers[1]);
    });
  }
});

Deno.test("a forbidden request reads nothing of the channel from the store", async (t) => {
  await using weir = await guardedLocal();
  const token = await withHidden(weir);
  for (const [what, request] of Object.entries(WAYS)) {
    await t.step(what, async () => {
      const { path, headers, ...init } = request(FORBIDDEN.own);
      const keys = await recordKeys(async () => {
        const answer = await call(weir.url, path, {
          ...init,
          headers: { ...Object.fromEntries(new Headers(headers)), ...bearer(token) },
        });
        assert.equal(answer.status, 403);
      });
      // The refusal itself is written to the tenant's audit channel.
      const own = keys.filter((key) => key.includes("hidden") || key.includes("mine"));
      assert.deepEqual(own, []);
    });
  }
});

Deno.test("the test above would see the keys that an allowed request reads", async () => {
  await using weir = await guardedLocal();
  const token = await withHidden(weir);
  const keys = await recordKeys(async () => {
    await call(weir.url, "/v1/channels/mine", { headers: bearer(token) });
  });
  assert.ok(keys.some((key) => key.includes("mine")), keys.join());
});

/** Removes what differs between any two answers. */
function comparable(headers: Headers, text: string, channel: string) {
  const rest = [...headers].filter(([name]) => name !== "date")
    .map(([name, value]) => [name, value.replaceAll(channel, "CHANNEL")]);
  return { headers: rest, text: text.replaceAll(channel, "CHANNEL") };
}

/** Returns the keys, as text, that this process reads from the store during `work`. */
async function recordKeys(work: () => Promise<void>): Promise<readonly string[]> {
  const { get, getMany, list } = Deno.Kv.prototype;
  const keys: string[] = [];
  const note = (what: unknown) => void keys.push(JSON.stringify(what));
  // deno-lint-ignore no-explicit-any -- generic methods, handed through as they are
  const watch = (method: any) =>
    function (this: Deno.Kv, ...args: unknown[]) {
      note(args[0]);
      return method.apply(this, args);
    };
  Object.assign(Deno.Kv.prototype, {
    get: watch(get),
    getMany: watch(getMany),
    list: watch(list),
  });
  try {
    await work();
  } finally {
    Object.assign(Deno.Kv.prototype, { get, getMany, list });
  }
  return keys;
}

Deno.test("pages of a list have no trace of channels that the reader may not see", async () => {
  await using weir = await guardedLocal();
  const all = bearer(await weir.token({ tenant: "one", ...ALL }));
  const create = (name: string) =>
    call(weir.url, `/v1/channels/${encodeURIComponent(name)}`, {
      method: "PUT",
      headers: all,
      body: "{}",
    });
  await Promise.all(["see:1", "see:2", "see:3"].map(create));
  const reader = bearer(await weir.token({ tenant: "one", subscribe: ["see:*"] }));
  const pages = async () => {
    const found: unknown[] = [];
    for (let after = ""; after !== null;) {
      const query = new URLSearchParams({ after, limit: "2" });
      const { json } = await call(weir.url, `/v1/channels?${query}`, { headers: reader });
      found.push([json.channels.map(({ channel }: { channel: string }) => channel), json.next]);
      after = json.next;
    }
    return found;
  };
  const before = await pages();
  await Promise.all(["hidden:0", "see:", "see:1:x", "see:2:x", "see:2:y", "z"].map(create));
  assert.deepEqual(await pages(), [[["see:", "see:1"], "see:1"], [["see:2", "see:3"], null]]);
  assert.deepEqual(before, [[["see:1", "see:2"], "see:2"], [["see:3"], null]]);
});
