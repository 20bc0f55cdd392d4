import assert from "node:assert/strict";
import { parseConfig } from "../../../lib/config.ts";
import { openAdminApi } from "../../../lib/keys_cli/open_admin_api.ts";
import { serverUrl } from "../../../lib/keys_cli/server_url.ts";
import { createApp } from "../../../routes/app.ts";

Deno.test("lists the keys of a tenant in the second in which it was revoked", async () => {
  const data = await Deno.makeTempDir({ prefix: "weir_admin_api_" });
  try {
    await using api = await openAdminApi({
      // Without skew a token must not be dated in the next second.
      config: parseConfig({ WEIR_DATA: `${data}/new`, WEIR_TOKEN_SKEW: "0s" }),
      tenant: undefined,
      url: undefined,
      adminToken: undefined,
      createFetch: (server) => createApp(server).fetch,
    });
    const { id } = await api.createKey("orders", { publish: ["**"] }, undefined);
    for (let i = 0; i < 3; i++) {
      await api.revoke({ all: true });
      assert.deepEqual((await Array.fromAsync(api.keys())).map((key) => key.id), [id]);
    }
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("serverUrl() returns where the settings put the server", () => {
  const tls = { WEIR_TLS_CERT: "cert.pem", WEIR_TLS_KEY: "key.pem" };
  const cases = [
    [{}, "http://127.0.0.1:8000"],
    [{ WEIR_HOST: "0.0.0.0", WEIR_PORT: "80" }, "http://127.0.0.1:80"],
    [{ WEIR_HOST: "::" }, "http://[::1]:8000"],
    [{ WEIR_HOST: "::1" }, "http://[::1]:8000"],
    [{ WEIR_HOST: "localhost", ...tls }, "https://localhost:8000"],
    [{ ...tls, WEIR_PUBLIC_URL: "https://weir.example.com" }, "https://weir.example.com"],
    [{ WEIR_PUBLIC_URL: "https://weir.example.com" }, "http://127.0.0.1:8000"],
  ] as const;
  for (const [env, url] of cases) assert.equal(serverUrl(parseConfig(env)), url);
});
