import assert from "node:assert/strict";
import type { Access } from "../../lib/auth/access.ts";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { newChannel, post } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient, type SocketMessage } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const ALL = { publish: ["**"], subscribe: ["**"], manage: ["**"] };
const FEW = "credential.publishes=5 credential.subscribes=5 credential.connections=2";

Deno.test("a publish answers with the remaining limit once half is used, and with Retry-After past it", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: FEW });
  const headers = { ...bearer(await weir.token(ALL)), "Content-Type": "application/json" };
  const channel = newChannel();
  const first = await post(weir.url, channel, "1", headers);
  assert.equal(first.status, 201, await first.text());
  assert.equal(first.headers.get("ratelimit"), null);
  const headed = await Promise.all([1, 2, 3].map(() => post(weir.url, channel, "1", headers)));
  for (const answer of headed) await answer.body?.cancel();
  const last = headed.map((answer) => answer.headers.get("ratelimit") ?? "").sort();
  assert.match(last.at(-1) ?? "", /^"credential-publishes";r=[12];t=\d+$/);
  // The limit refills by 5 a second, and requests are faster than that.
  const refused = await untilLimited(() => post(weir.url, channel, "1", headers));
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(refused.headers.get("ratelimit-policy"), `"credential-publishes";q=5;w=1`);
  assert.match(refused.headers.get("ratelimit") ?? "", /^"credential-publishes";r=0;t=1$/);
  assert.equal(refused.code, "rate_limited");
  const other = { ...headers, ...bearer(await weir.token(ALL, { sub: "bob" })) };
  const answer = await post(weir.url, channel, "1", other);
  assert.equal(answer.status, 201, await answer.text());
});

Deno.test("errors over the socket say after how many ms a retry may succeed, if it may", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: FEW });
  const token = await weir.token({ publish: ["a"] });
  await using client = await SocketClient.open(weir.url, { token });
  client.send({ op: "publish", ref: "no", channel: "b", data: 1 });
  const forbidden = await client.next();
  assert.deepEqual(Object.keys(forbidden), ["op", "ref", "code", "detail"]);
  const errors: SocketMessage[] = [];
  client.send(
    ...Array.from({ length: 50 }, () => ({ op: "publish", ref: 1, channel: "a", data: 1 })),
  );
  for (let i = 0; i < 50; i++) {
    const answer = await client.next();
    if (answer.op === "error") errors.push(answer);
  }
  assert.ok(errors.length > 0);
  for (const { code, retryAfter } of errors) {
    assert.equal(code, "rate_limited");
    assert.ok(Number.isInteger(retryAfter) && Number(retryAfter) >= 1, `${retryAfter}`);
    assert.ok(Number(retryAfter) <= 1_000, `${retryAfter}`);
  }
});

Deno.test("an announced body that never arrives is not counted", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: weir.server.port });
  const head = [
    `POST /v1/channels/${newChannel()}/events HTTP/1.1`,
    `Host: 127.0.0.1:${weir.server.port}`,
    `Authorization: Bearer ${token}`,
    "Content-Length: 900000000000",
  ];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  const buffer = new Uint8Array(1_024);
  const length = await connection.read(buffer) ?? 0;
  assert.match(new TextDecoder().decode(buffer.subarray(0, length)), /^HTTP\/1\.1 413 /);
  connection.close();
  const answer = await post(weir.url, newChannel(), "1", bearer(token));
  assert.equal(answer.status, 201, await answer.text());
});

Deno.test("forbidden requests and channel lists count too", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: FEW });
  const nothing = bearer(await weir.token({}));
  await untilLimited(() => post(weir.url, "secret", "1", nothing), 403);
  const reader = bearer(await weir.token(ALL, { sub: "bob" }));
  const url = `${weir.url}/v1/channels/${newChannel()}`;
  await untilLimited(() => fetch(url, { headers: reader }), 404);
});

Deno.test("connections count only while they are open", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: FEW });
  const headers = bearer(await weir.token(ALL));
  const url = readUrl(weir.url, [newChannel()]);
  {
    await using _first = await SseClient.open(url, headers);
    await using _second = await SseClient.open(url, headers);
    const third = await fetch(url, { headers: { Accept: "text/event-stream", ...headers } });
    assert.equal(third.status, 429);
    assert.equal((await third.json()).code, "too_many_connections");
  }
  await until("the closed ones are no longer counted", async () => {
    const answer = await fetch(url, { headers: { Accept: "text/event-stream", ...headers } });
    await answer.body?.cancel();
    return answer.status === 200;
  });
});

Deno.test("a tenant is refused channels above its limit", async () => {
  await using weir = await guardedLocal({ WEIR_TENANT_CHANNELS: "2" });
  const headers = bearer(await weir.token({ ...ALL, tenant: "small" }));
  for (const name of ["a", "b"]) {
    const answer = await post(weir.url, name, "1", headers);
    assert.equal(answer.status, 201, await answer.text());
  }
  const refused = await post(weir.url, "c", "1", headers);
  assert.equal(refused.status, 403);
  assert.equal((await refused.json()).code, "tenant_limit");
  const again = await post(weir.url, "a", "2", headers);
  assert.equal(again.status, 201, await again.text());
});

Deno.test("a credential that is revoked while its body arrives has no effect", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL, { sub: "eve" });
  const channel = newChannel();
  const parts = new TransformStream<Uint8Array, Uint8Array>();
  const writer = parts.writable.getWriter();
  const { access } = weir.server.server;
  const asked = untilAsked(access);
  const publishing = fetch(`${weir.url}/v1/channels/${channel}/events`, {
    method: "POST",
    headers: bearer(token),
    body: parts.readable,
  });
  await writer.write(new TextEncoder().encode("half"));
  await asked;
  await access.credentials.verify(token);
  await access.revocations.revoke(DEFAULT_TENANT, "sub", "eve");
  await writer.close();
  const answer = await publishing;
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).code, "token_revoked");
});

/** Resolves once a credential is verified: its request has begun. */
function untilAsked(access: Access): Promise<void> {
  const verify = access.credentials.verify.bind(access.credentials);
  return new Promise((resolve) => {
    access.credentials.verify = (credential) => {
      access.credentials.verify = verify;
      resolve();
      return verify(credential);
    };
  });
}

/** Returns the first answer with 429. Those before it must have `status`. */
async function untilLimited(ask: () => Promise<Response>, status: number = 201) {
  for (let i = 0; i < 1_000; i++) {
    const answer = await ask();
    const text = await answer.text();
    if (answer.status === 429) return { headers: answer.headers, code: JSON.parse(text).code };
    assert.equal(answer.status, status, text);
  }
  throw new Error("there was no limit");
}

Deno.test("after too many refusals an IP's new credentials are refused, and verified ones still work", async () => {
  await using weir = await guardedLocal();
  const known = bearer(await weir.token(ALL));
  const channel = newChannel();
  const first = await post(weir.url, channel, "1", known);
  assert.equal(first.status, 201, await first.text());
  const forged = await weir.signer.sign({ weir: ALL }, { header: { kid: "other" } });
  const { access } = weir.server.server;
  let asked = 0;
  const find = access.apiKeys.find.bind(access.apiKeys);
  access.apiKeys.find = (text) => {
    asked++;
    return find(text);
  };
  const made = `weir_${"0".repeat(50)}`;
  for (let i = 0; i < 40; i++) {
    const answer = await post(weir.url, channel, "1", bearer(i % 2 === 0 ? made : forged));
    await answer.body?.cancel();
  }
  assert.ok(asked < 20, `${asked} keys were looked for`);
  const again = await post(weir.url, channel, "1", known);
  assert.equal(again.status, 201, await again.text());
});
