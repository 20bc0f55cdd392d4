import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, endingIn, guardedLocal } from "../support/guarded.ts";
import { publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { makeSigner } from "../support/tokens.ts";

const ENV = { WEIR_ANONYMOUS: "subscribe:public/**" };
const PUBLIC = "public/news";
const PRIVATE = "private/news";
const ALL = { publish: ["**"], subscribe: ["**"] };
const pathOf = (channel: string) => `/v1/channels/${encodeURIComponent(channel)}`;

Deno.test("anonymous clients read what the policy allows, over every transport", async () => {
  await using weir = await guardedLocal(ENV);
  const publisher = bearer(await weir.token(ALL));
  await using stream = await SseClient.open(readUrl(weir.url, [PUBLIC]));
  await using socket = await SocketClient.open(weir.url);
  socket.send({ op: "subscribe", ref: 1, channel: PUBLIC });
  await socket.until("subscribed");
  await publish(weir.url, PUBLIC, "hello", publisher);
  assert.equal((await stream.next()).data, `"hello"`);
  assert.equal((await socket.until("event"))["data"], "hello");
  for (const wait of ["0", "60"]) {
    const answer = await call(weir.url, readUrl("", [PUBLIC], { after: "earliest", wait }));
    assert.equal(answer.json.events[0].data, "hello");
  }
  assert.equal((await call(weir.url, pathOf(PUBLIC))).json.events, 1);
});

Deno.test("anonymous clients can do nothing else", async (t) => {
  await using weir = await guardedLocal(ENV);
  const publisher = bearer(await weir.token(ALL));
  await publish(weir.url, PUBLIC, 1, publisher);
  await publish(weir.url, PRIVATE, 1, publisher);
  await publish(weir.url, PUBLIC, 1, bearer(await weir.token({ ...ALL, tenant: "other" })));
  const requests: readonly (RequestInit & { readonly path: string })[] = [
    { path: readUrl("", [PRIVATE]) },
    { path: readUrl("", ["public"]) },
    { path: readUrl("", ["PUBLIC/news"]) },
    { path: readUrl("", [PUBLIC, PRIVATE]) },
    { path: readUrl("", ["$audit"]) },
    { path: pathOf(PRIVATE) },
    { path: pathOf(PUBLIC), method: "PUT", body: "{}" },
    { path: pathOf(PUBLIC), method: "DELETE" },
    { path: `${pathOf(PUBLIC)}/events`, method: "POST", body: "1" },
    { path: "/v1/events", method: "POST", body: JSON.stringify({ channel: PUBLIC, data: 1 }) },
    { path: "/v1/keys" },
    { path: "/v1/keys", method: "POST", body: "{}" },
    { path: "/v1/revocations" },
    { path: "/v1/revocations", method: "POST", body: `{"jti":"x"}` },
  ];
  for (const { path, ...init } of requests) {
    await t.step(`${init.method ?? "GET"} ${path}`, async () => {
      assertRefused(await call(weir.url, path, init), 403, "forbidden");
    });
  }
  await t.step("a ticket, a session cookie or another stream", async () => {
    const paths = ["/v1/tickets", `/v1/streams/${crypto.randomUUID()}/token`];
    for (const path of paths) {
      assertRefused(await call(weir.url, path, { method: "POST" }), 401, "unauthenticated");
    }
  });
  await t.step("lists only channels that the policy allows", async () => {
    const { json } = await call(weir.url, "/v1/channels");
    assert.deepEqual(json.channels.map(({ channel }: { channel: string }) => channel), [PUBLIC]);
  });
  await t.step("a socket", async () => {
    await using socket = await SocketClient.open(weir.url);
    const messages = [
      { op: "subscribe", ref: 1, channel: PRIVATE },
      { op: "subscribe", ref: 1, channel: "$audit" },
      { op: "subscribe", ref: 1, channels: [PUBLIC, PRIVATE] },
      { op: "publish", ref: 1, channel: PUBLIC, data: 1 },
    ];
    for (const message of messages) {
      socket.send(message);
      assert.equal((await socket.next())["code"], "forbidden");
    }
  });
  const { json } = await call(weir.url, readUrl("", [PUBLIC]), { headers: publisher });
  assert.equal(json.events.length, 1);
});

Deno.test("an anonymous socket may switch to any tenant before it subscribes", async () => {
  await using weir = await guardedLocal(ENV);
  const token = await weir.token({ ...ALL, tenant: "other" });
  await publish(weir.url, PUBLIC, "other's", bearer(token));
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "subscribe", ref: 1, channel: PUBLIC, after: "earliest" });
  await socket.until("subscribed");
  assert.equal((await socket.until("event"))["data"], "other's");
  // From now on it keeps its identity.
  socket.send({ op: "auth", ref: 2, token: await weir.token(ALL) });
  assert.equal((await socket.next())["code"], "forbidden");
});

Deno.test("an anonymous socket that has subscribed stays in its tenant", async () => {
  await using weir = await guardedLocal(ENV);
  await using socket = await SocketClient.open(weir.url);
  socket.send(
    { op: "subscribe", ref: 1, channel: PUBLIC },
    { op: "auth", ref: 2, token: await weir.token({ ...ALL, tenant: "other" }) },
    { op: "auth", ref: 3, token: await weir.token(ALL) },
    { op: "subscribe", ref: 4, channel: PRIVATE },
  );
  const answers = new Map<unknown, unknown>();
  while (answers.size < 4) {
    const { op, ref, code } = await socket.next();
    answers.set(ref, code ?? op);
  }
  assert.deepEqual([...answers].toSorted(), [
    [1, "subscribed"],
    [2, "forbidden"],
    [3, "authenticated"],
    [4, "subscribed"],
  ]);
});

Deno.test("an anonymous stream accepts a token of its own tenant only", async () => {
  await using weir = await guardedLocal(ENV);
  await using stream = await SseClient.open(readUrl(weir.url, [PUBLIC]));
  const id = stream.response.headers.get("weir-stream");
  const swap = async (token: string) => {
    const init = { method: "POST", headers: bearer(token) };
    return await call(weir.url, `/v1/streams/${id}/token`, init);
  };
  assertRefused(await swap(await weir.token({ ...ALL, tenant: "other" })), 403, "forbidden");
  assert.equal((await swap(await weir.token(ALL))).status, 204);
});

Deno.test("anonymous clients cannot take over a stream, even of a token without a subject", async () => {
  await using weir = await guardedLocal(ENV);
  const token = await weir.token(ALL, { sub: undefined });
  await using stream = await SseClient.open(readUrl(weir.url, [PRIVATE]), { ...bearer(token) });
  const id = stream.response.headers.get("weir-stream");
  const answer = await call(weir.url, `/v1/streams/${id}/token`, { method: "POST" });
  assertRefused(answer, 401, "unauthenticated");
  await publish(weir.url, PRIVATE, "still here", bearer(token));
  assert.equal((await stream.next()).data, `"still here"`);
});

Deno.test("a refused credential never falls back to anonymous access", async (t) => {
  await using weir = await guardedLocal(ENV);
  const stranger = await makeSigner("EdDSA", weir.signer.kid);
  const wrong: Readonly<Record<string, string>> = {
    "another signer's": await stranger.sign({ sub: "ann", weir: ALL }),
    "an expired one": await weir.token(ALL, endingIn(-1)),
    "no token": "x",
    "none at all": "",
    "an API key that there isn't": `weir_${"A".repeat(50)}`,
  };
  const path = readUrl("", [PUBLIC]);
  for (const [what, token] of Object.entries(wrong)) {
    await t.step(what, async () => {
      const origin = new URL(weir.url).origin;
      const answers = [
        await call(weir.url, path, { headers: { Authorization: `Bearer ${token}` } }),
        await call(weir.url, path, { headers: { Authorization: token } }),
        await call(weir.url, path, { headers: { Cookie: `weir=${token}`, Origin: origin } }),
      ];
      for (const answer of answers) assert.equal(answer.status, 401, answer.text);
      if (token === "") return;
      await using socket = await SocketClient.open(weir.url);
      socket.send({ op: "auth", ref: 1, token });
      assert.equal((await socket.next()).op, "error");
    });
  }
  await t.step("an unknown ticket", async () => {
    for (const ticket of ["", "x", `wt_${"A".repeat(32)}`]) {
      const answer = await call(weir.url, `${path}&ticket=${ticket}`);
      assertRefused(answer, 401, "ticket_invalid");
    }
  });
  await t.step("another scheme", async () => {
    const headers = { Authorization: "Basic YTpi" };
    assertRefused(await call(weir.url, path, { headers }), 401, "token_invalid");
  });
});

/** Reserved for documentation (RFC 5737): no machine has it, so that nothing is opened. */
const NOWHERE = "192.0.2.1";

Deno.test("a policy for anonymous access allows to listen on other addresses than loopback", async () => {
  const open = await WeirServer.refused({ env: { WEIR_HOST: NOWHERE } });
  assert.match(open.stderr, /without keys/);
  const anonymous = await WeirServer.refused({ env: { WEIR_HOST: NOWHERE, ...ENV } });
  assert.match(anonymous.stderr, /Cannot listen on 192\.0\.2\.1/);
  assert.doesNotMatch(anonymous.stderr, /without keys/);
});
