import assert from "node:assert/strict";
import { newChannel, post } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { SseClient, type SseEvent } from "../support/sse_client.ts";
import { jwksOf, makeSigner, type Signer } from "../support/tokens.ts";

/** A server that accepts tokens of one signing key. */
class Site implements AsyncDisposable {
  private constructor(readonly server: WeirServer, readonly signer: Signer) {}

  static async start(): Promise<Site> {
    const signer = await makeSigner("EdDSA");
    return new Site(await WeirServer.start({ env: { WEIR_JWKS: jwksOf(signer) } }), signer);
  }

  get url(): string {
    return this.server.url;
  }

  /** Signs a token of the tenant; by default an administrator's. */
  token(tenant: string, weir: object = { admin: true }, claims: object = {}): Promise<string> {
    return this.signer.sign({ sub: "ann", ...claims, weir: { tenant, ...weir } });
  }

  async ask(credential: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${credential}` },
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const { status, headers } = response;
    return { status, headers, text, body: text === "" ? undefined : JSON.parse(text) };
  }

  async create(credential: string, body: object): Promise<{ id: string; key: string }> {
    const answer = await this.ask(credential, "POST", "/v1/keys", body);
    assert.equal(answer.status, 201, answer.text);
    const { id, key } = answer.body ?? {};
    return { id: String(id), key: String(key) };
  }

  async publish(credential: string, channel: string): Promise<number> {
    const response = await post(this.url, channel, "1", {
      "Content-Type": "application/json",
      Authorization: `Bearer ${credential}`,
    });
    await response.body?.cancel();
    return response.status;
  }

  stream(credential: string, channel: string, after = "latest"): Promise<SseClient> {
    const path = `/v1/channels/${encodeURIComponent(channel)}/events?after=${after}`;
    return SseClient.open(`${this.url}${path}`, { Authorization: `Bearer ${credential}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** How long a goodbye may take before the test fails, in ms. */
const GOODBYE_LIMIT = 20_000;

/** Returns the stream's events up to its goodbye, included. */
async function untilGoodbye(stream: SseClient): Promise<readonly SseEvent[]> {
  const late = new Error("the stream did not end");
  const timer = setTimeout(() => stream.events.end(late), GOODBYE_LIMIT);
  const events: SseEvent[] = [];
  try {
    while (events.at(-1)?.event !== "weir.goodbye") events.push(await stream.next());
  } finally {
    clearTimeout(timer);
  }
  await stream.ended();
  return events;
}

function reasonOf(event: SseEvent | undefined): string {
  return JSON.parse(event?.data ?? "{}").reason;
}

Deno.test("a key works until it is rotated and its grace period is over", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const made = await site.ask(admin, "POST", "/v1/keys", {
    name: "orders service",
    expiresIn: 3_600,
    publish: ["orders/*"],
    subscribe: ["orders/**"],
    limits: { publishes: 50 },
  });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("cache-control"), "no-store");
  const { key, id, created, expires, ...rest } = made.body ?? {};
  assert.deepEqual(rest, {
    name: "orders service",
    replacedBy: null,
    publish: ["orders/*"],
    subscribe: ["orders/**"],
    presence: [],
    manage: [],
    admin: false,
    metrics: false,
    limits: { publishes: 50 },
  });
  const lifetime = Date.parse(String(expires)) - Date.parse(String(created));
  assert.ok(lifetime > 3_590_000 && lifetime <= 3_600_000, `it is good for ${lifetime} ms`);
  assert.equal(await site.publish(String(key), "orders/1"), 201);
  assert.equal(await site.publish(String(key), "others"), 403);

  await using stream = await site.stream(String(key), "orders/1");
  const rotated = await site.ask(admin, "POST", `/v1/keys/${id}/rotate`, { grace: 4 });
  assert.equal(rotated.status, 201);
  assert.equal(rotated.headers.get("cache-control"), "no-store");
  const { key: newKey, id: newId, created: _, ...newRest } = rotated.body ?? {};
  assert.deepEqual(newRest, { ...rest, expires });
  assert.notEqual(newKey, key);
  assert.equal(await site.publish(String(key), "orders/1"), 201);
  assert.equal(await site.publish(String(newKey), "orders/1"), 201);

  const said = await untilGoodbye(stream);
  assert.deepEqual(said.map(({ event = "message" }) => event), [
    "message",
    "message",
    "weir.token",
    "weir.goodbye",
  ]);
  assert.equal(reasonOf(said.at(-1)), "expired");
  assert.equal(await site.publish(String(key), "orders/1"), 401);
  assert.equal(await site.publish(String(newKey), "orders/1"), 201);
  const list = await site.ask(admin, "GET", "/v1/keys");
  assert.deepEqual(ids(list), [newId]);
});

Deno.test("a rotation without grace ends the key and its open streams immediately", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const { id, key } = await site.create(admin, { publish: ["**"], subscribe: ["**"] });
  await using stream = await site.stream(key, newChannel());
  const { status, body } = await site.ask(admin, "POST", `/v1/keys/${id}/rotate`, { grace: 0 });
  assert.equal(status, 201);
  assert.equal(await site.publish(key, newChannel()), 401);
  assert.equal(await site.publish(String(body?.["key"]), newChannel()), 201);
  assert.equal(reasonOf((await untilGoodbye(stream)).at(-1)), "expired");
});

Deno.test("a rotation names the replacement, once", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const { id } = await site.create(admin, {});
  const path = `/v1/keys/${id}/rotate`;
  const { body } = await site.ask(admin, "POST", path); // without a body: a day of grace
  const list = await site.ask(admin, "GET", "/v1/keys");
  const old = keysOf(list).find((key) => key["id"] === id);
  assert.equal(old?.["replacedBy"], body?.["id"]);
  const left = Date.parse(String(old?.["expires"])) - Date.now();
  assert.ok(left > 86_000_000 && left <= 86_400_000, `${left} ms are left`);
  assertProblem(await site.ask(admin, "POST", path), 404, "key_not_found");
});

Deno.test("a removed key ends everywhere, its streams within a second", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const { id, key } = await site.create(admin, { publish: ["**"], subscribe: ["**"] });
  await using stream = await site.stream(key, newChannel());
  const { status, text } = await site.ask(admin, "DELETE", `/v1/keys/${id}`);
  const start = performance.now();
  assert.deepEqual([status, text], [204, ""]);
  assert.equal(reasonOf((await untilGoodbye(stream)).at(-1)), "revoked");
  const took = performance.now() - start;
  assert.ok(took < 1_000, `the stream ended after ${took} ms`);
  assert.equal(await site.publish(key, newChannel()), 401);
  assertProblem(await site.ask(admin, "DELETE", `/v1/keys/${id}`), 404, "key_not_found");
  assertProblem(await site.ask(admin, "POST", `/v1/keys/${id}/rotate`), 404, "key_not_found");
  assert.deepEqual(ids(await site.ask(admin, "GET", "/v1/keys")), []);
});

Deno.test("an administrator of another tenant finds none of the keys", async () => {
  await using site = await Site.start();
  const [ann, bob] = [await site.token("acme"), await site.token("brick")];
  const { id, key } = await site.create(ann, { publish: ["**"] });
  assert.deepEqual((await site.ask(bob, "GET", "/v1/keys")).body, { keys: [], next: null });
  const theirs = await site.ask(bob, "DELETE", `/v1/keys/${id}`);
  assertProblem(theirs, 404, "key_not_found");
  const nobodys = await site.ask(bob, "DELETE", `/v1/keys/${"0".repeat(id.length)}`);
  assert.equal(theirs.text.replace(id, ""), nobodys.text.replace("0".repeat(id.length), ""));
  assertProblem(await site.ask(bob, "POST", `/v1/keys/${id}/rotate`), 404, "key_not_found");
  assert.equal((await site.ask(bob, "GET", "/v1/revocations")).body?.["total"], 0);
  // Dated by a clock ahead of ours, so that brick's earlier revocations don't match it.
  const iat = Math.floor(Date.now() / 1_000) + 20;
  const later = await site.token("brick", { admin: true }, { sub: "bob", iat, exp: iat + 60 });
  for (const body of [{ key: id }, { sub: "ann" }, { all: true }, { kid: site.signer.kid }]) {
    assert.equal((await site.ask(later, "POST", "/v1/revocations", body)).status, 201);
  }
  assertProblem(await site.ask(later, "GET", "/v1/keys"), 401, "token_revoked");
  assert.equal(await site.publish(key, newChannel()), 201);
  assert.deepEqual(ids(await site.ask(ann, "GET", "/v1/keys")), [id]);
  const { body } = await site.ask(ann, "GET", "/v1/revocations");
  assert.deepEqual(body, { revocations: [], total: 0 });
});

const REQUESTS = [
  ["GET", "/v1/keys"],
  ["POST", "/v1/keys"],
  ["POST", "/v1/keys/000000000000/rotate"],
  ["DELETE", "/v1/keys/000000000000"],
  ["GET", "/v1/revocations"],
  ["POST", "/v1/revocations"],
] as const;

Deno.test("keys and revocations need the admin right, in a token or an API key", async () => {
  await using site = await Site.start();
  const all = { publish: ["**"], subscribe: ["**", "$**"], presence: ["**"], manage: ["**"] };
  const user = await site.token("acme", all);
  const { key: userKey } = await site.create(await site.token("acme"), all);
  for (const [method, path] of REQUESTS) {
    for (const credential of [user, userKey]) {
      assertProblem(await site.ask(credential, method, path), 403, "forbidden");
    }
    const response = await fetch(`${site.url}${path}`, { method });
    assert.equal(response.status, 401);
    await response.body?.cancel();
  }
  const { key } = await site.create(await site.token("acme"), { admin: true });
  await site.create(key, { name: "made by a key" });
});

Deno.test("requests about keys and revocations count against the caller's limits", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme", { admin: true, limits: { subscribes: 0 } });
  for (const [method, path] of REQUESTS) {
    assertProblem(await site.ask(admin, method, path), 429, "rate_limited");
  }
});

Deno.test("open mode refuses to manage keys", async () => {
  await using server = await WeirServer.start();
  for (const [method, path] of REQUESTS) {
    const response = await fetch(`${server.url}${path}`, { method });
    assert.equal(response.status, 403);
    assert.match(await response.text(), /deno task keys init/);
  }
});

Deno.test("lists keys in pages", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const made: string[] = [];
  for (let i = 0; i < 5; i++) made.push((await site.create(admin, {})).id);
  const found: string[] = [];
  for (let after = ""; after !== "null";) {
    const query = after === "" ? "" : `&after=${after}`;
    const page = await site.ask(admin, "GET", `/v1/keys?limit=2${query}`);
    found.push(...ids(page));
    after = String(page.body?.["next"]);
  }
  assert.deepEqual(found, made.sort());
});

Deno.test("the text of a key is only in the first answer and never in the log", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme", { admin: true, subscribe: ["$audit"] });
  const { id, key } = await site.create(admin, { name: "once", subscribe: ["**"] });
  const texts: string[] = [];
  const keep = async (answer: Promise<Answer>) => void texts.push((await answer).text);
  await keep(site.ask(admin, "GET", "/v1/keys"));
  await keep(site.ask(key, "GET", "/v1/keys"));
  await keep(site.ask(key, "GET", `/v1/channels/x/events?token=${key}`));
  await keep(site.ask(admin, "POST", `/v1/keys/${id}/rotate`));
  await keep(site.ask(admin, "POST", `/v1/keys/${id}/rotate`));
  await keep(site.ask(admin, "DELETE", `/v1/keys/${id}`));
  await keep(site.ask(key, "GET", "/v1/channels/x/events"));
  await keep(site.ask(admin, "GET", "/v1/revocations"));
  await keep(site.ask(admin, "GET", "/v1/channels/$audit/events"));
  texts.push(await site.server.stderr());
  const secret = key.slice("weir_".length + id.length, -6);
  assert.equal(secret.length, 32);
  for (const text of texts) assert.ok(!text.includes(secret), text);
  assert.ok(texts.some((text) => text.includes(id)));
});

Deno.test("changes of keys are in the tenant's audit channel", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme", { admin: true, subscribe: ["$audit"] }, { jti: "t1" });
  const { id } = await site.create(admin, {});
  const { body } = await site.ask(admin, "POST", `/v1/keys/${id}/rotate`, { grace: 60 });
  await site.ask(admin, "DELETE", `/v1/keys/${id}`);
  await site.ask(admin, "POST", "/v1/revocations", { key: body?.["id"] });
  await site.ask(admin, "POST", "/v1/revocations", { jti: "x" });
  const audit = await site.ask(admin, "GET", "/v1/channels/$audit/events");
  const events = audit.body?.["events"];
  assert.ok(Array.isArray(events));
  const by = { kind: "token", subject: "ann", tokenId: "t1", keyId: site.signer.kid };
  const about = events.map(({ type, data: { address, ...data } }) => {
    assert.equal(address, "127.0.0.1");
    return { type, ...data };
  });
  assert.deepEqual(about, [
    { type: "key.created", ...by, key: id },
    { type: "key.rotated", ...by, key: id, replacedBy: body?.["id"], grace: 60 },
    { type: "key.removed", ...by, key: id },
    { type: "key.removed", ...by, key: body?.["id"] },
    { type: "credential.revoked", ...by, revoked: "jti", value: "x" },
  ]);
  const other = await site.token("brick", { subscribe: ["$audit"] });
  const theirs = await site.ask(other, "GET", "/v1/channels/$audit/events");
  assert.ok(!theirs.text.includes(id));
});

Deno.test("the list marks keys that were revoked", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const { id } = await site.create(admin, {});
  const listed = keysOf(await site.ask(admin, "GET", "/v1/keys"));
  assert.deepEqual(listed.map(({ id, revoked }) => [id, revoked]), [[id, false]]);
  assert.equal((await site.ask(admin, "POST", "/v1/revocations", { all: true })).status, 201);
  // Dated by a clock ahead of ours: issued after the revocation.
  const iat = Math.floor(Date.now() / 1_000) + 20;
  const later = await site.token("acme", { admin: true }, { iat, exp: iat + 60 });
  const { id: next } = await site.create(later, {});
  const all = keysOf(await site.ask(later, "GET", "/v1/keys"));
  assert.deepEqual(
    new Map(all.map(({ id, revoked }) => [id, revoked])),
    new Map([[id, true], [next, false]]),
  );
});

const BAD_KEYS: readonly (readonly [name: string, body: unknown, code: string])[] = [
  ["no JSON", "{", "bad_json"],
  ["no object", [], "bad_body"],
  ["an unknown member", { rights: [] }, "bad_body"],
  ["a tenant", { tenant: "brick" }, "bad_body"],
  ["a pattern that is none", { publish: ["a***"] }, "bad_body"],
  ["101 patterns", { publish: Array(101).fill("a") }, "bad_body"],
  ["a name with a line break", { name: "a\nb" }, "bad_body"],
  ["an empty name", { name: "" }, "bad_body"],
  ["a long name", { name: "a".repeat(101) }, "bad_body"],
  ["a time that is over", { expiresIn: 0 }, "bad_body"],
  ["a fraction of a second", { expiresIn: 1.5 }, "bad_body"],
  ["a time as text", { expiresIn: "90d" }, "bad_body"],
  ["a time past all counting", `{"expiresIn":1e300}`, "bad_body"],
  ["an unknown limit", { limits: { events: 1 } }, "bad_body"],
  ["a right as text", { admin: "yes" }, "bad_body"],
  ["more than a store's value holds", { publish: longPatterns() }, "bad_body"],
  ["more than is read", { name: "a".repeat(40_000) }, "event_too_large"],
];

function longPatterns(): readonly string[] {
  return Array.from({ length: 80 }, (_, i) => `${i}`.padEnd(250, "x"));
}

Deno.test("an invalid request for a key is refused with the reason", async (t) => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  for (const [name, body, code] of BAD_KEYS) {
    await t.step(name, async () => {
      const answer = await site.ask(admin, "POST", "/v1/keys", body);
      assertProblem(answer, code === "event_too_large" ? 413 : 400, code);
    });
  }
  const { id } = await site.create(admin, {});
  for (const body of [{ grace: -1 }, { grace: "1d" }, { grace: 0.5 }, { id }, []]) {
    const answer = await site.ask(admin, "POST", `/v1/keys/${id}/rotate`, body);
    assertProblem(answer, 400, "bad_body");
  }
  for (const query of ["limit=0", "limit=1001", "after=x", "after=weir_0"]) {
    assertProblem(await site.ask(admin, "GET", `/v1/keys?${query}`), 400, "bad_parameter");
  }
  for (const [method, path] of REQUESTS) {
    assertProblem(await site.ask(admin, method, `${path}?all=1`), 400, "unknown_parameter");
  }
  assert.deepEqual(ids(await site.ask(admin, "GET", "/v1/keys")), [id]);
});

Deno.test("revocations by jti, sub, kid and key take effect and are listed", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const { id, key } = await site.create(admin, { subscribe: ["**"] });
  const reader = { subscribe: ["**"] };
  const cases = [
    [{ jti: "j1" }, await site.token("acme", reader, { jti: "j1" })],
    [{ sub: "eve" }, await site.token("acme", reader, { sub: "eve" })],
    [{ key: id }, key],
  ] as const;
  const other = await site.token("acme", reader, { jti: "j2" });
  await using others = await site.stream(other, newChannel());
  for (const [what, credential] of cases) {
    await using stream = await site.stream(credential, newChannel());
    const answer = await site.ask(admin, "POST", "/v1/revocations", what);
    assert.deepEqual([answer.status, answer.body], [201, what]);
    assert.equal(reasonOf((await untilGoodbye(stream)).at(-1)), "revoked");
    await assert.rejects(
      site.stream(credential, newChannel()),
      /401 .*(?:token_revoked|key_invalid)/,
    );
  }
  const list = await site.ask(admin, "GET", "/v1/revocations");
  assert.equal(list.body?.["total"], 3);
  const listed = new Set(cases.map(([what]) => JSON.stringify(what)));
  for (const { at, ...what } of revocationsOf(list)) {
    assert.ok(Date.parse(String(at)) <= Date.now());
    assert.ok(listed.delete(JSON.stringify(what)), JSON.stringify(what));
  }
  const latest = await site.ask(admin, "GET", "/v1/revocations?limit=1");
  assert.deepEqual([revocationsOf(latest).length, latest.body?.["total"]], [1, 3]);

  const end = await site.ask(admin, "POST", "/v1/revocations", { kid: site.signer.kid });
  assert.equal(end.status, 201);
  assert.equal(reasonOf((await untilGoodbye(others)).at(-1)), "revoked");
  assertProblem(await site.ask(admin, "GET", "/v1/revocations"), 401, "token_revoked");
});

Deno.test("revokes a whole tenant and no other", async () => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const reader = { subscribe: ["**"] };
  const { key } = await site.create(admin, { publish: ["**"] });
  await using own = await site.stream(await site.token("acme", reader), newChannel());
  const channel = newChannel();
  await using theirs = await site.stream(await site.token("brick", reader), channel);
  const answer = await site.ask(admin, "POST", "/v1/revocations", { all: true });
  assert.deepEqual([answer.status, answer.body], [201, { all: true }]);
  assert.equal(reasonOf((await untilGoodbye(own)).at(-1)), "revoked");
  assert.equal(await site.publish(key, newChannel()), 401);
  assert.equal(await site.publish(await site.token("brick", { publish: ["**"] }), channel), 201);
  assert.equal((await theirs.next()).event, undefined);
});

Deno.test("an invalid revocation is refused", async (t) => {
  await using site = await Site.start();
  const admin = await site.token("acme");
  const bad: readonly (readonly [name: string, body: unknown])[] = [
    ["nothing", undefined],
    ["nothing in it", {}],
    ["two at once", { jti: "a", sub: "b" }],
    ["all and one", { all: true, sub: "b" }],
    ["not all", { all: false }],
    ["an empty value", { jti: "" }],
    ["a long value", { sub: "a".repeat(1_025) }],
    ["a number", { jti: 1 }],
    ["an unknown kind", { tenant: "brick" }],
  ];
  for (const [name, body] of bad) {
    await t.step(name, async () => {
      assertProblem(await site.ask(admin, "POST", "/v1/revocations", body), 400, "bad_body");
    });
  }
  const { body } = await site.ask(admin, "GET", "/v1/revocations");
  assert.deepEqual(body, { revocations: [], total: 0 });
});

function assertProblem({ status, body, text }: Answer, expected: number, code: string): void {
  assert.deepEqual([status, body?.["code"]], [expected, code], text);
}

function keysOf({ body }: Answer): readonly Readonly<Record<string, unknown>>[] {
  const keys = body?.["keys"];
  assert.ok(Array.isArray(keys));
  return keys;
}

function ids(answer: Answer): readonly string[] {
  return keysOf(answer).map(({ id }) => String(id));
}

function revocationsOf({ body }: Answer): readonly Readonly<Record<string, unknown>>[] {
  const revocations = body?.["revocations"];
  assert.ok(Array.isArray(revocations));
  return revocations;
}
