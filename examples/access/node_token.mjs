// Prints a token for the user "ann": node node_token.mjs [signing.pem]
import { createHash, createPrivateKey, createPublicKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv, stdout } from "node:process";

const key = createPrivateKey(readFileSync(argv[2] ?? "data/keys/signing.pem"));
const { crv, kty, x } = createPublicKey(key).export({ format: "jwk" });
const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url");

function tokenFor(user) {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "EdDSA", kid };
  const claims = {
    sub: user,
    jti: randomUUID(),
    iat: now,
    exp: now + 600,
    weir: { subscribe: [`orders/${user}/**`, "chat:*"], publish: ["chat:*"] },
  };
  const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)));
  const text = parts.map((part) => part.toString("base64url")).join(".");
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

stdout.write(`${tokenFor("ann")}\n`);
