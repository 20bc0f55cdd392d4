import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { makeSelfSignedCertificate } from "../../lib/self_signed_certificate.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

Deno.test("a self-signed certificate is what browsers accept by its hash", async () => {
  const now = Date.parse("2026-11-30T12:00:00Z");
  const { cert, hash, expiresAt } = await makeSelfSignedCertificate(now);
  const x509 = new X509Certificate(cert);
  const [from, to] = [Date.parse(x509.validFrom), Date.parse(x509.validTo)];
  assert.equal(to - from, 13 * DAY_MS);
  assert.equal(to, expiresAt);
  assert.ok(from < now, "clients with a clock that is behind refuse it");
  assert.deepEqual(x509.publicKey.asymmetricKeyDetails, { namedCurve: "prime256v1" });
  assert.equal(x509.ca, false);
  assert.equal(x509.verify(x509.publicKey), true);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(x509.raw)));
  assert.equal(hash, digest.toBase64());
});

Deno.test("the encoding holds for every signature and for years after 2049", async () => {
  const now = Date.parse("2051-01-01T00:00:00Z");
  // Half of all integers need a leading zero, and one in 256 is shorter.
  for (let i = 0; i < 60; i++) {
    const x509 = new X509Certificate((await makeSelfSignedCertificate(now)).cert);
    assert.equal(x509.verify(x509.publicKey), true);
  }
  const x509 = new X509Certificate((await makeSelfSignedCertificate(now)).cert);
  assert.equal(new Date(x509.validFrom).toISOString(), "2050-12-31T23:00:00.000Z");
});

Deno.test("TLS clients that trust the certificate accept it for loopback names", async () => {
  const { cert, key } = await makeSelfSignedCertificate(Date.now());
  assert.match(new X509Certificate(cert).subjectAltName ?? "", /IP Address:::1$/);
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const { port } = listener.addr;
  for (const hostname of ["127.0.0.1", "localhost"]) {
    const accepted = listener.accept();
    using client = await Deno.connectTls({ hostname, port, caCerts: [cert] });
    using server = await accepted;
    await Promise.all([client.handshake(), server.handshake()]);
  }
});
