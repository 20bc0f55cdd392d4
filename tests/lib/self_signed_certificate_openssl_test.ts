import assert from "node:assert/strict";
import { makeSelfSignedCertificate } from "../../lib/self_signed_certificate.ts";

Deno.test("openssl reads and verifies a self-signed certificate", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir_self_signed_" });
  try {
    const { cert, key } = await makeSelfSignedCertificate(Date.now());
    await Deno.writeTextFile(`${folder}/cert.pem`, cert);
    await Deno.writeTextFile(`${folder}/key.pem`, key);
    const openssl = async (...args: readonly string[]) => {
      const command = new Deno.Command("openssl", { args: [...args], cwd: folder });
      const { success, stdout, stderr } = await command.output();
      assert.ok(success, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout);
    };
    const purpose = ["-purpose", "sslserver", "-x509_strict"];
    await openssl("verify", "-CAfile", "cert.pem", ...purpose, "cert.pem");
    const text = await openssl("x509", "-in", "cert.pem", "-noout", "-text");
    assert.match(text, /Version: 3 /);
    assert.match(text, /Issuer: CN = Weir\n/);
    assert.match(text, /NIST CURVE: P-256/);
    assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
    assert.match(text, /DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/);
    const ofKey = await openssl("pkey", "-in", "key.pem", "-pubout");
    assert.equal(await openssl("x509", "-in", "cert.pem", "-noout", "-pubkey"), ofKey);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
