import assert from "node:assert/strict";
import { EventSource } from "eventsource";
import type { Grant } from "../../lib/auth/authority.ts";
import { OPEN } from "../../lib/auth/authority.ts";
import type { Tenant } from "../../lib/shared/channel.ts";
import { type Answer, assertRefused, call, rawCall, UPGRADE } from "../support/calls.ts";
import { grantOf } from "../support/grants.ts";
import { bearer, endingIn, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

const EVENTS = "/v1/channels/a/events";
const ALL = { publish: ["**"], subscribe: ["**"] };
const APP = "https://app.example.com";
const OTHER = "https://other.example.com";

function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Promise<Answer> {
  return call(url, "/v1/tickets", { method: "POST", headers, ...body !== "" && { body } });
}

async function ticketOf(
  { url }: { readonly url: string },
  token: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const answer = await ask(url, { ...bearer(token), ...headers });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  return answer.json.ticket;
}

async function apiKeyOf({ server }: Guarded<LocalServer>): Promise<string> {
  const { scope } = grantOf(ALL);
  return (await server.server.access.apiKeys.create("default" as Tenant, { scope })).key;
}

/** Reads a tenant's audit events from the beginning. */
async function auditOf(weir: Guarded<LocalServer>, tenant = "default"): Promise<SseClient> {
  const token = await weir.token({ tenant, subscribe: ["$audit"] }, { sub: "auditor" });
  const url = readUrl(weir.url, ["$audit"], { after: "earliest" });
  return await SseClient.open(url, { ...bearer(token) });
}

Deno.test("a ticket opens an EventSource and a socket", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const token = await weir.token(ALL);
  const source = new EventSource(
    readUrl(weir.url, [channel], { ticket: await ticketOf(weir, token) }),
  );
  const message = new Promise<string>((resolve, reject) => {
    source.onmessage = ({ data }) => resolve(data);
    source.onerror = ({ code, message }) => reject(new Error(`${code} ${message}`));
  });
  const opened = new Promise<void>((resolve) => source.onopen = () => resolve());
  await Promise.race([opened, message]);
  const query = `?ticket=${await ticketOf(weir, token)}`;
  await using socket = await SocketClient.open(weir.url, { query });
  socket.send({ op: "subscribe", ref: 1, channel });
  await socket.until("subscribed");
  await publish(weir.url, channel, "hello", bearer(token));
  assert.equal(await message, `"hello"`);
  assert.equal((await socket.until("event"))["data"], "hello");
  source.close();
});

Deno.test("a ticket is valid once, and a second use is in the audit channel", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ ...ALL, tenant: "one" });
  for (const path of [EVENTS, "/v1/socket"]) {
    const ticket = await ticketOf(weir, token);
    const use = () =>
      path === EVENTS
        ? call(weir.url, `${path}?ticket=${ticket}`)
        : rawCall(weir.server.port, `${path}?ticket=${ticket}`, { headers: UPGRADE });
    assert.ok([101, 200].includes((await use()).status));
    assertRefused(await use(), 401, "ticket_invalid");
  }
  await using audit = await auditOf(weir, "one");
  for (let i = 0; i < 2; i++) assert.equal((await audit.next()).event, "ticket.reused");
});

Deno.test("of many concurrent uses of a ticket one succeeds", async () => {
  await using weir = await guardedLocal();
  const ticket = await ticketOf(weir, await weir.token(ALL));
  const answers = await Promise.all(
    Array.from({ length: 15 }, () => call(weir.url, `${EVENTS}?ticket=${ticket}`)),
  );
  const statuses = answers.map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join());
  assert.equal(statuses.filter((status) => status === 401).length, 14, statuses.join());
});

Deno.test("an unknown ticket is refused like a used one", async () => {
  await using weir = await guardedLocal();
  const used = await ticketOf(weir, await weir.token(ALL));
  await call(weir.url, `${EVENTS}?ticket=${used}`);
  const made = `wt_${"A".repeat(32)}`;
  const answers = [];
  for (const ticket of [used, made, "", "x", `${used}x`, used.toLowerCase(), "wt_"]) {
    const answer = await call(weir.url, `${EVENTS}?ticket=${ticket}`);
    assertRefused(answer, 401, "ticket_invalid");
    answers.push(answer.text);
  }
  for (const text of answers) assert.equal(text, answers[0]);
});

Deno.test("a ticket is valid only for pages of the origin that requested it", async (t) => {
  await using weir = await guardedLocal({ WEIR_ORIGINS: `${APP},${OTHER}` });
  const token = await weir.token(ALL);
  const own = new URL(weir.url).origin;
  const cases = [
    { from: APP, by: APP, status: 200 },
    { from: APP, by: OTHER, status: 401 },
    { from: APP, by: own, status: 401 },
    { from: APP, by: undefined, status: 401 },
    { from: own, by: own, status: 200 },
    { from: own, by: undefined, status: 200 }, // browsers send no Origin here
    { from: own, by: APP, status: 401 },
    { from: undefined, by: APP, status: 200 }, // requested by a server for its page
    { from: undefined, by: undefined, status: 200 },
  ];
  const header = (origin: string | undefined) => ({
    ...origin !== undefined && { Origin: origin },
  });
  for (const { from, by, status } of cases) {
    await t.step(`requested by ${from}, used by ${by}: ${status}`, async () => {
      const ticket = await ticketOf(weir, token, header(from));
      const answer = await call(weir.url, `${EVENTS}?ticket=${ticket}`, { headers: header(by) });
      assert.equal(answer.status, status, answer.text);
      if (status === 401) assert.equal(answer.code, "ticket_invalid");
    });
  }
});

Deno.test("only a token or an API key in the header becomes a ticket", async (t) => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "subscribe:**" });
  const token = await weir.token(ALL);
  await t.step("not without a credential", async () => {
    for (const body of ["", `{"as":"cookie"}`]) {
      assertRefused(await ask(weir.url, {}, body), 401, "unauthenticated");
    }
  });
  await t.step("not with a session cookie", async () => {
    const headers = { Cookie: `weir=${token}`, Origin: new URL(weir.url).origin };
    for (const body of ["", `{"as":"cookie"}`]) {
      assertRefused(await ask(weir.url, headers, body), 401, "unauthenticated");
    }
  });
  await t.step("not with a ticket", async () => {
    const ticket = await ticketOf(weir, token);
    const answer = await call(weir.url, `/v1/tickets?ticket=${ticket}`, { method: "POST" });
    assert.notEqual(answer.status, 201, answer.text);
  });
  await t.step("with an API key", async () => {
    const ticket = await ticketOf(weir, await apiKeyOf(weir));
    assert.equal((await call(weir.url, `${EVENTS}?ticket=${ticket}`)).status, 200);
  });
});

Deno.test("a ticket only reads and opens sockets, even if its token allows more", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ ...ALL, manage: ["**"], admin: true });
  const requests: readonly (readonly [string, string])[] = [
    ["POST", EVENTS],
    ["POST", "/v1/events"],
    ["PUT", "/v1/channels/a"],
    ["DELETE", "/v1/channels/a"],
    ["GET", "/v1/keys"],
    ["POST", "/v1/keys"],
    ["POST", "/v1/revocations"],
    ["POST", "/v1/tickets"],
    ["POST", `/v1/streams/${crypto.randomUUID()}/token`],
  ];
  for (const [method, path] of requests) {
    const ticket = await ticketOf(weir, token);
    const answer = await call(weir.url, `${path}?ticket=${ticket}`, { method });
    assertRefused(answer, 400, "unknown_parameter");
  }
});

Deno.test("a ticket has the expiry, rights and subject of its token", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ subscribe: ["mine"] }, { ...endingIn(3), jti: "x" });
  const refused = `/v1/channels/other/events?ticket=${await ticketOf(weir, token)}`;
  assertRefused(await call(weir.url, refused), 403, "forbidden");
  const query = { ticket: await ticketOf(weir, token) };
  await using stream = await SseClient.open(readUrl(weir.url, ["mine"], query));
  await using socket = await SocketClient.open(weir.url, {
    query: `?ticket=${await ticketOf(weir, token)}`,
  });
  socket.send({ op: "publish", ref: 1, channel: "mine", data: 1 });
  assert.equal((await socket.next())["code"], "forbidden");
  assert.equal((await stream.next()).event, "weir.token");
  assert.equal(JSON.parse((await stream.next()).data).reason, "expired");
  assert.equal((await socket.until("goodbye"))["reason"], "expired");
});

Deno.test("a ticket whose credential no longer exists opens nothing", async () => {
  await using weir = await guardedLocal();
  const { tickets } = weir.server.server.access;
  const gone: readonly Grant[] = [
    OPEN.grant, // issued in open mode
    grantOf(ALL, { kind: "anonymous" }),
    grantOf(ALL, { keyId: "a key that was taken out of the set" }),
    grantOf(ALL, { keyId: undefined }),
  ];
  for (const grant of gone) {
    const { ticket } = await tickets.issue(grant, undefined);
    assertRefused(await call(weir.url, `${EVENTS}?ticket=${ticket}`), 401, "ticket_invalid");
  }
});

Deno.test("a token or a key in a URL is refused with the reason and not repeated", async (t) => {
  await using weir = await guardedLocal();
  const secrets = { token: await weir.token(ALL), key: await apiKeyOf(weir) };
  const names = [
    ...["ticket", "token", "Token", "TOKEN", "access_token", "access-token", "accessToken"],
    ...["api_key", "apiKey", "api-key", "x-api-key", "key", "jwt", "auth", "Authorization"],
    ...["bearer", "id_token", "weir_token", "after", "channel", "limit", "anything"],
  ];
  const paths = [
    EVENTS,
    "/v1/events",
    "/v1/channels",
    "/v1/channels/a",
    "/v1/keys",
    "/v1/tickets",
  ];
  for (const path of paths) {
    for (const [what, secret] of Object.entries(secrets)) {
      await t.step(`${what} at ${path}`, async () => {
        for (const name of names) {
          const query = new URLSearchParams({ [name]: secret });
          await assertInUrl(`${path}?${query}`);
          // Also together with a valid header.
          await assertInUrl(`${path}?x=y&${query}`, bearer(secrets.token));
        }
        await assertInUrl(`${path}?${secret}`);
        await assertInUrl(`${path}?token`, bearer(secrets.token));
      });
    }
  }

  async function assertInUrl(
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const isTicket = path.startsWith("/v1/tickets");
    const answer = await call(weir.url, path, { headers, ...isTicket && { method: "POST" } });
    for (const secret of Object.values(secrets)) {
      assert.ok(!answer.text.includes(secret.slice(-20)), answer.text);
    }
    assertRefused(answer, 400, "token_in_url");
    assert.match(answer.detail ?? "", /POST \/v1\/tickets/);
  }
});

Deno.test("a token in a socket's URL is refused with the reason", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  for (const query of [`ticket=${token}`, `token=${token}`, `x=y&after=${token}`, token]) {
    const path = `/v1/socket?${query}`;
    const answer = await rawCall(weir.server.port, path, { headers: UPGRADE });
    assertRefused(answer, 400, "token_in_url");
    assert.ok(!answer.text.includes(token.slice(-20)), answer.text);
  }
});

Deno.test("unknown parameters next to a ticket are refused", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  for (const path of [EVENTS, "/v1/events", "/v1/socket"]) {
    const query = `?ticket=${await ticketOf(weir, token)}&Ticket=1`;
    const answer = await rawCall(weir.server.port, path + query, { headers: UPGRADE });
    assertRefused(answer, 400, "unknown_parameter");
  }
  const strict = ["/v1/tickets", `/v1/streams/${crypto.randomUUID()}/token`];
  for (const path of strict) {
    const init = { method: "POST", headers: bearer(token) };
    assertRefused(await call(weir.url, `${path}?x=1`, init), 400, "unknown_parameter");
  }
  assertRefused(
    await call(weir.url, "/v1/tickets?x=1", { method: "DELETE" }),
    400,
    "unknown_parameter",
  );
  const twice = [await ticketOf(weir, token), await ticketOf(weir, token)];
  const query = twice.map((ticket) => `ticket=${ticket}`).join("&");
  assertRefused(await call(weir.url, `${EVENTS}?${query}`), 400, "bad_parameter");
});

Deno.test("only a token becomes a session cookie, and none that browsers would drop", async (t) => {
  await using weir = await guardedLocal();
  await t.step("not an API key", async () => {
    const answer = await ask(weir.url, bearer(await apiKeyOf(weir)), `{"as":"cookie"}`);
    assertRefused(answer, 403, "forbidden");
    assert.equal(answer.headers.get("set-cookie"), null);
  });
  await t.step("not an API key that a page sets itself", async () => {
    const headers = { Cookie: `weir=${await apiKeyOf(weir)}` };
    assertRefused(await call(weir.url, EVENTS, { headers }), 401, "key_invalid");
  });
  await t.step("not a ticket that a page sets itself", async () => {
    const headers = { Cookie: `weir=${await ticketOf(weir, await weir.token(ALL))}` };
    assertRefused(await call(weir.url, EVENTS, { headers }), 401, "token_invalid");
  });
  await t.step("not a token of more than 3,800 characters", async () => {
    const long = await weir.token(ALL, { padding: "x".repeat(3_800) });
    const answer = await ask(weir.url, bearer(long), `{"as":"cookie"}`);
    assertRefused(answer, 401, "token_invalid");
    assert.match(answer.detail ?? "", /too long.*3800/);
    assert.equal(answer.headers.get("set-cookie"), null);
    // As a ticket it has the same length as any other.
    assert.match(await ticketOf(weir, long), /^wt_/);
  });
  await t.step("not with another body", async () => {
    const token = bearer(await weir.token(ALL));
    for (const body of [`{"as":"Cookie"}`, `{"as":null}`, `{"x":1}`, "[]", "1", `"cookie"`]) {
      assertRefused(await ask(weir.url, token, body), 400, "bad_body");
    }
    assertRefused(await ask(weir.url, token, "{"), 400, "bad_json");
    assertRefused(await ask(weir.url, token, " ".repeat(2_000)), 413, "event_too_large");
  });
});

Deno.test("a session cookie reads and opens sockets until the token expires", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL, endingIn(2));
  const made = await ask(weir.url, bearer(token), `{"as":"cookie"}`);
  const Cookie = made.headers.get("set-cookie")?.split(";")[0] ?? "";
  await using stream = await SseClient.open(readUrl(weir.url, ["a"]), { Cookie });
  assert.equal((await stream.next()).event, "weir.token");
  assert.equal(JSON.parse((await stream.next()).data).reason, "expired");
  assertRefused(await call(weir.url, EVENTS, { headers: { Cookie } }), 401, "token_expired");
});
