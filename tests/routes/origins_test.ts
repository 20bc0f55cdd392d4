import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { createLogger } from "../../lib/logger.ts";
import { openServer } from "../../lib/server.ts";
import { createApp } from "../../routes/app.ts";
import { assertRefused, call, rawCall, UPGRADE } from "../support/calls.ts";
import { LocalServer } from "../support/local_server.ts";
import { bearer, endingIn, guardedLocal } from "../support/guarded.ts";

const EVENTS = "/v1/channels/a/events";
const PUBLIC = "weir.example.com";
const ALLOWED = "https://app.example.com";
const ENV = {
  WEIR_PUBLIC_URL: `https://${PUBLIC}`,
  WEIR_ORIGINS: `${ALLOWED}, http://dev.test:3000`,
};
const ALL = { publish: ["**"], subscribe: ["**"], manage: ["**"] };

/** Origins that resemble an allowed one. */
const FOREIGN = [
  "http://app.example.com",
  "https://app.example.com:8443",
  "https://app.example.com:443",
  "https://app.example.com.",
  "https://app.example.com/",
  "https://app.example.com.evil.com",
  "https://evil.com/https://app.example.com",
  "https://evil-app.example.com",
  "https://sub.app.example.com",
  "https://example.com",
  "https://APP.example.com",
  "HTTPS://app.example.com",
  "https://user@app.example.com",
  "https://app.example.com@evil.com",
  "https://app.example.com\\@evil.com",
  "https://app.example.com https://evil.com",
  "https://app.example.com, https://evil.com",
  "null",
  "",
  "*",
  "file://",
  "https://*.example.com",
  "http://dev.test",
  "https://dev.test:3000",
  "http://weir.example.com",
  "https://weir.example.com:444",
  "https://weir.example.com.",
  "https://localhost",
  "http://localhost",
  "http://localhost:1",
  "http://127.0.0.1",
  "http://[::1]",
] as const;

const OWN = [ALLOWED, "http://dev.test:3000", `https://${PUBLIC}`] as const;

Deno.test("with keys serves hosts of WEIR_PUBLIC_URL, loopback names and IP addresses", async (t) => {
  await using weir = await guardedLocal(ENV);
  const { port } = weir.server;
  const statusOf = async (host: string) =>
    (await rawCall(port, "/healthz", { headers: { Host: host } })).status;
  const names = [PUBLIC, "WEIR.example.com", "localhost", `127.0.0.1:${port}`, "[::1]:80"];
  for (const host of [...names, "192.0.2.1", "10.0.0.5:8000", "[2001:db8::1]", "[fd00::5]:8000"]) {
    await t.step(`serves ${host}`, async () => assert.equal(await statusOf(host), 200));
  }
  const foreign = [
    "evil.com",
    `${PUBLIC}.`,
    `${PUBLIC}:8443`,
    `${PUBLIC}.evil.com`,
    `evil.com:443@${PUBLIC}`,
    `sub.${PUBLIC}`,
    "app.example.com",
    "localhost.evil.com",
    "evillocalhost",
    "127.0.0.1.evil.com",
    "127.0.0.1:80:80",
    "192.0.2.1.",
    "192.0.2.300",
    "192.0.2.1.evil.com",
    "[evil.com]",
    "[192.0.2.1]",
  ];
  for (const host of foreign) {
    await t.step(`refuses ${host}`, async () => {
      // Some are not hosts at all, and the HTTP server itself refuses them.
      assert.ok([400, 403].includes(await statusOf(host)));
    });
  }
  const answer = await rawCall(port, EVENTS, {
    headers: { Host: "evil.com", ...bearer(await weir.token()) },
  });
  assertRefused(answer, 403, "forbidden_host");
});

Deno.test("a page under the IP address of a server with keys is of a foreign origin", async () => {
  await using weir = await guardedLocal(ENV);
  const answer = await rawCall(weir.server.port, EVENTS, {
    headers: { Host: "192.0.2.1", Origin: "http://192.0.2.1", ...bearer(await weir.token(ALL)) },
  });
  assertRefused(answer, 403, "forbidden_origin");
});

Deno.test("a request with an absolute target is judged by its Host", async () => {
  await using weir = await guardedLocal(ENV);
  const headers = { Host: "evil.com" };
  const answer = await rawCall(weir.server.port, `http://${PUBLIC}/healthz`, { headers });
  assert.notEqual(answer.status, 200);
});

Deno.test("scheme, host and port of an origin must match exactly", async (t) => {
  await using weir = await guardedLocal(ENV);
  const token = await weir.token(ALL);
  const { port } = weir.server;
  const from = (origin: string) => ({ Host: PUBLIC, Origin: origin, ...bearer(token) });
  const ways = {
    "a preflight": (origin: string) =>
      rawCall(port, EVENTS, {
        method: "OPTIONS",
        headers: {
          Host: PUBLIC,
          Origin: origin,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "authorization",
        },
      }),
    "a read": (origin: string) => rawCall(port, EVENTS, { headers: from(origin) }),
    "a publish": (origin: string) =>
      rawCall(port, EVENTS, { method: "POST", headers: from(origin), body: "1" }),
    "a refused read": (origin: string) =>
      rawCall(port, EVENTS, { headers: { Host: PUBLIC, Origin: origin } }),
    "a socket": (origin: string) =>
      rawCall(port, "/v1/socket", { headers: { ...from(origin), ...UPGRADE } }),
  };
  const statuses = {
    "a preflight": 204,
    "a read": 200,
    "a publish": 201,
    "a refused read": 401,
    "a socket": 101,
  } as const;
  for (const [what, ask] of Object.entries(ways)) {
    await t.step(`${what} from allowed pages`, async () => {
      for (const origin of OWN) {
        const { status, headers } = await ask(origin);
        assert.equal(status, statuses[what as keyof typeof ways], origin);
        if (status === 101) continue;
        assert.equal(headers.get("access-control-allow-origin"), origin);
        assert.equal(headers.get("access-control-allow-credentials"), "true");
        assert.match(headers.get("vary") ?? "", /\bOrigin\b/);
      }
    });
    await t.step(`${what} from others`, async () => {
      for (const origin of FOREIGN) {
        const answer = await ask(origin);
        assertRefused(answer, 403, "forbidden_origin");
        const cors = [...answer.headers.entries()].filter(([name]) =>
          name.startsWith("access-control")
        );
        // The page may read the refusal, and no request that needs a preflight gets further.
        const readable = [["access-control-allow-origin", "*"]];
        assert.deepEqual(cors, what === "a preflight" ? [] : readable);
      }
    });
  }
  const { json } = await call(weir.url, EVENTS, { headers: bearer(token) });
  assert.equal(json.events.length, OWN.length);
});

Deno.test("the first refusal of each of 100 origins is logged, with the remedy", async () => {
  const lines: string[] = [];
  const logger = createLogger({ isPretty: false, write: (line) => lines.push(line) });
  const server = await openServer(parseConfig({ WEIR_KV: ":memory:" }), logger);
  await using _closing = { [Symbol.asyncDispose]: () => server.close() };
  const app = createApp(server);
  const ask = (origin: string) => {
    return app.request("http://localhost/healthz", {
      headers: { Host: "localhost", Origin: origin },
    });
  };
  const refusals = () =>
    lines.map((line) => JSON.parse(line)).filter(({ message }) => message.includes("The origin"));
  for (let n = 0; n < 3; n++) assert.equal((await ask("https://evil.com")).status, 403);
  assert.equal((await ask("http://localhost:3000")).status, 200);
  const [first, ...others] = refusals();
  assert.deepEqual(others, []);
  assert.equal(first.level, "warn");
  assert.match(first.message, /"https:\/\/evil\.com" is not allowed.*WEIR_ORIGINS/);
  for (let n = 0; n < 200; n++) await ask(`https://${n}.evil.com`);
  await ask(`https://${"x".repeat(5_000)}.com`);
  assert.equal(refusals().length, 100);
  assert.equal(JSON.parse(lines.at(-1) ?? "").message.includes("not logged"), true);
  assert.ok(lines.every((line) => line.length < 500));
});

Deno.test("without keys WEIR_PUBLIC_URL adds its host and its origin", async () => {
  await using server = await LocalServer.start({ WEIR_PUBLIC_URL: ENV.WEIR_PUBLIC_URL });
  const ask = (Host: string, Origin: string, headers = {}) =>
    rawCall(server.port, "/v1/socket", { headers: { Host, Origin, ...headers } });
  assert.equal((await ask(PUBLIC, `https://${PUBLIC}`, UPGRADE)).status, 101);
  assertRefused(await ask(PUBLIC, ALLOWED, UPGRADE), 403, "forbidden_origin");
  assertRefused(await ask("evil.com", `https://${PUBLIC}`, UPGRADE), 403, "forbidden_host");
});

Deno.test("pages of loopback names are Weir's own only with the port of the request", async () => {
  await using weir = await guardedLocal();
  const { port } = weir.server;
  const ask = (host: string, origin: string) =>
    rawCall(port, "/healthz", { headers: { Host: host, Origin: origin } });
  assert.equal((await ask(`localhost:${port}`, `http://localhost:${port}`)).status, 200);
  assert.equal((await ask(`127.0.0.1:${port}`, `http://127.0.0.1:${port}`)).status, 200);
  const foreign = [
    [`localhost:${port}`, `http://127.0.0.1:${port}`],
    [`localhost:${port}`, `https://localhost:${port}`],
    [`localhost:${port}`, `http://localhost:${port + 1}`],
    [`localhost:${port}`, "http://localhost"],
    ["evil.com", "http://evil.com"],
  ] as const;
  for (const [host, origin] of foreign) assert.equal((await ask(host, origin)).status, 403);
});

Deno.test("no other site can act with the session cookie", async (t) => {
  await using weir = await guardedLocal(ENV);
  const { port } = weir.server;
  const Cookie = `__Host-weir=${await weir.token({ ...ALL, admin: true })}`;
  const own = { Host: PUBLIC, Cookie };
  const acts = [
    { method: "POST", path: EVENTS, body: "1" },
    { method: "POST", path: "/v1/events", body: `{"channel":"a","data":1}` },
    { method: "PUT", path: "/v1/channels/a", body: "{}" },
    { method: "DELETE", path: "/v1/channels/a", body: "" },
    { method: "POST", path: `/v1/streams/${crypto.randomUUID()}/token`, body: "" },
    { method: "POST", path: "/v1/keys", body: "{}" },
    { method: "POST", path: "/v1/revocations", body: `{"jti":"x"}` },
    { method: "GET", path: "/v1/socket", body: "", headers: UPGRADE },
  ];
  const sites = [
    {},
    { "Sec-Fetch-Site": "same-origin" }, // sent by any client, without Origin
    { "Sec-Fetch-Site": "none" },
    { "Sec-Fetch-Site": "cross-site" },
    { Origin: "https://evil.com" },
    { Origin: "null" },
    { Origin: `http://${PUBLIC}` },
    { Origin: "https://evil.com", "Sec-Fetch-Site": "same-origin" },
  ];
  for (const { method, path, body, headers = {} } of acts) {
    await t.step(`${method} ${path}`, async () => {
      for (const site of sites) {
        for (
          const type of ["text/plain", "application/json", "application/x-www-form-urlencoded"]
        ) {
          const answer = await rawCall(port, path, {
            method,
            body,
            headers: { ...own, ...headers, ...site, "Content-Type": type },
          });
          assertRefused(answer, 403, "forbidden_origin");
        }
      }
    });
  }
  await t.step("Weir's own pages can", async () => {
    const headers = { ...own, Origin: `https://${PUBLIC}` };
    const sent = await rawCall(port, EVENTS, { method: "POST", body: "1", headers });
    assert.equal(sent.status, 201, sent.text);
    const socket = await rawCall(port, "/v1/socket", { headers: { ...headers, ...UPGRADE } });
    assert.equal(socket.status, 101, socket.text);
  });
  const { json } = await rawCall(port, EVENTS, { headers: own });
  assert.equal(json.events.length, 1);
});

Deno.test("a session cookie reads for Weir's own pages but not for embeds of other sites", async () => {
  await using weir = await guardedLocal(ENV);
  const { port } = weir.server;
  const own = { Host: PUBLIC, Cookie: `__Host-weir=${await weir.token(ALL)}` };
  for (const site of ["same-origin", "none"]) {
    const headers = { ...own, "Sec-Fetch-Site": site };
    assert.equal((await rawCall(port, EVENTS, { headers })).status, 200);
  }
  for (const method of ["GET", "HEAD"]) {
    const headers = { ...own, "Sec-Fetch-Site": "cross-site" };
    assert.equal((await rawCall(port, EVENTS, { method, headers })).status, 403);
  }
});

Deno.test("a credential that a page sends itself needs no Origin", async () => {
  await using weir = await guardedLocal(ENV);
  const headers = { Host: PUBLIC, ...bearer(await weir.token(ALL)) };
  const sent = await rawCall(weir.server.port, EVENTS, { method: "POST", body: "1", headers });
  assert.equal(sent.status, 201, sent.text);
});

Deno.test("over HTTPS the session cookie is bound to the host, to HTTPS and to its site", async () => {
  await using weir = await guardedLocal(ENV);
  const { port } = weir.server;
  const { exp, ...claims } = endingIn(120);
  const token = await weir.token(ALL, { exp, ...claims });
  const answer = await rawCall(port, "/v1/tickets", {
    method: "POST",
    body: `{"as":"cookie"}`,
    headers: { Host: PUBLIC, ...bearer(token) },
  });
  assert.equal(answer.status, 204, answer.text);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const [pair = "", ...attributes] = (answer.headers.get("set-cookie") ?? "").split("; ");
  assert.equal(pair, `__Host-weir=${token}`);
  assert.deepEqual(attributes.toSorted(), [
    `Expires=${new Date(exp * 1_000).toUTCString()}`,
    "HttpOnly",
    "Path=/",
    "SameSite=Strict",
    "Secure",
  ]);
  const forgotten = await rawCall(port, "/v1/tickets", {
    method: "DELETE",
    headers: { Host: PUBLIC },
  });
  assert.equal(forgotten.status, 204);
  assert.match(forgotten.headers.get("set-cookie") ?? "", /^__Host-weir=; Max-Age=0; .*Secure/);
});

Deno.test("without HTTPS the session cookie has all attributes except Secure", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  const answer = await call(weir.url, "/v1/tickets", {
    method: "POST",
    body: `{"as":"cookie"}`,
    headers: bearer(token),
  });
  const [pair = "", ...attributes] = (answer.headers.get("set-cookie") ?? "").split("; ");
  assert.equal(pair, `weir=${token}`);
  for (const name of ["HttpOnly", "Path=/", "SameSite=Strict"]) {
    assert.ok(attributes.includes(name));
  }
  assert.ok(!attributes.includes("Secure"));
});

Deno.test("ignores cookies with other names", async () => {
  await using weir = await guardedLocal(ENV);
  const token = await weir.token(ALL);
  const names = ["weir", "__Secure-weir", "__host-weir", "__Host-Weir", "token", " __Host-weir2"];
  for (const name of names) {
    const headers = { Host: PUBLIC, Cookie: `${name}=${token}` };
    assertRefused(await rawCall(weir.server.port, EVENTS, { headers }), 401, "unauthenticated");
  }
  const plain = await guardedLocal();
  await using _plain = plain;
  const headers = { Cookie: `__Host-weir=${await plain.token(ALL)}` };
  assertRefused(await call(plain.url, EVENTS, { headers }), 401, "unauthenticated");
});

Deno.test("an invalid session cookie is refused, not ignored", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "subscribe:**" });
  for (
    const value of ["", "x", "a.b.c", `${await weir.token()}x`, `x; weir=${await weir.token()}`]
  ) {
    const answer = await call(weir.url, EVENTS, { headers: { Cookie: `weir=${value}` } });
    assertRefused(answer, 401, "token_invalid");
  }
});

Deno.test("sends HSTS over HTTPS only", async () => {
  await using weir = await guardedLocal(ENV);
  const ask = (host: string, path: string) =>
    rawCall(weir.server.port, path, { headers: { Host: host } });
  for (const path of ["/healthz", "/nowhere", EVENTS]) {
    assert.match(
      (await ask(PUBLIC, path)).headers.get("strict-transport-security") ?? "",
      /max-age/,
    );
    assert.equal((await ask("localhost", path)).headers.get("strict-transport-security"), null);
  }
});
