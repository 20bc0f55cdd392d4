import assert from "node:assert/strict";
import { call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { type RawRequest, RawWebTransport } from "../support/raw_webtransport.ts";
import { until } from "../support/until.ts";

const PUBLIC = "weir.example.com";
const APP = "https://app.example.com";
const ENV = { WEIR_PUBLIC_URL: `https://${PUBLIC}`, WEIR_ORIGINS: APP };
const ALL = { publish: ["**"], subscribe: ["**"] };

/** Origins that resemble an allowed one. */
const FOREIGN_ORIGINS = [
  "http://app.example.com",
  "https://app.example.com:8443",
  "https://app.example.com.",
  "https://app.example.com.evil.com",
  "https://sub.app.example.com",
  "https://APP.example.com",
  "https://user@app.example.com",
  "https://app.example.com, https://evil.com",
  "https://weir.example.com:8443",
  "https://localhost.evil.com",
  "https://127.0.0.1.evil.com",
  "null",
  "",
  "*",
  "file://",
];

/** Hosts that resemble an own one. */
const FOREIGN_HOSTS = [
  "evil.com",
  "evil.com:443",
  `${PUBLIC}.`,
  `${PUBLIC}.evil.com`,
  `sub.${PUBLIC}`,
  "localhost.evil.com",
  "127.0.0.1.evil.com",
  "evillocalhost",
  "192.0.2.1.evil.com",
  "[evil.com]",
  "127.0.0.1:80:80",
];

async function guardedWebTransport(
  env: Readonly<Record<string, string>> = ENV,
): Promise<Guarded<LocalServer>> {
  const weir = await guardedLocal(env);
  await weir.server.serveWebTransport();
  return weir;
}

async function openWebTransport(
  env: Readonly<Record<string, string>> = {},
): Promise<LocalServer> {
  const weir = await LocalServer.start(env);
  await weir.serveWebTransport();
  return weir;
}

async function statusOf(server: LocalServer, request: RawRequest = {}) {
  using client = await RawWebTransport.open(server.webTransport, request);
  return client.status;
}

async function ticketOf(
  { url, token }: Guarded<LocalServer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const init = { method: "POST", headers: { ...bearer(await token(ALL)), ...headers } };
  return (await call(url, "/v1/tickets", init)).json.ticket;
}

Deno.test("pages of Weir's own and of allowed origins open WebTransport, others get 403", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const own = [undefined, APP, `https://${PUBLIC}`, `http://127.0.0.1:${server.port}`];
  for (const origin of own) {
    assert.equal(await statusOf(server, origin === undefined ? {} : { origin }), 200, origin);
  }
  for (const origin of FOREIGN_ORIGINS) {
    assert.equal(await statusOf(server, { origin }), 403, origin);
  }
  await until("all are gone", () => server.server.webTransport.openConnections.size === 0);
});

Deno.test("an open server lets pages of loopback origins open WebTransport, and no others", async () => {
  await using server = await openWebTransport();
  for (const origin of ["http://localhost:3000", "https://app.localhost", "http://[::1]:1"]) {
    assert.equal(await statusOf(server, { origin }), 200, origin);
  }
  for (const origin of [...FOREIGN_ORIGINS, APP, `https://${PUBLIC}`]) {
    assert.equal(await statusOf(server, { origin }), 403, origin);
  }
});

Deno.test("WebTransport is opened under Weir's own names and IP addresses only", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const { port } = server.webTransport;
  const own = ["localhost", `localhost:${port}`, `[::1]:${port}`, PUBLIC, `${PUBLIC}:443`];
  for (
    const authority of [...own, `WEIR.example.com:${port}`, "192.0.2.1", `[2001:db8::1]:${port}`]
  ) {
    assert.equal(await statusOf(server, { authority }), 200, authority);
  }
  for (const authority of FOREIGN_HOSTS) {
    const status = await statusOf(server, { authority, origin: APP });
    assert.ok(status === 403 || status === undefined, `${authority}: ${status}`);
  }
});

Deno.test("on a UDP port of its own WebTransport accepts the pages of HTTP", async () => {
  await using weir = await guardedWebTransport({ ...ENV, WEIR_QUIC: "0" });
  const { server } = weir;
  const { port } = server.webTransport;
  assert.notEqual(port, server.port);
  for (const name of ["localhost", "127.0.0.1", "[::1]"]) {
    const authority = `${name}:${port}`;
    const own = `http://${name}:${server.port}`;
    assert.equal(await statusOf(server, { authority, origin: own }), 200, own);
    const other = `http://${name}:${port}`;
    assert.equal(await statusOf(server, { authority, origin: other }), 403, other);
  }
  const origin = `https://${PUBLIC}`;
  assert.equal(await statusOf(server, { authority: `${PUBLIC}:${port}`, origin }), 200);
});

Deno.test("a ticket opens WebTransport once, for the page that it was issued to", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const open = (ticket: string, origin?: string) =>
    statusOf(server, {
      path: `/v1/webtransport?ticket=${ticket}`,
      ...origin !== undefined && { origin },
    });
  const ticket = await ticketOf(weir);
  assert.equal(await open(ticket), 200);
  assert.equal(await open(ticket), 401);
  const ofPage = await ticketOf(weir, { Origin: APP });
  assert.equal(await open(ofPage, `https://${PUBLIC}`), 401);
  assert.equal(await open(await ticketOf(weir, { Origin: APP }), APP), 200);
});

Deno.test("a request that is wrong gets the status of HTTP", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const token = await weir.token(ALL);
  const cases: readonly (readonly [RawRequest, number | undefined])[] = [
    [{ headers: bearer(token) as Record<string, string> }, undefined], // a name in upper case
    [{ headers: { authorization: `Bearer ${token}` } }, 200],
    [{ headers: { authorization: "Bearer x.y.z" } }, 401],
    [{ headers: { authorization: "Basic x" } }, 401],
    [{ headers: { cookie: `weir=x.y.z` } }, 200], // cookies are not read
    [{ path: "/" }, 404],
    [{ path: "/v1/socket" }, 404],
    [{ path: "/v1/webtransport/" }, 404],
    [{ path: "/v1//webtransport" }, 404],
    [{ path: "/v1/webtransport?ticket=wt_forged" }, 401],
    [{ path: "/v1/webtransport?ticket=" }, 401],
    [{ path: "/v1/webtransport?ticket=a&ticket=b" }, 400],
    [{ path: `/v1/webtransport?token=${token}` }, 400],
    [{ path: `/v1/webtransport?ticket=${token}` }, 400],
    [{ path: "/v1/webtransport?a=1" }, 400],
    [{ path: `/v1/webtransport?ticket=${"a".repeat(9_000)}` }, 414],
    [{ pseudo: { ":method": "GET" } }, undefined],
    [{ pseudo: { ":scheme": "http" } }, undefined],
    [{ pseudo: { ":protocol": "websocket" } }, 501],
  ];
  for (const [request, status] of cases) {
    assert.equal(await statusOf(server, request), status, JSON.stringify(request));
  }
});

Deno.test("connections are limited like sockets, and count until they are closed", async () => {
  await using weir = await guardedWebTransport({
    ...ENV,
    WEIR_ANONYMOUS: "subscribe:**",
    WEIR_LIMITS: "address.connections=2",
  });
  const { server } = weir;
  {
    using one = await RawWebTransport.open(server.webTransport);
    using two = await RawWebTransport.open(server.webTransport);
    assert.deepEqual([one.status, two.status], [200, 200]);
    assert.equal(await statusOf(server), 429);
  }
  await until("a connection that is closed does not count", async () => {
    return await statusOf(server) === 200;
  });
});

Deno.test("refused credentials are limited by IP address", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const tries = Array.from(
    { length: 40 },
    (_, i) => statusOf(server, { headers: { authorization: `Bearer ${i}.y.z` } }),
  );
  const statuses = await Promise.all(tries);
  assert.ok(statuses.includes(401));
  assert.ok(statuses.includes(429));
});

Deno.test("a stopping server refuses WebTransport with 503", async () => {
  await using server = await openWebTransport();
  const stopped = server.server.disconnectClients();
  assert.equal(await statusOf(server), 503);
  await stopped;
});

Deno.test("of 1,000 forged requests none gets in", async () => {
  await using weir = await guardedWebTransport();
  const { server } = weir;
  const used = await ticketOf(weir);
  assert.equal(await statusOf(server, { path: `/v1/webtransport?ticket=${used}` }), 200);
  const ofOtherPage = await ticketOf(weir, { Origin: APP });
  const { openConnections } = server.server.webTransport;
  await until("that connection is gone", () => openConnections.size === 0);
  const expired = await weir.token(ALL, { exp: 1 });
  const forgeries: readonly ((i: number) => RawRequest)[] = [
    (i) => ({ origin: pick(FOREIGN_ORIGINS, i) }),
    (i) => ({ origin: `https://${i}.evil.com` }),
    (i) => ({ authority: pick(FOREIGN_HOSTS, i) }),
    (i) => ({ authority: pick(FOREIGN_HOSTS, i), origin: APP }),
    (i) => ({ path: `/v1/webtransport?ticket=wt_${i}` }),
    () => ({ path: `/v1/webtransport?ticket=${used}`, origin: APP }),
    () => ({ path: `/v1/webtransport?ticket=${ofOtherPage}`, origin: `https://${PUBLIC}` }),
    () => ({ headers: { authorization: `Bearer ${expired}` } }),
    (i) => ({ headers: { authorization: `Bearer weir_${i}` } }),
    (i) => ({ origin: "https://evil.com", headers: { origin: APP, host: `localhost:${i}` } }),
    (i) => ({ origin: APP, headers: { origin: `https://${i}.evil.com` } }),
    (i) => ({ path: `/v1/webtransport?ticket=${i}&ticket=${used}` }),
  ];
  const statuses = new Map<number | undefined, number>();
  for (let next = 0; next < 1_000;) {
    const tries = Array.from({ length: 100 }, () => pick(forgeries, next)(next++));
    for (const status of await Promise.all(tries.map((request) => statusOf(server, request)))) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  assert.equal(openConnections.size, 0);
  assert.equal(statuses.has(200), false, JSON.stringify([...statuses]));
  assert.ok((statuses.get(403) ?? 0) > 300, JSON.stringify([...statuses]));
});

function pick<T>(values: readonly T[], i: number): T {
  const value = values[i % values.length];
  if (value === undefined) throw new Error("there is none");
  return value;
}
