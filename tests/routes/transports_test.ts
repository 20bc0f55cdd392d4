import assert from "node:assert/strict";
import { assertRefused, call, rawCall } from "../support/calls.ts";
import { guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";

const PATH = "/v1/transports";
const ALWAYS = ["websocket", "sse", "long-poll", "short-poll"];
const HASH = "gUFtIi7tZtGRNzJSJNfVh8o/LYbNEl7NRcoEKMGlSDw=";

Deno.test("a server without WebTransport offers the other transports, to everyone", async () => {
  await using weir = await guardedLocal();
  const { status, headers, json } = await call(weir.url, PATH);
  assert.equal(status, 200);
  assert.deepEqual(json, { transports: ALWAYS });
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assertRefused(await call(weir.url, `${PATH}?a=1`), 400, "unknown_parameter");
  assertRefused(await call(weir.url, PATH, { method: "POST" }), 405, "method_not_allowed");
});

Deno.test("a server with a self-signed certificate says its hash, to allowed origins only", async () => {
  await using weir = await LocalServer.start();
  const { quicOffer } = weir.server;
  quicOffer.announce({
    hostname: "127.0.0.1",
    port: 9_443,
    httpPort: weir.port,
    certificateHash: HASH,
  });
  const { json } = await call(weir.url, PATH);
  assert.deepEqual(json, {
    transports: ["webtransport", ...ALWAYS],
    webtransport: {
      url: "https://127.0.0.1:9443/v1/webtransport",
      certificateHashes: [{ algorithm: "sha-256", value: HASH }],
    },
  });
  for (const origin of ["https://evil.example", "null"]) {
    const answer = await call(weir.url, PATH, { headers: { Origin: origin } });
    assertRefused(answer, 403, "forbidden_origin");
    assert.doesNotMatch(answer.text, /webtransport/);
  }
  const foreign = await rawCall(weir.port, PATH, { headers: { Host: "evil.example" } });
  assertRefused(foreign, 403, "forbidden_host");
});

Deno.test("the URL of WebTransport has the name by which the client reaches the server", async () => {
  const env = { WEIR_PUBLIC_URL: "https://weir.example.com, http://plain.example.com:8080" };
  await using weir = await guardedLocal(env);
  const { quicOffer, config } = weir.server.server;
  const { port } = weir.server;
  const urlFor = async (host: string) => {
    const { json } = await rawCall(port, PATH, { headers: { Host: host } });
    return json.webtransport?.url;
  };
  // The same port number as HTTP: what maps one port maps the other.
  quicOffer.announce({ hostname: "0.0.0.0", port, httpPort: port });
  const cases: readonly (readonly [string, string])[] = [
    [`127.0.0.1:${port}`, `https://127.0.0.1:${port}`],
    [`[::1]:${port}`, `https://[::1]:${port}`],
    ["localhost:9000", "https://localhost:9000"],
    ["localhost", "https://localhost:80"],
    ["weir.example.com", "https://weir.example.com:443"],
    ["plain.example.com:8080", "https://plain.example.com:8080"],
  ];
  for (const [host, origin] of cases) {
    assert.equal(await urlFor(host), `${origin}/v1/webtransport`, host);
  }
  assert.equal(await urlFor("localhost:99999"), undefined);
  quicOffer.announce({ hostname: "0.0.0.0", port: 9_443, httpPort: port });
  for (const host of ["localhost", "weir.example.com", "plain.example.com:8080"]) {
    const [name] = host.split(":");
    assert.equal(await urlFor(host), `https://${name}:9443/v1/webtransport`);
  }
  // A proxy on this machine passes no UDP on.
  quicOffer.announce({ hostname: "127.0.0.1", port: 9_443, httpPort: port });
  assert.equal(await urlFor("weir.example.com"), undefined);
  assert.equal(await urlFor("localhost"), "https://localhost:9443/v1/webtransport");
  assert.equal(config.quic, undefined);
});
