import assert from "node:assert/strict";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";
import { Problem } from "../../lib/shared/problem.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const AUDIT = "$audit";
const AUDIT_PATH = `/v1/channels/${AUDIT}`;
const SYSTEM = { publish: ["$**", "**"], subscribe: ["$**", "**"], manage: ["$**", "**"] };

interface AuditEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

async function readAudit(
  weir: Guarded<LocalServer>,
  tenant: string,
): Promise<readonly AuditEvent[]> {
  const token = await weir.token({ tenant, subscribe: [AUDIT] }, { sub: "auditor" });
  const path = readUrl("", [AUDIT], { limit: "1000" });
  const { json, status, text } = await call(weir.url, path, { headers: bearer(token) });
  assert.equal(status, 200, text);
  return json.events;
}

/** Resolves when the tenant's audit channel has `count` events. */
async function audited(
  weir: Guarded<LocalServer>,
  tenant: string,
  count: number,
): Promise<readonly AuditEvent[]> {
  let events: readonly AuditEvent[] = [];
  await until(`${count} events are audited`, async () => {
    events = await readAudit(weir, tenant);
    return events.length >= count;
  });
  return events;
}

/** Sends a request that is denied. */
async function beDenied(weir: Guarded<LocalServer>, tenant: string, sub: string): Promise<void> {
  const token = await weir.token({ tenant, subscribe: [] }, { sub });
  const answer = await call(weir.url, readUrl("", ["a"]), { headers: bearer(token) });
  assertRefused(answer, 403, "forbidden");
}

Deno.test("the audit channel can be read over every transport with the right to it", async () => {
  await using weir = await guardedLocal();
  for (const pattern of ["$audit", "$*", "$**"]) {
    const token = await weir.token({ subscribe: [pattern] }, { sub: "auditor" });
    const headers = { ...bearer(token) };
    await using stream = await SseClient.open(readUrl(weir.url, [AUDIT]), headers);
    await using socket = await SocketClient.open(weir.url, { token });
    socket.send({ op: "subscribe", ref: 1, channel: AUDIT });
    await socket.until("subscribed");
    const poll = call(weir.url, readUrl("", [AUDIT], { wait: "60" }), { headers });
    await until("all connections are open", () => weir.server.server.access.connections.size === 3);
    await beDenied(weir, "default", "mallory");
    const { event, data } = await stream.next();
    assert.equal(event, "access.denied");
    assert.equal(JSON.parse(data).subject, "mallory");
    assert.equal((await socket.until("event"))["type"], "access.denied");
    assert.equal((await poll).json.events[0].type, "access.denied");
    const look = await call(weir.url, AUDIT_PATH, { headers });
    assert.equal(look.json.channel, AUDIT);
    const { json } = await call(weir.url, "/v1/channels", { headers });
    assert.deepEqual(json.channels.map(({ channel }: { channel: string }) => channel), [AUDIT]);
  }
});

Deno.test("patterns without a $ do not match the audit channel", async () => {
  await using weir = await guardedLocal();
  await beDenied(weir, "default", "mallory");
  await audited(weir, "default", 1);
  for (const pattern of ["**", "*", "*audit", "**audit", "audit", "?audit"]) {
    const rights = { subscribe: [pattern], manage: [pattern], publish: [pattern] };
    const token = await weir.token(rights);
    const headers = bearer(token);
    for (const path of [readUrl("", [AUDIT]), readUrl("", ["a", AUDIT]), AUDIT_PATH]) {
      assertRefused(await call(weir.url, path, { headers }), 403, "forbidden");
    }
    const { json } = await call(weir.url, "/v1/channels", { headers });
    assert.deepEqual(json.channels, []);
    await using socket = await SocketClient.open(weir.url, { token });
    socket.send({ op: "subscribe", ref: 1, channel: AUDIT });
    assert.equal((await socket.next())["code"], "forbidden");
  }
});

Deno.test("nobody can publish to the audit channel, change it or delete it", async () => {
  await using weir = await guardedLocal();
  await beDenied(weir, "default", "mallory");
  const before = await audited(weir, "default", 1);
  const token = await weir.token({ ...SYSTEM, admin: true });
  const headers = bearer(token);
  const event = { channel: AUDIT, data: 1 };
  const requests: readonly (RequestInit & { readonly path: string })[] = [
    { path: `${AUDIT_PATH}/events`, method: "POST", body: "1" },
    { path: "/v1/channels/%24audit/events", method: "POST", body: "1" },
    { path: "/v1/events", method: "POST", body: JSON.stringify(event) },
    {
      path: "/v1/events",
      method: "POST",
      body: JSON.stringify({ events: [{ channel: "a", data: 1 }, event] }),
    },
    { path: AUDIT_PATH, method: "PUT", body: `{"retention":{"events":1}}` },
    { path: AUDIT_PATH, method: "DELETE" },
  ];
  for (const { path, ...init } of requests) {
    assertRefused(await call(weir.url, path, { ...init, headers }), 400, "channel_reserved");
  }
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "publish", ref: 1, ...event });
  assert.equal((await socket.next())["code"], "channel_reserved");
  assert.deepEqual(await readAudit(weir, "default"), before);
});

Deno.test("no right allows reading other system channels", async () => {
  await using weir = await guardedLocal();
  const headers = bearer(await weir.token(SYSTEM));
  for (const channel of ["$ready", "$", "$Audit", "$audit ", "$control"]) {
    const answer = await call(weir.url, readUrl("", [channel]), { headers });
    assertRefused(answer, 400, "channel_reserved");
  }
});

Deno.test("audit events are in the tenant's own audit channel only", async () => {
  await using weir = await guardedLocal();
  const { url } = weir;
  await beDenied(weir, "one", "mallory");
  const admin = await weir.token({ tenant: "one", admin: true }, { sub: "root", jti: "t" });
  const post = (path: string, body: unknown) =>
    call(url, path, { method: "POST", headers: bearer(admin), body: JSON.stringify(body) });
  const { ticket } = (await call(url, "/v1/tickets", {
    method: "POST",
    headers: bearer(await weir.token({ tenant: "one", subscribe: ["a"] })),
  })).json;
  for (const status of [200, 401]) {
    const answer = await call(url, `/v1/channels/a/events?ticket=${ticket}`);
    assert.equal(answer.status, status);
  }
  const ann = await weir.token({ tenant: "one", subscribe: ["a"] }, { sub: "ann", jti: "x" });
  await using stream = await SseClient.open(readUrl(url, ["a"]), { ...bearer(ann) });
  assert.equal((await post("/v1/revocations", { jti: "x" })).status, 201);
  await stream.ended();
  const { id, key } = (await post("/v1/keys", { subscribe: ["a"] })).json;
  const events = await audited(weir, "one", 5);
  const summary = events.map(({ type, data: { kind, subject, revoked, value, reason, key } }) => ({
    type,
    ...{ kind, subject, revoked, value, reason, key },
  }));
  const plain = JSON.parse(JSON.stringify(summary)); // without undefined members
  plain.sort((a: AuditEvent, b: AuditEvent) => a.type < b.type ? -1 : 1);
  assert.deepEqual(plain, [
    { type: "access.denied", kind: "token", subject: "mallory" },
    { type: "credential.revoked", kind: "token", subject: "root", revoked: "jti", value: "x" },
    { type: "key.created", kind: "token", subject: "root", key: id },
    { type: "session.ended", kind: "token", subject: "ann", reason: "revoked" },
    { type: "ticket.reused" },
  ]);
  for (const secret of [key, ticket, ann]) assert.ok(!JSON.stringify(events).includes(secret));
  for (const tenant of ["default", "two"]) assert.deepEqual(await readAudit(weir, tenant), []);
});

Deno.test("a refusal is recorded with the client, its IP and the request", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ publish: ["b"] }, { sub: "ann", jti: "j1" });
  const headers = bearer(token);
  const requests = [
    { path: "/v1/channels/a/events", method: "POST", body: "1", word: "publish" },
    { path: "/v1/channels/a", method: "DELETE", word: "manage" },
    { path: "/v1/keys", method: "GET", word: "admin" },
  ];
  for (const { path, word, ...init } of requests) {
    assertRefused(await call(weir.url, path, { ...init, headers }), 403, "forbidden");
    const events = await audited(weir, "default", requests.findIndex((r) => r.path === path) + 1);
    const { type, data } = events.at(-1) ?? assert.fail();
    assert.equal(type, "access.denied");
    assert.equal(data["subject"], "ann");
    assert.equal(data["address"], "127.0.0.1");
    assert.match(String(data["detail"]), new RegExp(word));
  }
});

Deno.test("denials of a socket are in the audit channel too", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ tenant: "one", publish: ["b"] }, { sub: "ann" });
  await using socket = await SocketClient.open(weir.url, { token });
  const messages = [
    { op: "subscribe", ref: 1, channel: "a" },
    { op: "publish", ref: 2, channel: "a", data: 1 },
    { op: "auth", ref: 3, token: await weir.token({}, { sub: "bob" }) },
  ];
  for (const [i, message] of messages.entries()) {
    socket.send(message);
    assert.equal((await socket.next())["code"], "forbidden");
    const events = await audited(weir, "one", i + 1);
    assert.deepEqual([events[i]?.type, events[i]?.data["subject"]], ["access.denied", "ann"]);
  }
});

Deno.test("a flood of refusals does not hide an administrator's actions", async () => {
  await using weir = await guardedLocal();
  const admin = await weir.token({ tenant: "one", admin: true }, { sub: "root" });
  await Promise.all(Array.from({ length: 60 }, () => beDenied(weir, "one", "mallory")));
  const answer = await call(weir.url, "/v1/revocations", {
    method: "POST",
    headers: bearer(admin),
    body: `{"jti":"x"}`,
  });
  assert.equal(answer.status, 201, answer.text);
  const events = await readAudit(weir, "one");
  assert.ok(events.some(({ type }) => type === "credential.revoked"));
});

Deno.test("an administrator's action fails if it cannot be recorded, and can be repeated", async () => {
  await using weir = await guardedLocal();
  const { log, access } = weir.server.server;
  const headers = bearer(await weir.token({ admin: true }, { sub: "root" }));
  const ask = (method: string, path: string, body?: unknown) =>
    call(weir.url, path, {
      method,
      headers,
      ...body !== undefined && { body: JSON.stringify(body) },
    });
  const append = log.append.bind(log);
  const away = () => Promise.reject(new Problem("storage_unavailable", "The store is away."));
  /** Sends a request while nothing can be recorded, and again when it can. */
  const tryTwice = async (method: string, path: string, body?: unknown) => {
    log.append = away;
    assertRefused(await ask(method, path, body), 503, "storage_unavailable");
    log.append = append;
    return await ask(method, path, body);
  };
  const created = await tryTwice("POST", "/v1/keys", { name: "one" });
  assert.equal(created.status, 201);
  const { id } = created.json;
  const rotated = await tryTwice("POST", `/v1/keys/${id}/rotate`, { grace: 60 });
  assert.equal(rotated.status, 201, rotated.text);
  const { keys } = (await ask("GET", "/v1/keys")).json;
  assert.equal(keys.length, 2);
  assert.equal((await tryTwice("DELETE", `/v1/keys/${id}`)).status, 204);
  assert.equal((await tryTwice("POST", "/v1/revocations", { jti: "x" })).status, 201);
  // The revocation is in force although it could not be recorded.
  log.append = away;
  assertRefused(await ask("POST", "/v1/revocations", { sub: "eve" }), 503, "storage_unavailable");
  log.append = append;
  const listed = access.revocations.list(DEFAULT_TENANT).map(({ value }) => value);
  assert.ok(listed.includes("eve"));
  const events = await readAudit(weir, "default");
  assert.deepEqual(events.map(({ type }) => type), [
    "key.created",
    "key.rotated",
    "key.removed",
    "credential.revoked",
  ]);
});

Deno.test("requests to the admin API without the right count too", async () => {
  await using weir = await guardedLocal();
  const headers = bearer(await weir.token({ limits: { subscribes: 1 } }));
  assertRefused(await call(weir.url, "/v1/keys", { headers }), 403, "forbidden");
  assertRefused(await call(weir.url, "/v1/keys", { headers }), 429, "rate_limited");
});
