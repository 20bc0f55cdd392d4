import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { flagsToReport, permissionFlags } from "../../lib/permissions.ts";

const DIST = decodeURIComponent(new URL("../../dist/", import.meta.url).pathname);

function flagsOf(env: Readonly<Record<string, string>>): readonly string[] {
  return permissionFlags(parseConfig(env)).map((flag) => flag.replace(DIST, "dist"));
}

Deno.test("by default a server may use its address, its folders and its variables", () => {
  assert.deepEqual(flagsOf({}), [
    "--no-prompt",
    "--no-remote",
    "--ignore-env",
    "--allow-env=WEIR_*,OTEL_DENO,DENO_USE_WRITEV",
    "--allow-net=127.0.0.1:8000",
    "--allow-read=dist,./data",
    "--allow-write=./data",
  ]);
});

Deno.test("a server may use the files and hosts that its settings name", () => {
  const tls = { WEIR_TLS_CERT: "/tls/cert.pem", WEIR_TLS_KEY: "/tls/key.pem" };
  const cases: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ WEIR_HOST: "::1" }, "--allow-net=[::1]:8000"],
    [{ WEIR_PORT: "0" }, "--allow-net=127.0.0.1"],
    [{ WEIR_QUIC: "8443" }, "--allow-net=127.0.0.1:8000,127.0.0.1:8443"],
    [{ WEIR_QUIC: "[::1]:8443" }, "--allow-net=127.0.0.1:8000,[::1]:8443"],
    [{ WEIR_QUIC: "0" }, "--allow-net=127.0.0.1:8000,127.0.0.1"],
    [{ WEIR_QUIC: "off", WEIR_HOST: "localhost" }, "--allow-net=localhost:8000"],
    [{ WEIR_HOST: "localhost" }, "--allow-net=localhost:8000,127.0.0.1:8000,[::1]:8000"],
    [{ WEIR_JWKS: "https://id.example/keys" }, "--allow-net=127.0.0.1:8000,id.example:443"],
    [{ WEIR_JWKS: "http://[::1]/keys" }, "--allow-net=127.0.0.1:8000,[::1]:80"],
    [{ WEIR_KV: "http://127.0.0.1:4512" }, "--allow-net=127.0.0.1:8000,127.0.0.1:4512"],
    [{ WEIR_KV: "https://kv.example" }, "--allow-net=127.0.0.1:8000,kv.example:443"],
    [
      { WEIR_KV: "https://kv.example" },
      "--allow-env=WEIR_*,OTEL_DENO,DENO_USE_WRITEV,DENO_KV_ACCESS_TOKEN",
    ],
    [{ WEIR_KV: "https://api.deno.com/databases/1/connect" }, "--allow-net"],
    [{ WEIR_JWKS: "./jwks.json" }, "--allow-read=dist,./jwks.json,./data"],
    [tls, "--allow-read=dist,/tls/cert.pem,/tls/key.pem,./data"],
    [{ WEIR_KV: "/srv/weir.db" }, "--allow-read=dist,./data,/srv"],
    [{ WEIR_KV: "/srv/weir.db" }, "--allow-write=./data,/srv"],
    [{ WEIR_KV: ":memory:", WEIR_DATA: "/srv" }, "--allow-write=/srv"],
    [{ WEIR_DATA: "/my data" }, "--allow-write=/my data"],
    [{ WEIR_DATA: "/my,data" }, "--allow-write"],
  ];
  for (const [env, flag] of cases) {
    assert.ok(flagsOf(env).includes(flag), `${flag} is not in ${flagsOf(env).join(" ")}`);
  }
});

Deno.test("keys may use the server's files, and any host", () => {
  const config = parseConfig({ WEIR_DATA: "/srv", WEIR_JWKS: "/etc/jwks.json" });
  const flags = permissionFlags(config, "keys").map((flag) => flag.replace(DIST, "dist"));
  assert.deepEqual(flags.slice(4), [
    "--allow-net",
    "--allow-read=dist,/etc/jwks.json,/srv",
    "--allow-write=/srv",
  ]);
});

Deno.test("with invalid settings a program may only report them", () => {
  assert.deepEqual(flagsToReport(), [
    "--no-prompt",
    "--no-remote",
    "--ignore-env",
    "--allow-env=WEIR_*",
  ]);
});
