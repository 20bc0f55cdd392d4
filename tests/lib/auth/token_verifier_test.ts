import assert from "node:assert/strict";
import fc from "fast-check";
import { CompactSign, exportSPKI, importJWK } from "jose";
import { Authority } from "../../../lib/auth/authority.ts";
import { ALGORITHMS } from "../../../lib/auth/jwk_set.ts";
import { SigningKeys } from "../../../lib/auth/signing_keys.ts";
import { scopeSchema } from "../../../lib/auth/scope.ts";
import {
  MAX_TOKEN_CHARS,
  TokenVerifier,
  type TokenVerifierOptions,
} from "../../../lib/auth/token_verifier.ts";
import { Problem, type ProblemCode } from "../../../lib/shared/problem.ts";
import { jwksOf, makeSigner, type Signer } from "../../support/tokens.ts";

/** A time between two seconds, to make rounding visible. */
const NOW = 1_800_000_000_400;
const SECOND = 1_000;
const SKEW = 30 * SECOND;
const MAX_LIFETIME = 3_600 * SECOND;
/** The second of `NOW`. */
const NOW_SECONDS = Math.floor(NOW / SECOND);

const [HS256, RS256, ES256, EDDSA, STRANGER] = await Promise.all([
  makeSigner("HS256", "hs"),
  makeSigner("RS256", "rs"),
  makeSigner("ES256", "es"),
  makeSigner("EdDSA", "ed"),
  makeSigner("EdDSA", "stranger"),
]);
const SIGNERS = { HS256, RS256, ES256, EdDSA: EDDSA };
const ALL = await SigningKeys.open({ kind: "inline", text: jwksOf(HS256, RS256, ES256, EDDSA) });

const sign = (claims: Readonly<Record<string, unknown>> = {}, signer: Signer = EDDSA) =>
  signer.sign(claims, { now: NOW });

for (const algorithm of ALGORITHMS) {
  Deno.test(`${algorithm}: verifies a token and returns its grant`, async () => {
    const signer = SIGNERS[algorithm];
    const token = await sign({
      sub: "ann",
      jti: "t1",
      weir: { tenant: "acme", publish: ["a:*"], subscribe: ["**"], limits: { publishes: 5 } },
    }, signer);
    const { fingerprint } = await ALL.find(algorithm, signer.kid);
    assert.deepEqual(await verify(token), {
      tenant: "acme",
      kind: "token",
      subject: "ann",
      tokenId: "t1",
      keyId: signer.kid,
      keyFingerprint: fingerprint,
      issuedAt: NOW_SECONDS * SECOND,
      expiresAt: (NOW_SECONDS + 60) * SECOND + SKEW,
      scope: {
        publish: ["a:*"],
        subscribe: ["**"],
        presence: [],
        manage: [],
        admin: false,
        metrics: false,
        limits: { publishes: 5 },
      },
    });
  });

  Deno.test(`${algorithm}: rejects another signature, key or text`, async () => {
    const signer = SIGNERS[algorithm];
    const [header, payload, signature] = partsOf(await sign({}, signer));
    const stranger = await sign({}, await makeSigner(algorithm, signer.kid));
    const [, other] = partsOf(await sign({ weir: { admin: true } }, signer));
    await refuses(stranger, "token_invalid", /its signature is wrong/);
    await refuses(`${header}.${other}.${signature}`, "token_invalid", /its signature is wrong/);
    await refuses(`${header}.${payload}.`, "token_invalid", /its signature is wrong/);
    await refuses(`${header}.${payload}.AAAA`, "token_invalid", /its signature is wrong/);
  });

  Deno.test(`${algorithm}: accepts only one text of a signature`, async () => {
    const token = await sign({}, SIGNERS[algorithm]);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (const last of alphabet) {
      const changed = token.slice(0, -1) + last;
      if (changed !== token) {
        await refuses(changed, "token_invalid", /not a JWT|signature is wrong/);
      }
    }
    for (const changed of [`${token} `, `${token}=`, `${token}\n`, ` ${token}`]) {
      await refuses(changed, "token_invalid", /not a JWT/);
    }
  });

  Deno.test(`${algorithm}: never accepts a mutated token`, async () => {
    const token = await sign({ weir: { publish: ["a"] } }, SIGNERS[algorithm]);
    const mutation = fc.tuple(
      fc.nat(token.length - 1),
      fc.nat(3),
      fc.oneof(fc.stringMatching(/^[\w.-]{0,3}$/), fc.string({ maxLength: 3 })),
    ).map(([at, count, text]) => token.slice(0, at) + text + token.slice(at + count));
    await fc.assert(
      fc.asyncProperty(mutation.filter((text) => text !== token), async (text) => {
        await refuses(text, "token_invalid", /^Cannot use the token: /);
      }),
      { numRuns: 300 },
    );
  });
}

Deno.test("verifies a token without kid with the only key of its algorithm", async () => {
  const token = await EDDSA.sign({}, { now: NOW, header: { kid: undefined } });
  assert.equal((await verify(token)).keyId, "ed");
  await using two = await Keys.of(EDDSA, STRANGER);
  await refuses(token, "token_invalid", /no "kid", and several keys are for EdDSA/, two.options);
  await using none = await Keys.of(HS256);
  await refuses(token, "token_invalid", /no "kid", and no key is for EdDSA/, none.options);
});

Deno.test("rejects a token of an unknown key, or under another key's kid", async () => {
  await refuses(await sign({}, STRANGER), "token_invalid", /no key has the "kid" "stranger"/);
  const asOther = (kid: unknown) => STRANGER.sign({}, { now: NOW, header: { kid } });
  await refuses(await asOther("ed"), "token_invalid", /its signature is wrong/);
  await refuses(await asOther("es"), "token_invalid", /"es" is for ES256, not for EdDSA/);
  await refuses(await asOther(undefined), "token_invalid", /its signature is wrong/);
  await refuses(await asOther(1), "token_invalid", /its "kid" is not a string/);
  await refuses(await asOther("\u0000\n".repeat(100)), "token_invalid", /"\\u0000\\n[^\n]*…"\.$/);
});

Deno.test('rejects "none" and algorithms that are not in the list', async () => {
  const [, payload, signature] = partsOf(await sign());
  const algs = ["none", "NONE", "None", "nOnE", "HS512", "PS256", "ES384", "RS1", "", "Ed25519"];
  for (const alg of algs) {
    for (const end of [signature, ""]) {
      for (const kid of [undefined, "ed", "hs"]) {
        const token = `${encode({ alg, kid })}.${payload}.${end}`;
        await refuses(token, "token_invalid", /its "alg" is ".*", and must be one of HS256, RS256/);
      }
    }
  }
  for (const alg of [undefined, null, 1, ["EdDSA"], { EdDSA: 1 }]) {
    const token = `${encode({ alg, kid: "ed" })}.${payload}.${signature}`;
    await refuses(token, "token_invalid", /its "alg" is not a string/);
  }
});

Deno.test("never uses a public key as a secret", async () => {
  const pem = await exportSPKI(await publicKey(RS256));
  const texts = [pem, pem.trim(), JSON.stringify(RS256.jwk), RS256.jwk.n ?? assert.fail()];
  const claims = JSON.stringify({ iat: NOW_SECONDS, exp: NOW_SECONDS + 60, weir: {} });
  await using set = await Keys.of(RS256, ES256, EDDSA);
  for (const text of texts) {
    for (const kid of ["rs", undefined]) {
      const token = await new CompactSign(encoder.encode(claims))
        .setProtectedHeader({ alg: "HS256", ...kid !== undefined && { kid } })
        .sign(encoder.encode(text));
      await refuses(token, "token_invalid", /for HS256/, set.options);
      await refuses(token, "token_invalid", /not for HS256|its signature is wrong/);
    }
  }
});

Deno.test("ignores keys that a header contains or refers to", async () => {
  let requests = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    requests++;
    return new Response(jwksOf(STRANGER));
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const headers: readonly Readonly<Record<string, unknown>>[] = [
    { jwk: STRANGER.jwk },
    { jku: url },
    { x5u: url },
    { jwk: STRANGER.jwk, jku: url, x5u: url, x5c: ["AAAA"], x5t: "AAAA" },
  ];
  for (const header of headers) {
    for (const kid of ["ed", "stranger", undefined]) {
      const token = await STRANGER.sign({}, { now: NOW, header: { ...header, kid } });
      await refuses(
        token,
        "token_invalid",
        /its signature is wrong|no key has the "kid" "stranger"/,
      );
    }
    assert.ok(await verify(await EDDSA.sign({}, { now: NOW, header })));
  }
  assert.equal(requests, 0);
});

Deno.test("rejects critical extensions, even in a validly signed token", async () => {
  for (const header of [{ crit: ["x"], x: 1 }, { crit: ["b64"], b64: true }]) {
    const token = await EDDSA.sign({}, { now: NOW, header });
    await refuses(token, "token_invalid", /its header has "crit"/);
  }
  const [, payload, signature] = partsOf(await sign());
  for (const crit of [null, [], "x", ["x"], [1], {}]) {
    const token = `${encode({ alg: "EdDSA", kid: "ed", crit })}.${payload}.${signature}`;
    await refuses(token, "token_invalid", /its header has "crit"/);
  }
});

Deno.test("rejects texts that are not JWTs", async () => {
  const token = await sign();
  const [header, payload, signature] = partsOf(token);
  const texts = [
    "",
    ".",
    "..",
    "...",
    `${token}.`,
    `.${token}`,
    `${token}.${signature}`,
    `${header}.${payload}`,
    `${header}..${signature}.`,
    `${header}.${payload}.${signature}.${payload}.${signature}`,
    `Bearer ${token}`,
    JSON.stringify({ payload, protected: header, signature }),
    `${header}.${payload}.A`,
    `é.${payload}.${signature}`,
  ];
  for (const text of texts) await refuses(text, "token_invalid", /not a JWT/);
  for (const head of ["A", "AAAA", encode([]), encode(null), encode("EdDSA"), encode(1)]) {
    const text = `${head}.${payload}.${signature}`;
    await refuses(text, "token_invalid", /its header is not a JSON object/);
  }
});

Deno.test("verifies a token of the maximum length and rejects a longer one", async () => {
  const withLength = async (length: number) => {
    const bare = (await sign({ pad: "" })).length;
    for (let i = 0; i < 4; i++) {
      const pad = "x".repeat(Math.floor((length - bare) * 3 / 4) + i);
      const token = await sign({ pad });
      if (token.length === length) return token;
    }
    return assert.fail("no such length");
  };
  // Base64url texts cannot have one length in four.
  const longest = await withLength(MAX_TOKEN_CHARS).catch(() => withLength(MAX_TOKEN_CHARS - 1));
  assert.ok(await verify(longest));
  await refuses(await withLength(MAX_TOKEN_CHARS + 2), "token_invalid", /8194 characters/);
  await refuses("x".repeat(MAX_TOKEN_CHARS + 1), "token_invalid", /8193 characters; at most 8192/);
});

Deno.test("rejects a payload that is not an object of claims", async () => {
  for (const text of ["", "null", "[]", "1", `"weir"`, "{", "[{}]", "\u0000", "{}{}"]) {
    await refuses(await EDDSA.signText(text), "token_invalid", /not a readable JWT/);
  }
  await refuses(await EDDSA.signText("{}"), "token_invalid", /it has no "exp"/);
});

Deno.test("requires exp, and expires exactly to the millisecond", async () => {
  const exp = NOW_SECONDS;
  const token = await sign({ iat: exp - 60, exp });
  const end = exp * SECOND + SKEW;
  const { expiresAt } = await verify(token, { now: () => end - 1 });
  assert.equal(expiresAt, end);
  await refuses(token, "token_expired", /expired/, { now: () => end });
  const between = await sign({ iat: exp - 60, exp: exp + 0.25 });
  assert.ok(await verify(between, { now: () => end + 249 }));
  await refuses(between, "token_expired", /expired/, { now: () => end + 250 });

  await refuses(await sign({ exp: undefined }), "token_invalid", /it has no "exp"/);
  for (const exp of ["1900000000", null, [1], {}, true]) {
    await refuses(await sign({ exp }), "token_invalid", /its "exp" is not a number/);
  }
  for (const exp of [0, -1, -1e300, 1]) {
    await refuses(await sign({ exp }), "token_expired", /expired/);
  }
});

Deno.test("reports the wrong signature of an expired token", async () => {
  const token = await STRANGER.sign({ exp: 1 }, { now: NOW, header: { kid: "ed" } });
  await refuses(token, "token_invalid", /its signature is wrong/);
});

Deno.test("nbf and iat may be in the future by the skew", async () => {
  for (const claim of ["nbf", "iat"]) {
    const at = NOW_SECONDS + 100;
    const token = await sign({ iat: undefined, exp: at + 60, [claim]: at });
    const begin = at * SECOND - SKEW;
    assert.ok(await verify(token, { now: () => begin }));
    await refuses(token, "token_invalid", new RegExp(`its "${claim}" is in the future`), {
      now: () => begin - 1,
    });
    for (const value of ["1", null, [], {}]) {
      const wrong = await sign({ [claim]: value });
      await refuses(wrong, "token_invalid", new RegExp(`its "${claim}" is not a number`));
    }
  }
});

Deno.test("rejects a token that is valid for too long", async () => {
  const seconds = MAX_LIFETIME / SECOND;
  const iat = NOW_SECONDS - 10;
  assert.ok(await verify(await sign({ iat, exp: iat + seconds })));
  await refuses(
    await sign({ iat, exp: iat + seconds + 1 }),
    "token_invalid",
    /too long: at most 3600 s/,
  );
  // Without iat the lifetime counts from now, with the skew.
  const longest = NOW_SECONDS + seconds + SKEW / SECOND;
  assert.ok(await verify(await sign({ iat: undefined, exp: longest })));
  const longer = await sign({ iat: undefined, exp: longest + 1 });
  await refuses(longer, "token_invalid", /too long: at most 3600 s/);
  await refuses(await sign({ iat: -1e300 }), "token_invalid", /too long/);
  await refuses(await sign({ exp: 1e300 }), "token_invalid", /too long/);
  const raw = (text: string) => EDDSA.signText(`{"weir":{},${text}}`);
  await refuses(await raw(`"exp":1e999`), "token_invalid", /"exp" is wrong/);
  await refuses(
    await raw(`"exp":${NOW_SECONDS + 60},"iat":-1e999`),
    "token_invalid",
    /"iat" is wrong/,
  );
  await refuses(
    await raw(`"exp":${NOW_SECONDS + 60},"iat":1e999`),
    "token_invalid",
    /"iat" is wrong/,
  );
});

Deno.test("checks iss and aud if they are configured", async () => {
  const options = { issuer: "https://id.example", audience: "weir" };
  const good = { iss: "https://id.example", aud: "weir" };
  assert.ok(await verify(await sign(good), options));
  assert.ok(await verify(await sign({ ...good, aud: ["other", "weir"] }), options));
  assert.ok(await verify(await sign({ iss: 1, aud: { a: 1 } })), "not configured");
  for (const iss of ["https://id.example/", "", null, ["https://id.example"], {}]) {
    const token = await sign({ ...good, iss });
    await refuses(token, "token_invalid", /its "iss" is not "https:\/\/id\.example"/, options);
  }
  for (const aud of ["other", "", null, [], ["other"], [["weir"]], { weir: 1 }, "weir2"]) {
    const token = await sign({ ...good, aud });
    await refuses(token, "token_invalid", /its "aud" is not "weir"/, options);
  }
  const noIss = await sign({ ...good, iss: undefined });
  await refuses(noIss, "token_invalid", /it has no "iss"/, options);
  const noAud = await sign({ ...good, aud: undefined });
  await refuses(noAud, "token_invalid", /it has no "aud"/, options);
});

const WRONG_CLAIMS: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
  [{ weir: undefined }, /it has no "weir"/],
  [{ weir: null }, /its "weir" is wrong/],
  [{ weir: "**" }, /its "weir" is wrong/],
  [{ weir: [] }, /its "weir" is wrong/],
  [{ weir: { publish: "**" } }, /its "weir\.publish" is wrong/],
  [{ weir: { publish: { 0: "**" } } }, /its "weir\.publish" is wrong/],
  [{ weir: { subscribe: ["a", 1] } }, /its "weir\.subscribe\.1" is wrong/],
  [{ weir: { presence: ["a***"] } }, /its "weir\.presence\.0" is wrong/],
  [{ weir: { manage: [""] } }, /its "weir\.manage\.0" is wrong/],
  [{ weir: { publish: Array(101).fill("a") } }, /its "weir\.publish" is wrong/],
  [{ weir: { admin: "true" } }, /its "weir\.admin" is wrong/],
  [{ weir: { admin: 1 } }, /its "weir\.admin" is wrong/],
  [{ weir: { subcribe: ["a"] } }, /its "weir" has an unknown member/],
  [{ weir: { limits: { publish: 1 } } }, /its "weir\.limits" has an unknown member/],
  [{ weir: { limits: { publishes: -1 } } }, /its "weir\.limits\.publishes" is wrong/],
  [{ weir: { tenant: "" } }, /its "weir\.tenant" is wrong/],
  [{ weir: { tenant: "a/b" } }, /its "weir\.tenant" is wrong/],
  [{ weir: { tenant: null } }, /its "weir\.tenant" is wrong/],
  [{ weir: { tenant: ["acme"] } }, /its "weir\.tenant" is wrong/],
  [{ sub: 1 }, /its "sub" is wrong/],
  [{ sub: "" }, /its "sub" is wrong/],
  [{ sub: "s".repeat(257) }, /its "sub" is wrong/],
  [{ sub: "\ud800" }, /its "sub" is wrong/],
  [{ jti: {} }, /its "jti" is wrong/],
  [{ jti: "j".repeat(257) }, /its "jti" is wrong/],
];

for (const [claims, detail] of WRONG_CLAIMS) {
  const name = JSON.stringify(claims) === "{}" ? "no weir" : JSON.stringify(claims).slice(0, 60);
  Deno.test(`names the invalid claim: ${name}`, async () => {
    await refuses(await sign(claims), "token_invalid", detail);
  });
}

Deno.test("ignores other claims and accepts names of the maximum length", async () => {
  const token = await sign({ sub: "s".repeat(256), jti: "j".repeat(256), name: "Ann", roles: [] });
  const { subject, tokenId } = await verify(token);
  assert.equal(subject?.length, 256);
  assert.equal(tokenId?.length, 256);
});

Deno.test("without a tenant uses the default one, and without rights allows nothing", async () => {
  const grant = await verify(await sign());
  assert.equal(grant.tenant, "default");
  assert.equal(grant.subject, undefined);
  const authority = new Authority(grant);
  assert.throws(() => authority.requireAdmin(), /forbidden/);
});

Deno.test("a key bound to a tenant signs for no other, and the error does not name it", async () => {
  const text = jwksOf({ jwk: { ...EDDSA.jwk, weir_tenant: "secret" } }, ES256);
  await using set = await Keys.open(text);
  const own = await verify(await sign({ weir: { tenant: "secret" } }), set.options);
  assert.equal(own.tenant, "secret");
  for (const tenant of ["acme", "default", undefined]) {
    const token = await sign({ weir: { tenant } });
    const { detail } = await refuses(
      token,
      "token_invalid",
      /its key "ed" may not sign for/,
      set.options,
    );
    assert.doesNotMatch(detail, /secret|acme/);
  }
  // Other keys may sign for all tenants.
  assert.ok(await verify(await sign({ weir: { tenant: "secret" } }, ES256), set.options));
});

Deno.test("rejects a token whose key is removed during the verification", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, jwksOf(EDDSA, ES256));
  const clock = { now: 0 };
  const keys = await SigningKeys.open({ kind: "file", path }, { now: () => clock.now });
  const token = await sign();
  assert.ok(await verify(token, { keys }));
  await Deno.writeTextFile(path, jwksOf(ES256));
  const found = await keys.find("EdDSA", "ed");
  // The key that was found before the removal.
  const late = Object.create(keys, {
    find: { value: () => Promise.resolve(found) },
    knows: { value: keys.knows.bind(keys) },
  });
  assert.ok(await verify(token, { keys: late }));
  clock.now += 1e6;
  await keys.refresh();
  await refuses(token, "token_invalid", /its key "ed" was removed/, { keys: late });
  await refuses(token, "token_invalid", /no key has the "kid" "ed"/, { keys });
  await keys.close();
  await Deno.remove(path);
});

Deno.test("messages and errors contain nothing of the token except kid and alg", async () => {
  const secret = "sEcReT";
  const tokens = [
    await STRANGER.sign({ sub: secret }, { now: NOW, header: { kid: "ed", typ: secret } }),
    await sign({ exp: 1, sub: secret }),
    await sign({ sub: secret.repeat(50) }),
    await sign({ sub: secret, weir: { [secret]: 1 } }),
    await sign({ sub: secret, weir: { tenant: `${secret}/` } }),
    await sign({ sub: secret, weir: { limits: { [secret]: secret, publishes: secret } } }),
    await EDDSA.signText(secret),
    `${encode({ alg: "EdDSA", kid: "ed", crit: [secret] })}.${encode(secret)}.AAAA`,
    `${secret} ${secret}`,
    secret.repeat(2_000),
  ];
  for (const token of tokens) {
    const problem = await refuses(token, undefined, /./);
    const shown = Deno.inspect(problem, { depth: 20, strAbbreviateSize: 1e6 });
    assert.ok(!shown.includes(secret), shown);
  }
});

Deno.test("verify() accepts any text or throws a Problem", async () => {
  const part = fc.oneof(
    fc.stringMatching(/^[\w-]{0,40}$/),
    fc.jsonValue().map(encode),
    fc.record({
      alg: fc.oneof(fc.constantFrom("none", ...ALGORITHMS), fc.jsonValue()),
      kid: fc.oneof(fc.constantFrom("hs", "rs", "es", "ed"), fc.jsonValue()),
      b64: fc.jsonValue(),
      crit: fc.jsonValue(),
      zip: fc.jsonValue(),
      jwk: fc.jsonValue(),
    }, { requiredKeys: [] }).map(encode),
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.array(part, { maxLength: 6 }).map((parts) => parts.join(".")),
    fc.tuple(part, part, part).map((parts) => parts.join(".")),
  );
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      await refuses(text, "token_invalid", /^Cannot use the token: /);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("validly signed claims of any JSON throw a Problem", async () => {
  const claim = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom(NOW_SECONDS, "ann"));
  const claims = fc.oneof(
    fc.json(),
    fc.record({
      exp: claim,
      iat: claim,
      nbf: claim,
      sub: claim,
      jti: claim,
      iss: claim,
      aud: claim,
      weir: fc.anything({ maxDepth: 2 }).map((value) => JSON.stringify(value) ?? null),
      ["__proto__"]: claim,
    }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(claims, fc.boolean(), async (text, isChecked) => {
      const token = await HS256.signText(text);
      const options = isChecked ? { issuer: "ann", audience: "ann" } : {};
      await refuses(token, undefined, /./, options);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a weir claim of any JSON gives what its schema accepts, or nothing", async () => {
  const patterns = fc.array(
    fc.oneof(fc.constantFrom("a", "a:*", "**", "$audit", "***", ""), fc.jsonValue()),
    { maxLength: 3 },
  );
  const member = fc.oneof(patterns, fc.jsonValue());
  const weir = fc.oneof(
    fc.jsonValue(),
    fc.record({
      tenant: fc.oneof(fc.constantFrom("acme", "a/b", ""), fc.jsonValue()),
      publish: member,
      subscribe: member,
      presence: member,
      manage: member,
      admin: fc.oneof(fc.boolean(), fc.jsonValue()),
      limits: fc.oneof(fc.record({ bytes: fc.jsonValue() }), fc.jsonValue()),
    }, { requiredKeys: [] }),
    fc.record({
      tenant: fc.constantFrom("acme", "beta"),
      publish: fc.array(fc.constantFrom("a", "a:*", "**"), { maxLength: 3 }),
      admin: fc.boolean(),
    }, { requiredKeys: [] }),
  );
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(weir, async (weir) => {
      const token = await sign({ weir }, HS256);
      const grant = await verify(token).catch((cause) => {
        assert.ok(cause instanceof Problem, String(cause));
        assert.equal(cause.code, "token_invalid");
      });
      if (grant === undefined) return;
      accepted++;
      assert.ok(typeof weir === "object" && weir !== null);
      const { tenant = "default", ...scope } = weir as { tenant?: unknown };
      assert.equal(grant.tenant, tenant);
      assert.deepEqual(grant.scope, scopeSchema.parse(scope));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(accepted > 100, `${accepted} were accepted`);
});

const encoder = new TextEncoder();

function verify(token: string, options: Partial<TokenVerifierOptions> = {}) {
  return new TokenVerifier({
    keys: ALL,
    maxLifetimeMs: MAX_LIFETIME,
    skewMs: SKEW,
    now: () => NOW,
    ...options,
  }).verify(token);
}

/** Returns the refusal of `token`. @param code by default any code of a token's refusal. */
async function refuses(
  token: string,
  code: ProblemCode | undefined,
  detail: RegExp,
  options?: Partial<TokenVerifierOptions>,
): Promise<Problem> {
  const problem = await verify(token, options).then(
    () => assert.fail("it was accepted"),
    (cause: unknown) => cause,
  );
  assert.ok(problem instanceof Problem, String(problem));
  const codes = code === undefined ? ["token_invalid", "token_expired"] : [code];
  assert.ok(codes.includes(problem.code), problem.message);
  assert.match(problem.detail, detail);
  return problem;
}

function partsOf(token: string): readonly [string, string, string] {
  const [header = "", payload = "", signature = ""] = token.split(".");
  return [header, payload, signature];
}

function encode(value: unknown): string {
  return encoder.encode(JSON.stringify(value))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

async function publicKey({ jwk }: Signer): Promise<CryptoKey> {
  const key = await importJWK(jwk, undefined, { extractable: true });
  return key instanceof Uint8Array ? assert.fail("a secret") : key;
}

/** Opens a set of keys for one test. */
class Keys implements AsyncDisposable {
  private constructor(readonly keys: SigningKeys) {}

  static async open(text: string): Promise<Keys> {
    return new Keys(await SigningKeys.open({ kind: "inline", text }));
  }

  static of(...signers: readonly Signer[]): Promise<Keys> {
    return Keys.open(jwksOf(...signers));
  }

  get options(): Partial<TokenVerifierOptions> {
    return { keys: this.keys };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.keys.close();
  }
}
