import assert from "node:assert/strict";
import { inspect } from "node:util";
import { exportPKCS8, importJWK, type JWK } from "jose";
import { ALGORITHMS } from "../../../../lib/auth/jwk_set.ts";
import { mintToken, WeirError } from "../../../../lib/client/server/server.ts";
import { newSigner } from "../../../../lib/keys_cli/signer.ts";
import { assertRefused, call } from "../../../support/calls.ts";
import { bearer, guardedLocal } from "../../../support/guarded.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { jwksOf, makeSigner } from "../../../support/tokens.ts";

const ANN = { sub: "ann", publish: ["chat:*"], subscribe: ["chat:*"] };

async function publishWith(url: string, token: string, channel = "chat:lobby") {
  return await call(url, `/v1/channels/${encodeURIComponent(channel)}/events`, {
    method: "POST",
    headers: { ...bearer(token), "Content-Type": "application/json" },
    body: "1",
  });
}

async function pemOf(jwk: JWK, algorithm: string): Promise<string> {
  return await exportPKCS8(await importJWK(jwk, algorithm, { extractable: true }) as CryptoKey);
}

/** Returns the claims of a token, which is not verified. */
function claimsOf(token: string): Readonly<Record<string, unknown>> {
  const [, payload = ""] = token.split(".");
  return JSON.parse(
    new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" })),
  );
}

for (const algorithm of ALGORITHMS) {
  Deno.test(`mintToken() signs with ${algorithm} what a server accepts`, async () => {
    const signer = await makeSigner(algorithm);
    await using server = await LocalServer.start({ WEIR_JWKS: jwksOf(signer) });
    const { alg: _, ...jwk } = signer.privateJwk;
    const keys: (string | object)[] = [jwk, JSON.stringify(jwk), `\n${JSON.stringify(jwk)}\n`];
    if (algorithm !== "HS256") {
      const pem = await pemOf(jwk, algorithm);
      keys.push(pem, `${pem}\n`, pem.trim().replaceAll("\n", "\\n"));
    }
    for (const key of keys) {
      const token = await mintToken(key, { ...ANN, kid: signer.kid });
      assert.equal((await publishWith(server.url, token)).status, 201);
      assertRefused(await publishWith(server.url, token, "orders"), 403, "forbidden");
    }
    const other = await makeSigner(algorithm, signer.kid);
    const forged = await publishWith(server.url, await mintToken(other.privateJwk, ANN));
    assertRefused(forged, 401, "token_invalid");
    assert.match(forged.detail ?? "", /signature is wrong/);
  });
}

Deno.test("mintToken() names the key as `deno task keys init` does", async () => {
  const { jwk, kid, privateKey } = await newSigner();
  await using server = await LocalServer.start({ WEIR_JWKS: jwksOf({ jwk }) });
  const token = await mintToken(await exportPKCS8(privateKey), ANN);
  const [header = ""] = token.split(".");
  assert.equal(JSON.parse(atob(header)).kid, kid);
  assert.equal((await publishWith(server.url, token)).status, 201);
});

Deno.test("mintToken() puts exactly what it is given into the claims", async () => {
  const { privateJwk } = await makeSigner("EdDSA");
  const before = Math.floor(Date.now() / 1_000);
  const claims = claimsOf(
    await mintToken(privateJwk, {
      ...ANN,
      tenant: "acme",
      presence: ["room:*"],
      manage: [],
      admin: false,
      metrics: false,
      limits: { publishes: 10 },
      lifetimeSeconds: 90.5,
      issuer: "shop",
      audience: "weir",
    }),
  );
  const { iat, exp, jti, ...rest } = claims;
  assert.ok(Number(iat) >= before && Number(iat) <= before + 60);
  assert.equal(exp, Number(iat) + 91);
  assert.match(String(jti), /^[0-9a-f-]{36}$/);
  assert.deepEqual(rest, {
    sub: "ann",
    iss: "shop",
    aud: "weir",
    weir: {
      tenant: "acme",
      publish: ["chat:*"],
      subscribe: ["chat:*"],
      presence: ["room:*"],
      manage: [],
      admin: false,
      metrics: false,
      limits: { publishes: 10 },
    },
  });
  const short = claimsOf(await mintToken(privateJwk, { sub: "ann" }));
  assert.equal(Number(short["exp"]) - Number(short["iat"]), 600);
  assert.notEqual(short["jti"], jti);
});

Deno.test("a server says what is wrong with a minted token that it refuses", async () => {
  await using weir = await guardedLocal({ WEIR_TOKEN_ISSUER: "shop" });
  const key = weir.signer.privateJwk;
  const cases = [
    [{ ...ANN }, /no "iss"/],
    [{ ...ANN, issuer: "other" }, /"iss" is not/],
    [{ ...ANN, issuer: "shop", lifetimeSeconds: 1e6 }, /valid for too long/],
    [{ ...ANN, issuer: "shop", kid: "unknown" }, /key/],
    [{ ...ANN, issuer: "shop", publish: ["a***"] }, /weir\.publish/],
  ] as const;
  for (const [options, detail] of cases) {
    const refused = await publishWith(weir.url, await mintToken(key, options));
    assertRefused(refused, 401, "token_invalid");
    assert.match(refused.detail ?? "", detail);
  }
  const good = await mintToken(key, { ...ANN, issuer: "shop" });
  assert.equal((await publishWith(weir.url, good)).status, 201);
});

Deno.test("a key that cannot sign is refused without a part of it in the error", async () => {
  const { privateJwk, jwk } = await makeSigner("EdDSA");
  const rsa = (await makeSigner("RS256")).privateJwk;
  const pem = await pemOf(privateJwk, "EdDSA");
  const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
  const bad: readonly unknown[] = [
    "",
    secret,
    `{"kty":"OKP","d":"${secret}`,
    pem.replace("MC4", "AC4"),
    pem.replaceAll("PRIVATE", "EC PRIVATE"),
    pem.slice(0, 60),
    jwk,
    { ...privateJwk, d: secret },
    { ...privateJwk, crv: "Ed448", alg: undefined },
    { ...privateJwk, alg: "RS256" },
    { ...rsa, p: undefined },
    { kty: "oct", k: "!", alg: "HS256" },
    { kty: secret, d: secret },
    {},
    null,
    undefined,
    7,
  ];
  for (const key of bad) {
    await assert.rejects(mintToken(key as string, ANN), (error) => {
      assert.ok(error instanceof WeirError);
      assert.equal(error.code, "bad_key");
      const shown = inspect(error, { depth: 10, showHidden: true });
      for (const part of [secret, privateJwk.d, rsa.d, pem.split("\n")[1]]) {
        assert.ok(!shown.includes(part ?? assert.fail()), shown);
      }
      return true;
    }, inspect(key));
  }
});

Deno.test("options that make a token of no use, or of too much, are refused", async () => {
  const { privateJwk } = await makeSigner("EdDSA");
  const bad: readonly Readonly<Record<string, unknown>>[] = [
    {},
    { sub: undefined },
    { sub: "" },
    { sub: 7 },
    { sub: "x".repeat(257) },
    { sub: "ann", lifetimeSeconds: 0 },
    { sub: "ann", lifetimeSeconds: NaN },
    { sub: "ann", lifetimeSeconds: "10m" },
    { sub: "**", subscribe: ["orders/**/**"] },
    { sub: "*", publish: ["room:*"] },
  ];
  for (const options of bad) {
    const minting = mintToken(privateJwk, options as unknown as typeof ANN);
    await assert.rejects(minting, { name: "WeirError", code: "bad_parameter" }, inspect(options));
  }
  await mintToken(privateJwk, { sub: "a*b", publish: ["room:*"] });
  await mintToken(privateJwk, { sub: "x".repeat(256) });
});
