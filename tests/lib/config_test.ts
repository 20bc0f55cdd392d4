import assert from "node:assert/strict";
import { ConfigError, parseConfig } from "../../lib/config.ts";

const TLS = { WEIR_TLS_CERT: "cert.pem", WEIR_TLS_KEY: "key.pem" };
const KEYS = { WEIR_JWKS: "keys.json" };

function quicOf(env: Readonly<Record<string, string>>) {
  return parseConfig(env).quic;
}

Deno.test("WebTransport is where HTTP is, unless a proxy terminates TLS", () => {
  const same = { host: undefined, port: undefined };
  assert.deepEqual(quicOf({}), same);
  assert.deepEqual(quicOf({ ...KEYS, ...TLS }), same);
  assert.equal(quicOf(KEYS), undefined);
  assert.equal(quicOf({ WEIR_ANONYMOUS: "subscribe:news" }), undefined);
});

Deno.test("WEIR_QUIC moves WebTransport or turns it off", () => {
  assert.equal(quicOf({ WEIR_QUIC: "off" }), undefined);
  const cases: readonly (readonly [string, string | undefined, number])[] = [
    ["8443", undefined, 8443],
    ["0", undefined, 0],
    ["0.0.0.0:443", "0.0.0.0", 443],
    ["[::]:65535", "::", 65_535],
    ["localhost:8443", "localhost", 8443],
  ];
  for (const [text, host, port] of cases) {
    assert.deepEqual(quicOf({ ...KEYS, WEIR_QUIC: text }), { host, port }, text);
  }
});

Deno.test("another value of WEIR_QUIC is a ConfigError", () => {
  const values = ["", "on", "65536", "-1", "8443x", "::1:8443", ":8443", "[::1]", "host:", "a b:1"];
  for (const value of values) {
    assert.throws(() => quicOf({ WEIR_QUIC: value }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /^WEIR_QUIC must be off, a UDP port such as 8443/, value);
      return true;
    });
  }
});

Deno.test("without keys WebTransport listens on a loopback address only", () => {
  for (const value of ["0.0.0.0:8443", "[::]:8443", "192.0.2.1:0"]) {
    assert.throws(
      () => quicOf({ WEIR_QUIC: value }),
      /^ConfigError: WEIR_QUIC must be on a loopback address .*deno task keys init/,
    );
  }
  for (const value of ["8443", "127.0.0.1:8443", "[::1]:8443", "localhost:8443"]) {
    assert.ok(quicOf({ WEIR_QUIC: value }) !== undefined, value);
  }
});

Deno.test("a heartbeat comes every 10 s and a drain takes 5 s, or 2 s where the platform allows 5 s", () => {
  const { heartbeatMs, drainMs } = parseConfig({});
  assert.deepEqual([heartbeatMs, drainMs], [10_000, 5_000]);
  assert.equal(parseConfig({ DENO_DEPLOYMENT_ID: "d" }).drainMs, 2_000);
  assert.equal(parseConfig({ WEIR_DRAIN: "0s" }).drainMs, 0);
  assert.equal(parseConfig({ WEIR_DRAIN: "10m" }).drainMs, 600_000);
  assert.throws(() => parseConfig({ WEIR_DRAIN: "11m" }), /WEIR_DRAIN must be/);
});

Deno.test("connections have no greatest age by default", () => {
  const maxAge = (text: string) =>
    parseConfig({ WEIR_CONNECTION_MAX_AGE: text }).connectionMaxAgeMs;
  assert.equal(parseConfig({}).connectionMaxAgeMs, undefined);
  assert.deepEqual([maxAge("off"), maxAge("1m"), maxAge("24h")], [undefined, 60_000, 86_400_000]);
  for (const bad of ["59s", "25h", "1"]) {
    assert.throws(() => maxAge(bad), /WEIR_CONNECTION_MAX_AGE must be/);
  }
});

Deno.test("WEIR_METRICS_TENANTS names at most 100 tenants", () => {
  const tenants = (text: string) => parseConfig({ WEIR_METRICS_TENANTS: text }).metricsTenants;
  assert.deepEqual(parseConfig({}).metricsTenants, []);
  assert.deepEqual(tenants("acme, globex,acme"), ["acme", "globex"]);
  const names = Array.from({ length: 101 }, (_, i) => `tenant${i}`);
  assert.equal(tenants(names.slice(1).join()).length, 100);
  for (const bad of [names.join(), "$other", "a/b"]) {
    assert.throws(() => tenants(bad), /WEIR_METRICS_TENANTS must be at most 100 names/);
  }
});

Deno.test("another value of WEIR_JWKS is a ConfigError that does not repeat it", () => {
  for (const value of ["[secret]", "https://user:secret@example.com/", "http://example.com/"]) {
    assert.throws(
      () => parseConfig({ WEIR_JWKS: value }),
      (cause) =>
        cause instanceof Error && cause.name === "ConfigError" &&
        cause.message.startsWith("WEIR_JWKS") && !cause.message.includes("secret"),
    );
  }
});
