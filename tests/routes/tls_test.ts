import assert from "node:assert/strict";
import { CertificateFolder, makeCertificate } from "../support/certificates.ts";
import { bearer, settings } from "../support/guarded.ts";
import { newChannel } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { readTo } from "../support/text_reading.ts";
import { makeSigner } from "../support/tokens.ts";
import { until } from "../support/until.ts";

Deno.test("a server with a certificate serves HTTP/1.1 and HTTP/2, and reloads it without a restart", async () => {
  const [first, second] = [await makeCertificate(), await makeCertificate()];
  await using folder = await CertificateFolder.create(first);
  const signer = await makeSigner("EdDSA");
  const token = await signer.sign({ weir: { publish: ["**"], subscribe: ["**"] } });
  await using server = await WeirServer.start({
    env: settings(signer, { WEIR_TLS_CERT: folder.certPath, WEIR_TLS_KEY: folder.keyPath }),
  });
  assert.match(server.url, /^https:/);
  const path = `${server.url}/v1/channels/${newChannel()}/events`;
  for (const http2 of [true, false]) {
    using client = Deno.createHttpClient({ caCerts: [first.cert], http1: !http2, http2 });
    const answer = await request(path, {
      client,
      method: "POST",
      body: "1",
      headers: bearer(token),
    });
    assert.equal(answer.status, 201, await answer.text());
    assert.equal(answer.headers.get("strict-transport-security"), "max-age=31536000");
  }

  // A stream that is open over HTTP/2 continues while the certificate changes.
  using old = Deno.createHttpClient({ caCerts: [first.cert], http1: false });
  const stream = await request(`${path}?after=latest`, {
    client: old,
    headers: { Accept: "text/event-stream", ...bearer(token) },
  });
  assert.ok(stream.body !== null);
  const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  await folder.install(second);
  using young = Deno.createHttpClient({ caCerts: [second.cert] });
  await until("the new certificate is served", async () => {
    return await request(`${server.url}/healthz`, { client: young })
      .then(async (answer) => await answer.text() !== "", () => false);
  });
  const again = await request(path, {
    client: young,
    method: "POST",
    body: "after",
    headers: bearer(token),
  });
  assert.equal(again.status, 201, await again.text());
  await readTo("data: after", reader);
  await reader.cancel();
});

Deno.test("over HTTPS the session cookie is bound to the host", async () => {
  const certificate = await makeCertificate();
  await using folder = await CertificateFolder.create(certificate);
  const signer = await makeSigner("EdDSA");
  await using server = await WeirServer.start({
    env: settings(signer, { WEIR_TLS_CERT: folder.certPath, WEIR_TLS_KEY: folder.keyPath }),
  });
  using client = Deno.createHttpClient({ caCerts: [certificate.cert] });
  const answer = await request(`${server.url}/v1/tickets`, {
    client,
    method: "POST",
    body: `{"as":"cookie"}`,
    headers: bearer(await signer.sign()),
  });
  await answer.body?.cancel();
  assert.equal(answer.status, 204);
  const cookie = answer.headers.get("set-cookie") ?? "";
  assert.match(cookie, /^__Host-weir=/);
  for (const part of ["Path=/", "HttpOnly", "Secure", "SameSite=Strict"]) {
    assert.ok(cookie.split("; ").includes(part), cookie);
  }
});

Deno.test("an unusable certificate ends the start with an error message", async () => {
  for (
    const [env, says] of [
      [{ WEIR_TLS_CERT: "/nowhere.pem", WEIR_TLS_KEY: "/nowhere.pem" }, /WEIR_TLS_CERT/],
      [{ WEIR_TLS_CERT: "/nowhere.pem" }, /WEIR_TLS_KEY must be set too/],
    ] as const
  ) {
    const { code, stderr } = await WeirServer.refused({ env });
    assert.equal(code, 1);
    assert.match(stderr, says);
  }
});

/** The option `client` is not in TypeScript's library. */
function request(url: string, init: RequestInit & { readonly client: Deno.HttpClient }) {
  return fetch(url, init);
}
