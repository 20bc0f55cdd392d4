import assert from "node:assert/strict";
import type { Algorithm } from "../../lib/auth/jwk_set.ts";
import { type Answer, call, rawCall, UPGRADE } from "../support/calls.ts";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { bearer, endingIn } from "../support/guarded.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { jwksOf, makeSigner, type Signer } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const READY = /^Weir listening on (http:\S+)\/$/m;
const ALL = { publish: ["**"], subscribe: ["**", "$**"], manage: ["**"], admin: true };

/** A server whose whole output is recorded. */
class LoudServer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #output = "";
  #url = "";

  private constructor(env: Readonly<Record<string, string>>) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "--listen"],
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", WEIR_PORT: "0", WEIR_DRAIN: "0s", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { stdout, stderr } = this.#process;
    this.#reading = Promise.all([stdout, stderr].map((stream) => this.#read(stream)));
  }

  static async start(env: Readonly<Record<string, string>>): Promise<LoudServer> {
    const server = new LoudServer(env);
    try {
      await until("the server listens", () => {
        server.#url = READY.exec(server.#output)?.[1] ?? "";
        return server.#url !== "";
      });
      return server;
    } catch (cause) {
      await server[Symbol.asyncDispose]();
      throw cause;
    }
  }

  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  /** Its whole output. */
  async stop(): Promise<string> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    await this.#reading;
    return this.#output;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#output += text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has exited by itself.
    }
    await this.#process.status;
    await this.#reading;
  }
}

/** Returns the part of a credential that must not appear: a token's signature, a key's secret. */
function kernelOf(secret: string): string {
  if (secret.startsWith("weir_")) return secret.slice("weir_".length + 12);
  return secret.split(".").at(-1) || secret;
}

/** Checks the whole output for secrets. */
class Witness {
  readonly said: string[] = [];
  readonly #secrets = new Set<string>();

  add(...secrets: readonly string[]): void {
    for (const secret of secrets) this.#secrets.add(kernelOf(secret));
  }

  hear(what: string, { status, headers, text }: Answer): void {
    this.said.push(`${what}: ${status} ${JSON.stringify([...headers])} ${text}`);
  }

  assertNothing(): void {
    const told = this.said.filter((said) =>
      [...this.#secrets].some((secret) => said.includes(secret))
    );
    assert.deepEqual(told, []);
  }
}

/** Encodes every character of `secret` like `%41`. */
function spelledOut(secret: string): string {
  return [...secret].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("");
}

Deno.test("no credential appears in any answer, log or audit event", async () => {
  const directory = await Deno.makeTempDir({ prefix: "weir_secrets_" });
  const [signer, shared] = await Promise.all([makeSigner("EdDSA"), makeSigner("HS256")]);
  await using server = await LoudServer.start({
    WEIR_KV: `${directory}/weir.db`,
    WEIR_JWKS: jwksOf(signer, shared),
    WEIR_TOKEN_SKEW: "0s",
    WEIR_TRUSTED_PROXIES: "127.0.0.1",
  });
  const witness = new Witness();
  witness.add(String(shared.jwk.k));
  try {
    const admin = await signer.sign({ sub: "root", weir: ALL });
    const secrets = await credentials(server, signer, shared, admin);
    witness.add(admin, ...Object.values(secrets));
    for (const [what, secret] of Object.entries(secrets)) {
      await present(server, witness, what, secret);
      await misplace(server, witness, what, secret, admin);
      await talk(server, witness, what, secret, admin);
    }
    const path = "/v1/channels/$audit/events?limit=1000";
    const audit = await call(server.url, path, { headers: bearer(admin) });
    assert.ok(audit.json.events.length > 5, audit.text);
    witness.hear("audit", audit);
    for (const path of ["/v1/channels", "/v1/keys", "/v1/revocations"]) {
      witness.hear(path, await call(server.url, path, { headers: bearer(admin) }));
    }
    const output = await server.stop();
    assert.match(output, /stopping/);
    witness.said.push(output);
    assert.ok(witness.said.length > 300, `${witness.said.length} things were said`);
    witness.assertNothing();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Credentials of every kind, valid and invalid. */
async function credentials(server: LoudServer, signer: Signer, shared: Signer, admin: string) {
  const weir = { publish: ["mine"], subscribe: ["mine"] };
  const post = async (path: string, token: string, body: string) => {
    const answer = await call(server.url, path, { method: "POST", headers: bearer(token), body });
    assert.ok(answer.status < 300, answer.text);
    return answer.json;
  };
  const good = await signer.sign({ sub: "ann", weir });
  const revoked = await signer.sign({ sub: "bob", jti: "gone", weir });
  await post("/v1/revocations", admin, `{"jti":"gone"}`);
  const key: string = (await post("/v1/keys", admin, JSON.stringify(weir))).key;
  const removed = await post("/v1/keys", admin, JSON.stringify(weir));
  await call(server.url, `/v1/keys/${removed.id}`, { method: "DELETE", headers: bearer(admin) });
  const stranger = await makeSigner("EdDSA", signer.kid);
  return {
    good,
    "good, of a shared secret": await shared.sign({ sub: "ann", weir }),
    revoked,
    expired: await signer.sign({ sub: "ann", weir, ...endingIn(-10) }),
    "another's": await stranger.sign({ sub: "ann", weir }),
    "without rights": await signer.sign({ sub: "ann" }),
    "with a wrong claim": await signer.sign({ sub: "ann", weir: { publish: 1 } }),
    key,
    "removed key": removed.key,
    "wrong key": key.slice(0, -8) + "AAAAAAAA",
    ticket: (await post("/v1/tickets", good, "")).ticket,
  };
}

/** Sends a credential where it belongs, to every route. */
async function present(server: LoudServer, witness: Witness, what: string, secret: string) {
  const requests: readonly (readonly [string, string, string])[] = [
    ["GET", "/v1/channels/mine/events", ""],
    ["GET", "/v1/channels/other/events", ""],
    ["POST", "/v1/channels/mine/events", "1"],
    ["POST", "/v1/events", `{"channel":"other","data":1}`],
    ["GET", "/v1/channels", ""],
    ["PUT", "/v1/channels/mine", "{}"],
    ["DELETE", "/v1/channels/mine", ""],
    ["GET", "/v1/keys", ""],
    ["POST", "/v1/revocations", `{"jti":"x"}`],
    ["POST", `/v1/streams/${crypto.randomUUID()}/token`, ""],
    ["GET", "/v1/nowhere", ""],
    ["GET", "/", ""],
    ["PATCH", "/v1/channels/mine", ""],
  ];
  const origin = new URL(server.url).origin;
  const ways: readonly Readonly<Record<string, string>>[] = [
    { Authorization: `Bearer ${secret}` },
    { Authorization: secret },
    { Authorization: `Basic ${secret}` },
    { Cookie: `weir=${secret}`, Origin: origin },
    { Cookie: `__Host-weir=${secret}; other=${secret}` },
  ];
  for (const [method, path, body] of requests) {
    for (const headers of ways) {
      const init = { method, headers: from(headers), ...body !== "" && { body } };
      witness.hear(`${what}, ${method} ${path}`, await call(server.url, path, init));
    }
  }
}

/** Sends it where it does not belong. */
async function misplace(
  server: LoudServer,
  witness: Witness,
  what: string,
  secret: string,
  admin: string,
) {
  const path = "/v1/channels/mine/events";
  const names = ["token", "ticket", "after", "channel", "limit", "wait", "envelope", secret];
  const urls = [
    ...names.flatMap((name) =>
      ["/v1/channels/mine/events", "/v1/events", "/v1/socket", "/v1/channels", "/", "/healthz"]
        .map((path) => `${path}?${encodeURIComponent(name)}=${secret}`)
    ),
    `${path}?token=${spelledOut(secret)}`,
    `/v1/channels/${secret}`,
    `/v1/channels/${secret}/events`,
    `/v1/channels/${spelledOut(secret)}/events`,
    `/v1/channels/${secret}%00/events`,
    `/v1/channels/${"x".repeat(70)}${secret}/events`,
    `/v1/streams/${secret}/token`,
    `/v1/keys/${secret}`,
    `/v1/keys/${secret}/rotate`,
    `/assets/${secret}`,
    `/${secret}`,
    `//${secret}@evil.com/`,
  ];
  for (const url of urls) {
    for (const method of ["GET", "POST", "DELETE"]) {
      for (const headers of [{}, bearer(admin)]) {
        // The admin may use any channel, so answers contain its name.
        const isAllowed = Object.keys(headers).length > 0 && /^\/v1\/channels\//.test(url);
        if (isAllowed) continue;
        const answer = await call(server.url, url, { method, headers: from(headers) });
        witness.hear(`${what}, ${method} of a URL`, answer);
      }
    }
  }
  const headers: readonly Readonly<Record<string, string>>[] = [
    { "Weir-TTL": secret },
    { "Weir-Type": `weir.${secret}` },
    { "Weir-Key": secret.repeat(20).slice(0, 2_000) },
    { "Idempotency-Key": secret.repeat(20).slice(0, 2_000) },
    { "Content-Type": secret },
    { "Content-Type": `text/plain; charset=${secret}` },
  ];
  for (const misplaced of headers) {
    const init = { method: "POST", body: "1", headers: from({ ...bearer(admin), ...misplaced }) };
    witness.hear(`${what}, in a header`, await call(server.url, path, init));
  }
  const reads: readonly Readonly<Record<string, string>>[] = [
    { Accept: secret },
    { Accept: "text/event-stream", "Last-Event-ID": secret },
    { Origin: `https://${secret}` },
    { Host: secret },
    { ...UPGRADE, "Sec-WebSocket-Protocol": secret },
    { "X-Forwarded-For": secret },
    { "If-None-Match": secret },
  ];
  for (const misplaced of reads) {
    for (const path of ["/v1/channels/mine/events", "/v1/socket"]) {
      const answer = await rawCall(server.port, path, {
        headers: { ...bearer(admin), ...misplaced },
      });
      witness.hear(`${what}, in a header of a read`, answer);
    }
  }
  const json = JSON.stringify(secret);
  const bodies: readonly (readonly [string, string, string])[] = [
    ["POST", "/v1/events", json],
    ["POST", "/v1/events", `{${json}:1}`],
    ["POST", "/v1/events", `{"channel":"mine","data":1,${json}:1}`],
    ["POST", "/v1/events", `{"channel":"mine","data":1,"ttl":${json}}`],
    ["POST", "/v1/events", `{"channel":"mine","data":1,"type":"weir.${secret}"}`],
    ["POST", "/v1/events", `{"events":[{"channel":"mine","data":1,${json}:1}]}`],
    ["POST", "/v1/events", secret],
    ["PUT", "/v1/channels/mine", `{"retention":{${json}:1}}`],
    ["PUT", "/v1/channels/mine", `{"retention":${json}}`],
    ["POST", "/v1/tickets", `{"as":${json}}`],
    ["POST", "/v1/tickets", `{${json}:1}`],
    ["POST", "/v1/keys", `{"publish":[${JSON.stringify(`${secret}***`)}]}`],
    ["POST", "/v1/keys", `{${json}:1}`],
    ["POST", "/v1/revocations", `{"jti":${json}}`],
    ["POST", "/v1/revocations", `{"key":${json}}`],
    ["POST", "/v1/revocations", `{${json}:1}`],
  ];
  for (const [method, path, body] of bodies) {
    const answer = await call(server.url, path, { method, body, headers: from(bearer(admin)) });
    assert.ok(answer.status >= 400, `${path} ${answer.text}`);
    witness.hear(`${what}, in a body`, answer);
  }
}

async function talk(
  server: LoudServer,
  witness: Witness,
  what: string,
  secret: string,
  admin: string,
) {
  const messages: readonly Readonly<Record<string, unknown>>[] = [
    { op: "subscribe", ref: 1, channel: secret },
    { op: "subscribe", ref: 1, channel: "mine", after: secret },
    { op: "subscribe", ref: 1, channels: ["mine", secret], after: secret },
    { op: "unsubscribe", ref: 1, channel: secret },
    { op: "publish", ref: 1, channel: `\n${secret}`, data: 1 },
    { op: "publish", ref: 1, channel: "mine", data: 1, type: `weir.${secret}` },
    { op: "publish", ref: 1, channel: "mine", data: 1, ttl: secret },
    { op: secret, ref: 1 },
    { op: "ping", ref: 1, [secret]: 1 },
    { op: "auth", ref: 1, token: [secret] },
    { op: "auth", ref: 1, token: `x${secret}` },
    { op: "auth", ref: 1, token: secret },
  ];
  const without = await call(server.url, "/v1/channels/mine/events", { headers: bearer(admin) });
  assert.equal(without.status, 200);
  for (const message of messages) {
    await using socket = await SocketClient.open(server.url);
    socket.sendText(JSON.stringify(message));
    witness.said.push(`${what}, ${message["op"]}: ${JSON.stringify(await socket.next())}`
      .replace(`, ${secret}: `, ", an op: "));
  }
  await using socket = await SocketClient.open(server.url);
  socket.sendText(secret);
  witness.said.push(`${what}, a frame: ${JSON.stringify(await socket.next())}`);
}

let ips = 0;

/** Uses a different IP for each request, so that no limit interferes. */
function from(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const number = ips++;
  return { "X-Forwarded-For": `10.0.${number >> 8 & 255}.${number & 255}`, ...headers };
}

Deno.test(
  "no credential appears while the store is unavailable",
  { ignore: DENOKV_MISSING },
  async () => {
    await using denokv = await Denokv.start();
    const signer = await makeSigner("EdDSA");
    await using server = await LoudServer.start({
      WEIR_KV: denokv.url,
      WEIR_JWKS: jwksOf(signer),
      WEIR_TOKEN_SKEW: "0s",
    });
    const witness = new Witness();
    const token = await signer.sign({ sub: "ann", weir: ALL });
    const init = { method: "POST", headers: bearer(token), body: JSON.stringify(ALL) };
    const { key } = (await call(server.url, "/v1/keys", init)).json;
    const { ticket } = (await call(server.url, "/v1/tickets", { ...init, body: "" })).json;
    witness.add(token, key, ticket, Deno.env.get("DENO_KV_ACCESS_TOKEN") ?? assert.fail());
    await denokv.kill();
    const path = "/v1/channels/a/events";
    const answers = await Promise.all([
      call(server.url, path, { headers: bearer(token) }),
      call(server.url, path, { ...init, body: "1" }),
      call(server.url, path, { headers: bearer(key) }),
      call(server.url, `${path}?ticket=${ticket}`),
      call(server.url, "/v1/tickets", { ...init, body: "" }),
      call(server.url, "/v1/keys", init),
      call(server.url, "/v1/revocations", { ...init, body: `{"jti":"x"}` }),
      call(server.url, "/v1/channels", { headers: bearer(token) }),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.text);
      witness.hear("away", answer);
    }
    const output = await server.stop();
    assert.match(output, /the store failed/);
    witness.said.push(output);
    witness.assertNothing();
  },
);

Deno.test("a server that cannot start does not print the invalid setting", async () => {
  const secret = "c2VjcmV0".repeat(4);
  const key = (members: Readonly<Record<string, unknown>>) =>
    JSON.stringify({ keys: [{ kty: "oct", kid: "k", k: secret, ...members }] });
  const settings: readonly Readonly<Record<string, string>>[] = [
    { WEIR_JWKS: `{"keys":[${secret}` },
    { WEIR_JWKS: key({ alg: "none" }) },
    { WEIR_JWKS: key({ alg: "RS256" satisfies Algorithm }) },
    { WEIR_JWKS: `[${secret}]` },
    { WEIR_JWKS: `https://user:${secret}@example.com/jwks` },
    { WEIR_JWKS: `${secret}` },
  ];
  await Promise.all(settings.map(async (env) => {
    const { code, stderr } = await WeirServer.refused({ env });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /WEIR_JWKS/);
    assert.ok(!stderr.includes(secret), stderr);
  }));
});
