// `deno run -A tests/compatibility/make_fixture.ts COMMIT`: makes the fixture of a released version.
// It checks the commit out, runs it, publishes events of all kinds, and stores in the folder COMMIT
// what the server answered, its store, and the modules of its client. Needs denokv. The tests read
// the fixture for years, so it has nothing that expires.
import { DatabaseSync } from "node:sqlite";
import { serialize } from "node:v8";
import { mintToken, type TokenRights } from "../../lib/client/server/server.ts";
import { keys } from "../../lib/kv/keys.ts";
import { shardOf } from "../../lib/kv/journal_row.ts";
import type { WireEvent } from "../../lib/shared/event.ts";
import { Denokv } from "../support/denokv.ts";
import { testChannelKey } from "../support/drafts.ts";
import { bearer } from "../support/tokens.ts";
import { callMember, membersPath } from "../support/members.ts";
import { type Ack, post, publish } from "../support/publishing.ts";
import { type Item, READERS, readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";
import type {
  RecordedAnswer,
  RecordedPoll,
  RecordedPublish,
  RecordedRead,
  RecordedWire,
  Recording,
} from "./fixture.ts";

const CLIENT_MODULES = /^(?:weir|lazy_chunk-[A-Z0-9]+|producer)\.js$/;
const RATES = ["credential", "address", "tenant"].flatMap((scope) =>
  ["publishes", "bytes", "subscribes"].map((name) => `${scope}.${name}=1000000000`)
).join(" ");
const ALL: TokenRights = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  presence: ["**"],
  manage: ["**"],
};

const [commit = ""] = Deno.args;
if (!/^[\da-f]{7,40}$/.test(commit)) throw new Error("usage: make_fixture.ts COMMIT");
const checkout = await Deno.makeTempDir({ prefix: "weir_release_" });
await run("git", ["worktree", "add", "--force", "--detach", checkout, commit], ".");
try {
  await run(Deno.execPath(), ["task", "build"], checkout);
  await run(Deno.execPath(), ["task", "package"], checkout);
  const folder = new URL(`${commit}/`, import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  const { recording, store } = await record();
  await Promise.all([
    writeGzip(new URL("client.json.gz", folder), JSON.stringify(await readClient())),
    writeGzip(new URL("recording.json.gz", folder), JSON.stringify(recording)),
    writeGzip(new URL("store.db.gz", folder), store),
  ]);
} finally {
  await run("git", ["worktree", "remove", "--force", checkout], ".");
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { success } = await new Deno.Command(command, { args: [...args], cwd }).spawn().status;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}

async function readClient(): Promise<Readonly<Record<string, string>>> {
  const modules: Record<string, string> = {};
  for await (const { name } of Deno.readDir(`${checkout}/dist/package`)) {
    if (!CLIENT_MODULES.test(name)) continue;
    modules[name] = await Deno.readTextFile(`${checkout}/dist/package/${name}`);
  }
  return modules;
}

async function writeGzip(file: URL, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
  const zipped = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(file, zipped);
}

/** Returns the revocations that never expire. */
function lasting({ revocations }: Readonly<Record<string, unknown>>) {
  const all = revocations as readonly Readonly<Record<string, unknown>>[];
  return { revocations: all.filter(({ kid }) => kid !== undefined) };
}

/** Runs the server on a new store, and returns what it answered and stored. */
async function record(): Promise<{ recording: Recording; store: Uint8Array<ArrayBuffer> }> {
  const [signingKey, revokedSigningKey] = [await makeKey("release"), await makeKey("revoked")];
  const env = {
    WEIR_JWKS: JSON.stringify({ keys: [signingKey, revokedSigningKey] }),
    WEIR_ANONYMOUS: "subscribe:** publish:** presence:**",
    WEIR_LIMITS: RATES,
    WEIR_RETENTION_AGE: "36500d",
    WEIR_QUIC: "off",
  };
  await using server = await WeirServer.start({ env, main: `${checkout}/main.ts` });
  const { url } = server;
  const token = await mintToken(signingKey, { sub: "ann", ...ALL });
  const admin = await mintToken(signingKey, { sub: "admin", admin: true });
  const acme = { tenant: "acme", sub: "zoe" };
  const acmeToken = await mintToken(signingKey, { ...acme, ...ALL });
  const acmeAdmin = await mintToken(signingKey, { ...acme, admin: true });

  const publishes = await publishOrders(url, token);
  await publishLarge(url);
  await publishLines(url, 200);
  await publishTo(url, "reborn", 3);
  const [lost] = await readItems(url, ["reborn"], 3);
  await remove(url, "reborn", token);
  await publishTo(url, "reborn", 2);
  await publishTo(url, "deleted", 2);
  const [deleted] = await readItems(url, ["deleted"], 1);
  await remove(url, "deleted", token);
  await publishTo(url, "expiring", 2);
  await publish(url, "expiring", "gone", { "Weir-TTL": "1" });
  await publishTo(url, "expiring", 2);
  await publishTo(url, "kept", 8);
  const [beforeRetention] = await readItems(url, ["kept"], 8);
  await configure(url, "kept", token, { events: 5 });
  await configure(url, "settings", token, { age: 3_000_000_000, bytes: 1_000_000 });
  for (let i = 0; i < 4; i++) await publish(url, "orders", i, bearer(acmeToken));

  const { apiKey, revokedApiKey } = await makeApiKeys(url, admin);
  const { key: tenantApiKey } = await postJson(url, "/v1/keys", acmeAdmin, {
    name: "acme",
    subscribe: ["**"],
  });
  await postJson(url, "/v1/revocations", admin, { kid: "revoked" });
  await postJson(url, "/v1/revocations", admin, { sub: "mallory" });

  const publishAnswers = await recordPublishAnswers(url);
  const wire = await recordWire(server, token);
  const socket = await SocketClient.open(server.url, { token });
  socket.send({ op: "enter", ref: 1, channel: "room", session: "tab1", data: { color: "red" } });
  await socket.until("entered");
  for (const data of [1, 2]) {
    await callMember(server.url, "PUT", { channel: "room", member: "bob", session: "s1", data });
  }
  await until("retention has deleted events", async () => {
    const { first } = await getJson(server.url, "/v1/channels/kept", token) as { first: string };
    return first.endsWith("4");
  }, 120_000);

  if (lost === undefined || deleted === undefined || beforeRetention === undefined) {
    throw new Error("there are cursors");
  }
  const ahead = (await readItems(server.url, ["kept"], 5, beforeRetention.cursor)).at(-1)?.cursor
    .replace(/\d{4}$/, "9999");
  const read = async (
    channels: readonly string[],
    count: number,
    cursor = "earliest",
  ): Promise<RecordedRead> => ({
    channels,
    cursor,
    items: await readItems(server.url, channels, count, cursor),
  });
  const reads = [
    await read(["orders"], 30),
    await read(["large"], 3),
    await read(["lines"], 200),
    await read(["reborn"], 2),
    await read(["reborn"], 3, lost.cursor),
    await read(["expiring"], 5),
    await read(["kept"], 5),
    await read(["kept"], 6, beforeRetention.cursor),
    await read(["kept"], 1, ahead),
    await read(["lines", "orders", "reborn"], 232),
  ];
  const tenantItems = await readPolled(server.url, "orders", acmeToken);
  const paths = [
    "/v1/channels",
    ...["kept", "large", "lines", "reborn", "settings"].map((channel) => `/v1/channels/${channel}`),
    membersPath("room"),
    "/v1/channels/$presence:room/events",
    "/v1/channels/$audit/events",
  ];
  const answers: Record<string, Readonly<Record<string, unknown>>> = {};
  for (const path of paths) answers[path] = await getJson(server.url, path, token);
  answers["/v1/keys"] = await getJson(server.url, "/v1/keys", admin);
  answers["/v1/revocations"] = lasting(await getJson(server.url, "/v1/revocations", admin));
  const doorbell = await recordDoorbell();
  await server.kill(); // members stay in the store
  await socket[Symbol.asyncDispose]();
  const recording: Recording = {
    commit,
    env,
    signingKey,
    revokedSigningKey,
    reads,
    tenantRead: { channels: ["orders"], cursor: "earliest", items: tenantItems },
    deleted: { channel: "deleted", cursor: deleted.cursor },
    publishes,
    answers,
    apiKey,
    revokedApiKey,
    tenantApiKey: String(tenantApiKey),
    wire,
    publishAnswers,
    doorbell,
  };
  return { recording, store: await copyStore(server.kv) };
}

async function makeKey(kid: string): Promise<JsonWebKey> {
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
  const { kty, k } = await crypto.subtle.exportKey("jwk", key);
  return { kty, k, alg: "HS256", kid } as JsonWebKey;
}

/** 30 events of all kinds, in commits of one and of several. */
async function publishOrders(url: string, token: string): Promise<readonly RecordedPublish[]> {
  const publishes: RecordedPublish[] = [];
  const channel = "orders";
  for (let i = 0; i < 10; i++) {
    const event = { channel, data: { order: i, note: "é\u2028\n" }, id: `id-${i}` };
    const [ack] = await postEvents(url, [event], token);
    if (ack !== undefined) publishes.push({ event, ack });
  }
  const text = { "Content-Type": "text/plain", "Weir-Type": "note" };
  for (let i = 0; i < 5; i++) await post(url, channel, `line ${i}\r\nnext`, text);
  const bytes = { "Content-Type": "application/octet-stream", "Weir-Key": "k" };
  for (let i = 0; i < 5; i++) await post(url, channel, new Uint8Array([i, 0, 255]), bytes);
  const batch = Array.from({ length: 10 }, (_, i) => ({
    channel,
    data: i,
    ...i % 2 === 0 && { id: `batch-${i}`, type: "even", key: `key-${i}` },
  }));
  const acks = await postEvents(url, batch, token);
  batch.forEach((event, i) => {
    const ack = acks[i];
    if ("id" in event && ack !== undefined) publishes.push({ event, ack });
  });
  return publishes;
}

async function publishLarge(url: string): Promise<void> {
  const words = Array.from({ length: 20_000 }, (_, i) => `wört ${i % 10}`);
  await publish(url, "large", words);
  const bytes = Uint8Array.from({ length: 150_000 }, (_, i) => i % 7);
  await post(url, "large", bytes, { "Content-Type": "application/octet-stream" });
  await post(url, "large", "ascii ".repeat(20_000), { "Content-Type": "text/plain" });
}

async function publishLines(url: string, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => `{"channel":"lines","data":${i}}\n`);
  const response = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson" },
    body: lines.join(""),
  });
  await response.text();
}

async function publishTo(url: string, channel: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await publish(url, channel, { n: i });
}

async function postEvents(
  url: string,
  events: readonly unknown[],
  token: string,
): Promise<readonly Ack[]> {
  const { events: acks } = await postJson(url, "/v1/events", token, { events });
  return acks as readonly Ack[];
}

async function makeApiKeys(
  url: string,
  admin: string,
): Promise<{ readonly apiKey: string; readonly revokedApiKey: string }> {
  const rights = { subscribe: ["orders"], publish: ["orders"] };
  const { key } = await postJson(url, "/v1/keys", admin, { name: "kept", ...rights });
  const revoked = await postJson(url, "/v1/keys", admin, { name: "revoked", ...rights });
  await fetch(`${url}/v1/keys/${revoked["id"]}`, { method: "DELETE", headers: bearer(admin) });
  return { apiKey: String(key), revokedApiKey: String(revoked["key"]) };
}

async function remove(url: string, channel: string, token: string): Promise<void> {
  await fetch(`${url}/v1/channels/${channel}`, { method: "DELETE", headers: bearer(token) });
}

async function configure(
  url: string,
  channel: string,
  token: string,
  retention: Readonly<Record<string, number>>,
): Promise<void> {
  const response = await fetch(`${url}/v1/channels/${channel}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json", ...bearer(token) },
    body: JSON.stringify({ retention }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.body?.cancel();
}

async function postJson(
  url: string,
  path: string,
  token: string | undefined,
  body: unknown,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...token !== undefined && bearer(token) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text);
}

async function getJson(
  url: string,
  path: string,
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${url}${path}`, { headers: bearer(token) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text);
}

async function readItems(
  url: string,
  channels: readonly string[],
  count: number,
  after = "earliest",
): Promise<readonly Item[]> {
  await using reader = await READERS["SSE"]?.(url, channels, after);
  const items: Item[] = [];
  while (reader !== undefined && items.length < count) items.push(await reader.next());
  return items;
}

async function readPolled(url: string, channel: string, token: string): Promise<readonly Item[]> {
  const query = { after: "earliest", limit: "1000" };
  const response = await fetch(readUrl(url, [channel], query), { headers: bearer(token) });
  const { events } = await response.json() as { readonly events: readonly WireEvent[] };
  return events.map((event) => ({ cursor: event.offset, event }));
}

/** Refusals and acknowledgements of `POST /v1/events`. */
async function recordPublishAnswers(url: string): Promise<Recording["publishAnswers"]> {
  const event = { channel: "answers", data: 1, id: "one" };
  const send = async (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    await answerOf(
      await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    );
  return {
    stored: await send(event),
    duplicate: await send(event),
    many: await send({ events: [{ channel: "answers", data: 2 }, event] }),
    ephemeral: await send({ channel: "answers", data: 3, ephemeral: true }),
    idempotency_conflict: await send({ ...event, data: 4 }),
    channel_reserved: await send({ channel: "$answers", data: 5 }),
    lines: await answerOf(
      await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: { "Content-Type": "application/x-ndjson" },
        body: '{"channel":"answers","data":6,"id":"six"}\n{"channel":"$answers","data":7}\n',
      }),
    ),
    token_invalid: await send(event, bearer("a.b.c")),
    key_invalid: await send(event, bearer("weir_unknown")),
    bad_event_ttl: await send({ ...event, ttl: 0 }),
  };
}

async function answerOf(response: Response): Promise<RecordedAnswer> {
  const { status, headers } = response;
  return { status, headers: Object.fromEntries(headers), body: await response.text() };
}

/** Records all transports, while the server stops and starts again. */
async function recordWire(server: WeirServer, token: string): Promise<RecordedWire> {
  const channel = "wire";
  await publish(server.url, channel, "lost");
  const [lost] = await readItems(server.url, [channel], 1);
  await remove(server.url, channel, token);
  for (let i = 0; i < 4; i++) await publish(server.url, channel, { n: i }, bearer(token));
  await post(server.url, channel, "a\nb", { "Content-Type": "text/plain", "Weir-Type": "note" });
  await post(server.url, channel, new Uint8Array([0, 255]), {
    "Content-Type": "application/octet-stream",
    "Weir-Key": "k",
    "Idempotency-Key": "bytes",
  });
  const after = lost?.cursor ?? "";
  const shortPoll: RecordedPoll[] = [];
  const longPoll: RecordedPoll[] = [];
  const poll = async (after: string, query = {}): Promise<RecordedPoll> => {
    const response = await fetch(pollUrl(server.url, channel, after, query));
    return { after, ...await answerOf(response) };
  };
  shortPoll.push(await poll(after));
  longPoll.push(await poll(after));
  const cursor = cursorOf(longPoll);

  const streams = [await openStream(server.url, channel, after)];
  const sockets = [await openSocket(server.url, channel, after)];
  await until("the stream has the events", () => streams[0]?.text().includes(cursor) ?? false);
  await until(
    "the socket has the events",
    () => sockets[0]?.frames.join().includes(cursor) ?? false,
  );
  const waiting = poll(cursor, { wait: "30" });
  const idle = await openStream(server.url, channel, after);
  await until("the others wait too", () => idle.text().includes(cursor));
  const ephemeral = { channel, data: { typing: true }, type: "typing", ephemeral: true };
  await postJson(server.url, "/v1/events", token, ephemeral);
  longPoll.push(await waiting);
  const stopped = poll(cursor, { wait: "30" });
  await until(
    "the ephemeral event has arrived",
    () => [streams[0]?.text(), sockets[0]?.frames.join()].every((text) => text?.includes("typing")),
  );
  await publish(server.url, channel, "live");
  longPoll.push(await stopped);
  shortPoll.push(await poll(cursor));
  const last = cursorOf(longPoll);
  const ending = poll(last, { wait: "30" });
  await until(
    "the event has arrived",
    () => [streams[0]?.text(), sockets[0]?.frames.join()].every((text) => text?.includes(last)),
  );
  await poll(last);
  await server.kill("SIGTERM");
  longPoll.push(await ending);
  await Promise.all([streams[0]?.ended, sockets[0]?.ended, idle.ended]);

  await server.start();
  for (let i = 4; i < 9; i++) await publish(server.url, channel, { n: i });
  const items = await readItems(server.url, [channel], 13, after);
  const end = items.at(-1)?.cursor ?? "";
  streams.push(await openStream(server.url, channel, last));
  sockets.push(await openSocket(server.url, channel, last));
  for (const answers of [shortPoll, longPoll]) answers.push(await poll(last), await poll(end));
  await until("the stream has all", () => streams[1]?.text().includes(end) ?? false);
  await until("the socket has all", () => sockets[1]?.frames.join().includes(end) ?? false);
  await Promise.all([streams[1]?.close(), sockets[1]?.close()]);
  const page = JSON.parse(longPoll[1]?.body ?? "");
  return {
    channel,
    after,
    items,
    ephemeral: page.ephemeral,
    sse: streams.map(({ headers, text }) => ({ headers, text: text() })),
    socket: sockets.map(({ frames }) => frames),
    longPoll,
    shortPoll,
  };
}

/** The requests of a client: several channels, although there is only one. */
function pollUrl(url: string, channel: string, after: string, query = {}): string {
  return `${url}/v1/events?${new URLSearchParams({ channel, after, ...query })}`;
}

function cursorOf(answers: readonly RecordedPoll[]): string {
  return answers.at(-1)?.headers["weir-cursor"] ?? "";
}

async function openStream(url: string, channel: string, after: string) {
  const response = await fetch(pollUrl(url, channel, after, { envelope: "1" }), {
    headers: { Accept: "text/event-stream" },
  });
  let text = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const reading = (async () => {
    for (let read; (read = await reader?.read()) && !read.done;) text += read.value;
  })();
  const ended = reading.catch(() => {}); // a stop breaks it off
  return {
    headers: Object.fromEntries(response.headers),
    text: () => text,
    ended,
    close: async () => await reader?.cancel(),
  };
}

async function openSocket(url: string, channel: string, after: string) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/socket`, "weir.v1");
  const frames: string[] = [];
  const opened = Promise.withResolvers<void>();
  const ended = new Promise<void>((resolve) => socket.onclose = () => resolve());
  socket.onmessage = ({ data }) => {
    frames.push(data);
    opened.resolve();
  };
  await opened.promise;
  socket.send(JSON.stringify({ op: "subscribe", ref: 1, channel, after }));
  const close = async () => {
    socket.close();
    await ended;
  };
  return { frames, ended, close };
}

/** Records what a process tells others over denokv. */
async function recordDoorbell(): Promise<Recording["doorbell"]> {
  await using denokv = await Denokv.start();
  await using server = await WeirServer.start({
    env: { WEIR_KV: denokv.url },
    main: `${checkout}/main.ts`,
  });
  const channel = "carried";
  const { url } = server;
  await post(url, channel, "small", { "Content-Type": "text/plain", "Weir-Type": "note" });
  const [item] = await readItems(url, [channel], 1);
  using kv = await denokv.openKv();
  const shard = shardOf(testChannelKey(channel));
  const wake = await kv.get(keys.wake(shard));
  await postJson(url, "/v1/events", undefined, { channel, data: "hi", ephemeral: true });
  const readJournal = () => Array.fromAsync(kv.list({ prefix: keys.changes(shard) }));
  await until("the ephemeral event is written", async () => (await readJournal()).length === 2);
  const journal = await readJournal();
  if (item?.event === undefined) throw new Error("there is an event");
  return {
    channel,
    event: item.event,
    ephemeral: { channel, data: "hi" },
    wake: toBase64(wake.value),
    journal: journal.map(({ value }) => toBase64(value)),
  };
}

function toBase64(value: unknown): string {
  return serialize(value).toString("base64");
}

/** Returns the store as one file, without rows that were deleted. */
async function copyStore(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const copy = `${path}.copy`;
  using database = new DatabaseSync(path);
  database.exec(`VACUUM INTO '${copy}'`);
  return await Deno.readFile(copy);
}
