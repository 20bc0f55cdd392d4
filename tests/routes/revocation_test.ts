import assert from "node:assert/strict";
import type { Caller } from "../../lib/auth/caller.ts";
import type { RevocationKind } from "../../lib/auth/revocations.ts";
import type { Tenant } from "../../lib/shared/channel.ts";
import { assertRefused, call } from "../support/calls.ts";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { authorityOf, grantOf } from "../support/grants.ts";
import {
  bearer,
  endingIn,
  type Guarded,
  guarded,
  guardedLocal,
  settings,
} from "../support/guarded.ts";
import { connectAll } from "../support/live.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { head, RawConnection } from "../support/raw_connection.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { jwksOf, makeSigner, type Signer } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const ALL = { publish: ["**"], subscribe: ["**"] };
/** How long connections may stay open after the revocation was answered, in ms. */
const HERE = 1_000;
const ELSEWHERE = 3_000;

const ADMIN: Caller = { authority: authorityOf({ admin: true }, { subject: "root" }), ip: "" };

/** The headers of a request with a session cookie from the server's own page. */
function cookie(url: string, token: string): Readonly<Record<string, string>> {
  return { Cookie: `weir=${token}`, Origin: new URL(url).origin };
}

/** Asserts that the credential is refused with its code, however it is sent. */
async function assertRevoked(url: string, token: string): Promise<void> {
  const code = token.startsWith("weir_") ? "key_invalid" : "token_revoked";
  const path = "/v1/channels/a/events";
  const answers = [
    await call(url, path, { headers: bearer(token) }),
    await call(url, path, { method: "POST", body: "1", headers: bearer(token) }),
    await call(url, path, { headers: cookie(url, token) }),
    await call(url, "/v1/tickets", { method: "POST", headers: bearer(token) }),
  ];
  for (const answer of answers) assertRefused(answer, 401, code);
  await using socket = await SocketClient.open(url);
  socket.send({ op: "auth", ref: 1, token });
  assert.equal((await socket.next())["code"], code);
  assert.equal((await socket.closed).code, 4401);
}

async function ticketOf(url: string, token: string): Promise<string> {
  const answer = await call(url, "/v1/tickets", { method: "POST", headers: bearer(token) });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.ticket;
}

/** One kind of revocation, a token that it matches, and tokens that it does not match. */
interface Case {
  readonly kind: RevocationKind;
  readonly value: (weir: Guarded<LocalServer>) => string;
  readonly hit: Readonly<Record<string, unknown>>;
  readonly spared: readonly {
    readonly weir?: Readonly<Record<string, unknown>>;
    readonly claims?: Readonly<Record<string, unknown>>;
  }[];
}

const CASES: readonly Case[] = [
  {
    kind: "jti",
    value: () => "t1",
    hit: { jti: "t1" },
    spared: [
      { claims: { jti: "t2" } },
      { claims: { sub: "t1" } },
      { weir: { ...ALL, tenant: "other" }, claims: { jti: "t1" } },
    ],
  },
  {
    kind: "sub",
    value: () => "ann",
    hit: { sub: "ann" },
    spared: [
      { claims: { sub: "bob" } },
      { claims: { sub: undefined, jti: "ann" } },
      { weir: { ...ALL, tenant: "other" }, claims: { sub: "ann" } },
    ],
  },
  {
    kind: "kid",
    value: ({ signer }) => signer.kid,
    hit: {},
    spared: [{ weir: { ...ALL, tenant: "other" } }],
  },
  {
    kind: "tenant",
    value: () => "",
    hit: {},
    spared: [{ weir: { ...ALL, tenant: "other" } }],
  },
];

for (const { kind, value, hit, spared } of CASES) {
  Deno.test(`revoking by ${kind} ends matching connections within 1 s and no others`, async () => {
    await using weir = await guardedLocal();
    const { url, server: { server: { access } } } = weir;
    const token = await weir.token(ALL, hit);
    const tokens = await Promise.all(
      spared.map(({ weir: rights = ALL, claims }) => weir.token(rights, claims)),
    );
    await using all = new AsyncDisposableStack();
    const open = async (token: string) => {
      const count = access.connections.size + 4;
      return all.use(await connectAll(url, token, () => access.connections.size === count));
    };
    const ended = await open(token);
    const others = [];
    for (const token of tokens) others.push({ token, connections: await open(token) });
    const ticket = await ticketOf(url, token);

    await access.administration.revoke(ADMIN, kind, value(weir));
    const revokedAt = performance.now();
    for (const at of await ended.revoked()) assert.ok(at - revokedAt < HERE);
    assertRefused(
      await call(url, `/v1/channels/a/events?ticket=${ticket}`),
      401,
      "token_revoked",
    );
    await assertRevoked(url, token);
    for (const { token, connections } of others) await connections.assertOpen(token);
  });
}

Deno.test("a revoked API key ends its connections and is refused", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access } } } = weir;
  const { scope } = grantOf(ALL);
  const { key, info } = await access.apiKeys.create("default" as Tenant, { scope });
  const { key: other } = await access.apiKeys.create("default" as Tenant, { scope });
  await using ended = await connectAll(url, key, () => access.connections.size === 4);
  await using kept = await connectAll(url, other, () => access.connections.size === 8);
  const ticket = await ticketOf(url, key);
  await access.administration.revoke(ADMIN, "key", info.id);
  const revokedAt = performance.now();
  for (const at of await ended.revoked()) assert.ok(at - revokedAt < HERE);
  await assertRevoked(url, key);
  assertRefused(await call(url, `/v1/channels/a/events?ticket=${ticket}`), 401, "token_revoked");
  await kept.assertOpen(other);
});

Deno.test("an administrator revokes over HTTP in its own tenant only", async () => {
  await using weir = await guardedLocal();
  const { url } = weir;
  const ann = await weir.token({ ...ALL, tenant: "one" }, { jti: "x" });
  const stranger = await weir.token({ ...ALL, tenant: "two" }, { jti: "x" });
  await using ended = await connectAll(url, ann);
  await using kept = await connectAll(url, stranger);
  const body = JSON.stringify({ jti: "x" });
  const revoke = (token: string) =>
    call(url, "/v1/revocations", { method: "POST", headers: bearer(token), body });
  assertRefused(await revoke(ann), 403, "forbidden");
  const claims = { sub: "root", jti: "admin" };
  assert.equal(
    (await revoke(await weir.token({ tenant: "three", admin: true }, claims))).status,
    201,
  );
  assert.equal(
    (await revoke(await weir.token({ tenant: "one", admin: true }, claims))).status,
    201,
  );
  await ended.revoked();
  await assertRevoked(url, ann);
  await kept.assertOpen(stranger);
});

Deno.test("a revoked credential cannot replace a stream's credential", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access } } } = weir;
  const revoked = await weir.token(ALL, { jti: "gone" });
  const token = await weir.token(ALL, { jti: "kept" });
  await access.administration.revoke(ADMIN, "jti", "gone");
  await using stream = await SseClient.open(readUrl(url, [newChannel()]), { ...bearer(token) });
  const id = stream.response.headers.get("weir-stream");
  assertRefused(
    await call(url, `/v1/streams/${id}/token`, { method: "POST", headers: bearer(revoked) }),
    401,
    "token_revoked",
  );
  await using socket = await SocketClient.open(url, { token });
  socket.send({ op: "auth", ref: 1, token: revoked });
  assert.equal((await socket.next())["code"], "token_revoked");
});

Deno.test("a stream depends on its last token: revoking the one before does not end it", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access } } } = weir;
  const [before, now] = [await weir.token(ALL, { jti: "1" }), await weir.token(ALL, { jti: "2" })];
  const channel = newChannel();
  await using stream = await SseClient.open(readUrl(url, [channel]), { ...bearer(before) });
  const id = stream.response.headers.get("weir-stream");
  const swapped = await call(url, `/v1/streams/${id}/token`, {
    method: "POST",
    headers: bearer(now),
  });
  assert.equal(swapped.status, 204);
  await access.administration.revoke(ADMIN, "jti", "1");
  await publish(url, channel, "still here", bearer(now));
  assert.equal((await stream.next()).data, `"still here"`);
  await access.administration.revoke(ADMIN, "jti", "2");
  assert.equal(JSON.parse((await stream.next()).data).reason, "revoked");
});

Deno.test("a long poll that is revoked while it reads the log does not start to wait", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access, hub } } } = weir;
  const token = await weir.token(ALL, { jti: "x" });
  const read = hub.read.bind(hub);
  hub.read = async (...args) => {
    await access.administration.revoke(ADMIN, "jti", "x");
    return await read(...args);
  };
  const path = readUrl("", [newChannel()], { after: "earliest", wait: "5" });
  assertRefused(await call(url, path, { headers: bearer(token) }), 401, "token_revoked");
});

Deno.test("messages queued behind an auth are not executed if the socket was revoked meanwhile", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access, hub, log } } } = weir;
  const token = await weir.token(ALL, { jti: "x" });
  const next = await weir.token(ALL, { jti: "y" });
  const channel = newChannel();
  await using socket = await SocketClient.open(url, { token });
  const verified = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const verify = access.credentials.verify.bind(access.credentials);
  access.credentials.verify = async (credential) => {
    asked.resolve();
    await verified.promise;
    return await verify(credential);
  };
  const appended: unknown[] = [];
  const append = log.append.bind(log);
  log.append = (drafts) => {
    appended.push(...drafts.map(({ channelKey }) => channelKey));
    return append(drafts);
  };
  socket.send(
    { op: "auth", token: next },
    { op: "publish", ref: 1, channel, data: 1 },
    { op: "subscribe", ref: 2, channel },
  );
  await asked.promise;
  await access.administration.revoke(ADMIN, "jti", "x");
  assert.equal((await socket.until("goodbye"))["reason"], "revoked");
  await socket.closed;
  const subscribed: unknown[] = [];
  const subscribe = hub.subscribe.bind(hub);
  hub.subscribe = (...args) => {
    subscribed.push(args[0]);
    return subscribe(...args);
  };
  verified.resolve();
  // After all work that this has unblocked.
  access.credentials.verify = verify;
  await call(url, readUrl("", [channel]), { headers: bearer(next) });
  assert.deepEqual(appended.filter((address) => address === `default/${channel}`), []);
  assert.deepEqual(subscribed, []);
});

Deno.test("a key that is rotated during its verification is not cached as it was", async () => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access } } } = weir;
  const tenant = "default" as Tenant;
  const { scope } = grantOf(ALL);
  const { key, info } = await access.apiKeys.create(tenant, { scope });
  const find = access.apiKeys.find.bind(access.apiKeys);
  access.apiKeys.find = async (text) => {
    access.apiKeys.find = find;
    const grant = await find(text);
    await access.apiKeys.rotate(tenant, info.id, { graceMs: 0 });
    await access.administration.keyChanged(tenant, info.id, Date.now());
    return grant;
  };
  for (let i = 0; i < 2; i++) {
    const answer = await call(url, "/v1/channels/a/events", { headers: bearer(key) });
    assertRefused(answer, 401, "key_invalid");
  }
});

/** A request that is half sent and already authenticated. */
async function beginRequest(
  { server }: Guarded<LocalServer>,
  path: string,
  credential: string,
  body: string,
) {
  const { server: { access } } = server;
  let isAsked = false;
  const count = access.limiter.subscribe.bind(access.limiter);
  access.limiter.subscribe = (...args) => {
    count(...args);
    isAsked = true;
  };
  const connection = await RawConnection.open(server.port);
  const headers = { ...bearer(credential), "Content-Length": String(body.length) };
  await connection.write(head("POST", path, headers) + body.slice(0, 1));
  await until("the request is authenticated", () => isAsked);
  access.limiter.subscribe = count;
  return {
    /** Sends the rest and returns the answer's status and code. */
    async finish(): Promise<readonly [number, string]> {
      await connection.write(body.slice(1));
      const answer = await connection.readUntil("\r\n\r\n");
      const length = Number(/^content-length: (\d+)/im.exec(answer)?.[1] ?? 0);
      const text = new TextDecoder().decode(await connection.readBytes(length));
      return [Number(answer.split(" ")[1]), JSON.parse(text).code];
    },
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

Deno.test("an administrator revoked during its request changes nothing", async () => {
  await using weir = await guardedLocal();
  const { server: { server: { access } } } = weir;
  const { info } = await access.apiKeys.create("default" as Tenant, { scope: grantOf().scope });
  const requests = [
    ["/v1/keys", `{"admin":true}`],
    [`/v1/keys/${info.id}/rotate`, `{"grace":0}`],
    ["/v1/revocations", `{"jti":"x"}`],
  ] as const;
  for (const [i, [path, body]] of requests.entries()) {
    const token = await weir.token({ admin: true }, { sub: `admin ${i}` });
    using request = await beginRequest(weir, path, token, body);
    await access.administration.revoke(ADMIN, "sub", `admin ${i}`);
    assert.deepEqual(await request.finish(), [401, "token_revoked"], path);
  }
  const { keys } = await access.apiKeys.list("default" as Tenant, undefined, 10);
  assert.deepEqual(keys, [info]);
  const kinds = access.revocations.list("default" as Tenant).map(({ kind }) => kind);
  assert.deepEqual(new Set(kinds), new Set(["sub"]));
});

Deno.test("an administrator whose credential expires during its request changes nothing", async () => {
  await using weir = await guardedLocal();
  const { server: { server: { access } } } = weir;
  const { scope } = grantOf({ admin: true });
  const { key, info } = await access.apiKeys.create("default" as Tenant, { scope });
  using byKey = await beginRequest(weir, "/v1/keys", key, `{"admin":true}`);
  const token = await weir.token({ admin: true }, endingIn(2));
  using byToken = await beginRequest(weir, "/v1/keys", token, `{"admin":true}`);
  const rotated = await call(weir.url, `/v1/keys/${info.id}/rotate`, {
    method: "POST",
    headers: bearer(await weir.token({ admin: true })),
    body: `{"grace":0}`,
  });
  assert.equal(rotated.status, 201, rotated.text);
  assert.deepEqual(await byKey.finish(), [401, "key_invalid"]);
  await until("the token has expired", () => Date.now() > endOf(token));
  assert.deepEqual(await byToken.finish(), [401, "token_expired"]);
  const { keys } = await access.apiKeys.list("default" as Tenant, undefined, 10);
  assert.deepEqual(keys.map(({ id }) => id), [rotated.json.id]);
});

/** Milliseconds since 1970. */
function endOf(token: string): number {
  return JSON.parse(atob(token.split(".")[1] ?? "")).exp * 1_000;
}

Deno.test("a ticket ends with the API key that it was issued for", async (t) => {
  await using weir = await guardedLocal();
  const { url, server: { server: { access } } } = weir;
  const tenant = "default" as Tenant;
  const headers = bearer(await weir.token({ admin: true }));
  const rotate = async (grace: number) => {
    const { key, info } = await access.apiKeys.create(tenant, { scope: grantOf(ALL).scope });
    const ticket = await ticketOf(url, key);
    const body = JSON.stringify({ grace });
    const answer = await call(url, `/v1/keys/${info.id}/rotate`, { method: "POST", headers, body });
    assert.equal(answer.status, 201, answer.text);
    return ticket;
  };
  await t.step("immediately", async () => {
    const answer = await call(url, `/v1/channels/a/events?ticket=${await rotate(0)}`);
    assertRefused(answer, 401, "ticket_invalid");
  });
  await t.step("after the grace period", async () => {
    const query = { ticket: await rotate(2) };
    await using stream = await SseClient.open(readUrl(url, [newChannel()], query));
    await until("the stream has ended", () => access.connections.size === 0);
    const said = [await stream.next(), await stream.next()];
    assert.deepEqual(said.map(({ event }) => event), ["weir.token", "weir.goodbye"]);
  });
});

Deno.test("revoking refuses a credential instead of its id", async () => {
  await using weir = await guardedLocal();
  const { server: { server: { access } } } = weir;
  const { key } = await access.apiKeys.create("default" as Tenant, { scope: grantOf().scope });
  for (const value of [key, await weir.token()]) {
    await assert.rejects(access.administration.revoke(ADMIN, "jti", value), {
      code: "bad_parameter",
    });
  }
  assert.deepEqual(access.revocations.list("default" as Tenant), []);
});

/** Two processes on one store that trust the same signer. */
async function startTwo(signer: Signer, env: Readonly<Record<string, string>> = {}) {
  await using undo = new AsyncDisposableStack();
  const denokv = undo.use(await Denokv.start());
  const own = settings(signer, { WEIR_KV: denokv.url, ...env });
  const [here, there] = await Promise.all([
    WeirServer.start({ env: own }),
    WeirServer.start({ env: own }),
  ]);
  undo.use(here);
  undo.use(there);
  const resources = undo.move();
  return {
    here: guarded(here, signer),
    there,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

Deno.test(
  "a revocation reaches connections of another process within 3 s and survives both",
  {
    ignore: DENOKV_MISSING,
  },
  async () => {
    await using two = await startTwo(await makeSigner("EdDSA"));
    const { here, there } = two;
    const admin = bearer(await here.token({ admin: true }, { sub: "root" }));
    const tokens = {
      jti: await here.token(ALL, { sub: "a", jti: "x" }),
      sub: await here.token(ALL, { sub: "b" }),
    };
    const kept = await here.token(ALL, { sub: "c", jti: "y" });
    const created = await call(here.url, "/v1/keys", {
      method: "POST",
      headers: admin,
      body: JSON.stringify(ALL),
    });
    assert.equal(created.status, 201, created.text);
    const { key, id } = created.json;
    const revocations = [
      { token: tokens.jti, body: { jti: "x" } },
      { token: tokens.sub, body: { sub: "b" } },
      { token: key, body: { key: id } },
    ];
    await using others = await connectAll(there.url, kept);
    const tickets = [];
    for (const { token, body } of revocations) {
      await using ended = await connectAll(there.url, token);
      tickets.push(await ticketOf(there.url, token));
      const answer = await call(here.url, "/v1/revocations", {
        method: "POST",
        headers: admin,
        body: JSON.stringify(body),
      });
      assert.equal(answer.status, 201, answer.text);
      const revokedAt = performance.now();
      for (const at of await ended.revoked()) assert.ok(at - revokedAt < ELSEWHERE);
      await assertRevoked(there.url, token);
    }
    await others.assertOpen(kept);
    for (const server of [here.server, there]) {
      await server.kill();
      await server.start();
      for (const { token } of revocations) await assertRevoked(server.url, token);
      const answer = await call(server.url, "/v1/channels/a/events", { headers: bearer(kept) });
      assert.equal(answer.status, 200, answer.text);
    }
    for (const ticket of tickets) {
      const answer = await call(there.url, `/v1/channels/a/events?ticket=${ticket}`);
      assert.equal(answer.status, 401, answer.text);
    }
  },
);

Deno.test("a new token sent to one process takes effect on a stream of another", {
  ignore: DENOKV_MISSING,
}, async () => {
  await using two = await startTwo(await makeSigner("EdDSA"));
  const { here, there } = two;
  const [kept, lost] = [`kept:${crypto.randomUUID()}`, `lost:${crypto.randomUUID()}`];
  await using stream = await SseClient.open(readUrl(there.url, [kept, lost]), {
    ...bearer(await here.token(ALL)),
  });
  const id = stream.response.headers.get("weir-stream");
  const swap = (token: string) =>
    call(here.url, `/v1/streams/${id}/token`, { method: "POST", headers: bearer(token) });
  // Another subject's token is passed on too, but changes nothing.
  assert.equal((await swap(await here.token({}, { sub: "bob" }))).status, 202);
  assert.equal((await swap(await here.token({ subscribe: ["**"], tenant: "x" }))).status, 202);
  const answer = await swap(await here.token({ subscribe: ["kept:*"] }));
  assert.deepEqual([answer.status, answer.text], [202, ""]);
  const { event, data } = await stream.next();
  assert.equal(event, "weir.unsubscribed");
  assert.deepEqual(JSON.parse(data), { channel: lost, reason: "forbidden" });
});

Deno.test("rotates a signing key without downtime: both are valid, then only the new one", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_jwks_" });
  const path = `${directory}/jwks.json`;
  const [old, fresh] = await Promise.all([makeSigner("EdDSA"), makeSigner("ES256")]);
  await Deno.writeTextFile(path, jwksOf(old));
  try {
    await using server = await LocalServer.start({ WEIR_JWKS: path, WEIR_TOKEN_SKEW: "0s" });
    const { url, server: { access } } = server;
    const sign = (signer: Signer) => signer.sign({ sub: "ann", weir: ALL });
    const [oldToken, freshToken] = await Promise.all([sign(old), sign(fresh)]);
    const statusOf = async (token: string) =>
      (await call(url, "/v1/channels/a/events", { headers: bearer(token) })).status;
    assert.deepEqual([await statusOf(oldToken), await statusOf(freshToken)], [200, 401]);
    await using ended = await connectAll(url, oldToken, () => access.connections.size === 4);

    await Deno.writeTextFile(path, jwksOf(old, fresh));
    await until("the new key is loaded", async () => await statusOf(freshToken) === 200);
    assert.equal(await statusOf(oldToken), 200);
    await using kept = await connectAll(url, freshToken, () => access.connections.size === 8);

    const ticket = await ticketOf(url, oldToken);
    await Deno.writeTextFile(path, jwksOf(fresh));
    await ended.revoked();
    for (const headers of [bearer(oldToken), cookie(url, oldToken)]) {
      const answer = await call(url, "/v1/channels/a/events", { headers });
      assertRefused(answer, 401, "token_invalid");
    }
    const late = await call(url, `/v1/channels/a/events?ticket=${ticket}`);
    assertRefused(late, 401, "ticket_invalid");
    await kept.assertOpen(freshToken);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a ticket does not outlive its signing key, even if another key has the kid", async () => {
  const path = await Deno.makeTempFile({ prefix: "weir_jwks_" });
  const [old, fresh] = [await makeSigner("EdDSA", "k"), await makeSigner("EdDSA", "k")];
  await Deno.writeTextFile(path, jwksOf(old));
  try {
    await using server = await LocalServer.start({ WEIR_JWKS: path, WEIR_TOKEN_SKEW: "0s" });
    const { url } = server;
    const ticket = await ticketOf(url, await old.sign({ weir: ALL }));
    const kept = await fresh.sign({ weir: ALL });
    await Deno.writeTextFile(path, jwksOf(fresh));
    await until("the new key is loaded", async () => {
      return (await call(url, "/v1/channels/a/events", { headers: bearer(kept) })).status === 200;
    });
    const late = await call(url, `/v1/channels/a/events?ticket=${ticket}`);
    assertRefused(late, 401, "ticket_invalid");
    const good = await call(url, `/v1/channels/a/events?ticket=${await ticketOf(url, kept)}`);
    assert.equal(good.status, 200, good.text);
  } finally {
    await Deno.remove(path);
  }
});
