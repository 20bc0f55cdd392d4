import assert from "node:assert/strict";
import fc from "fast-check";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { ALGORITHMS, MAX_SIGNING_KEYS } from "../../../lib/auth/jwk_set.ts";
import { type KeySource, keySourceOf, MAX_SET_BYTES } from "../../../lib/auth/key_source.ts";
import {
  FILE_INTERVAL_MS,
  RETRY_INTERVAL_MS,
  SigningKeys,
  type SigningKeysOptions,
  UNKNOWN_KID_INTERVAL_MS,
  URL_INTERVAL_MS,
} from "../../../lib/auth/signing_keys.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { freePort } from "../../support/free_port.ts";
import { jwksOf, makeSigner } from "../../support/tokens.ts";
import { until } from "../../support/until.ts";

const [OLD, NEW, OTHER] = await Promise.all([
  makeSigner("EdDSA", "old"),
  makeSigner("ES256", "new"),
  makeSigner("EdDSA", "other"),
]);
const RSA = await makeSigner("RS256", "rsa");
const SECRET = await makeSigner("HS256", "secret");

Deno.test("finds keys of all four algorithms by kid, with or without alg", async () => {
  for (const algorithm of ALGORITHMS) {
    const { jwk, kid } = await makeSigner(algorithm);
    const { alg: _, ...without } = jwk;
    for (const each of [jwk, without, { ...jwk, use: "sig", key_ops: ["verify"] }]) {
      await using set = await Opened.inline(each);
      const found = await set.keys.find(algorithm, kid);
      assert.equal(found.kid, kid);
      assert.equal(found.algorithm, algorithm);
      assert.equal(found.tenant, undefined);
      assert.notEqual(found.key.type, "private");
      assert.equal(await set.keys.find(algorithm, undefined), found);
    }
  }
});

Deno.test("a key works with its algorithm only, and a token without kid uses the only such key", async () => {
  await using set = await Opened.inline(OLD.jwk, OTHER.jwk, NEW.jwk);
  await refuses(
    set.keys.find("HS256", "old"),
    "token_invalid",
    /"old" is for EdDSA, not for HS256/,
  );
  await refuses(set.keys.find("EdDSA", "none"), "token_invalid", /no key has the "kid" "none"/);
  await refuses(set.keys.find("EdDSA", undefined), "token_invalid", /several keys are for EdDSA/);
  await refuses(set.keys.find("HS256", undefined), "token_invalid", /no key is for HS256/);
  assert.equal((await set.keys.find("ES256", undefined)).kid, "new");
});

Deno.test("a public key without kid gets its thumbprint as kid (RFC 8037, appendix A.3)", async () => {
  await using set = await Opened.inline({
    kty: "OKP",
    crv: "Ed25519",
    x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  });
  const { kid } = await set.keys.find("EdDSA", undefined);
  assert.equal(kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

Deno.test("uses only the public part of a private key and warns the operator", async () => {
  for (const algorithm of ["RS256", "ES256", "EdDSA"] as const) {
    const { privateJwk, kid } = await makeSigner(algorithm);
    await using set = await Opened.inline({ ...privateJwk, key_ops: ["sign"] });
    assert.equal((await set.keys.find(algorithm, kid)).key.type, "public");
    assert.deepEqual(set.warnings, [
      "In the keys in WEIR_JWKS, key 1 is private: only its public part is needed.",
    ]);
  }
});

Deno.test("a secret can be neither exported nor inspected", async () => {
  await using set = await Opened.inline(SECRET.jwk);
  const { key } = await set.keys.find("HS256", "secret");
  assert.equal(key.extractable, false);
  const shown = Deno.inspect([set.keys, await set.keys.find("HS256", "secret")], { depth: 20 });
  assert.ok(!shown.includes(SECRET.jwk.k ?? assert.fail()));
});

const weak = await crypto.subtle.generateKey(
  {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 1_024,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  },
  true,
  ["sign", "verify"],
);
const p384 = await generateKeyPair("ES384", { extractable: true });

const BAD_KEYS: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  "an RSA key of 1,024 bits": [
    { ...await exportJWK(weak.publicKey), alg: "RS256", kid: "k", key_ops: undefined },
    /less than 2048 bits/,
  ],
  "a short secret": [
    { kty: "oct", kid: "k", k: new Uint8Array(31).toBase64({ alphabet: "base64url" }) },
    /shorter than 32 bytes/,
  ],
  "a secret without kid": [{ ...SECRET.jwk, kid: undefined }, /has no "kid"/],
  "a curve that is not P-256": [await exportJWK(p384.publicKey), /"crv"/],
  "X25519": [{ kty: "OKP", crv: "X25519", x: OLD.jwk.x }, /"crv"/],
  "RS512": [{ ...RSA.jwk, alg: "RS512" }, /"alg" is "RS512"/],
  "PS256": [{ ...RSA.jwk, alg: "PS256" }, /"alg" is "PS256"/],
  "HS256 for an RSA key": [{ ...RSA.jwk, alg: "HS256" }, /"alg" is "HS256"/],
  "none": [{ ...RSA.jwk, alg: "none" }, /"alg" is "none"/],
  "a key for encryption": [{ ...RSA.jwk, use: "enc" }, /"use" is "enc"/],
  "a key for other operations": [{ ...RSA.jwk, key_ops: ["wrapKey"] }, /"key_ops"/],
  "a truncated key": [{ ...NEW.jwk, x: NEW.jwk.x?.slice(1) }, /"x"/],
  "an RSA key with invalid characters": [{ ...RSA.jwk, n: "secret!" }, /not a valid key for RS256/],
  "a secret with invalid characters": [
    { ...SECRET.jwk, k: "secret!" },
    /not a valid key for HS256/,
  ],
  "an unknown kty": [{ kty: "secret", kid: "k" }, /must be oct, RSA, EC or OKP/],
  "a kid that is not a string": [{ ...RSA.jwk, kid: 1 }, /"kid"/],
  "a very long kid": [{ ...RSA.jwk, kid: "k".repeat(257) }, /"kid"/],
  "an empty kid": [{ ...RSA.jwk, kid: "" }, /"kid"/],
  "an invalid tenant": [{ ...RSA.jwk, weir_tenant: "a/b" }, /"weir_tenant"/],
  "no object": ["secret", /must be oct/],
  "null": [null, /must be oct/],
};

for (const [name, [jwk, fault]] of Object.entries(BAD_KEYS)) {
  Deno.test(`${name} in the setting prevents the start, and at a URL is skipped`, async () => {
    const text = JSON.stringify({ keys: [OLD.jwk, jwk] });
    await assert.rejects(SigningKeys.open({ kind: "inline", text }), (cause: Error) => {
      assert.match(cause.message, fault);
      assert.match(cause.message, /^Cannot use the keys in WEIR_JWKS: key 2 cannot be used: /);
      assert.doesNotMatch(cause.message, /secret[^ ]/);
      return true;
    });
    await using server = new JwksServer(text);
    await using set = await Opened.url(server);
    assert.equal((await set.keys.find("EdDSA", undefined)).kid, "old");
    await refuses(set.keys.find("RS256", undefined), "token_invalid", /no key is for RS256/);
    assert.equal(set.warnings.length, 1);
    assert.match(set.warnings[0] ?? "", fault);
  });
}

Deno.test("a second key with the same kid prevents the start, and at a URL is skipped", async () => {
  const text = JSON.stringify({ keys: [OLD.jwk, { ...NEW.jwk, kid: "old" }] });
  await assert.rejects(
    SigningKeys.open({ kind: "inline", text }),
    /another key has the "kid" "old" too/,
  );
  await using server = new JwksServer(text);
  await using set = await Opened.url(server);
  assert.equal((await set.keys.find("EdDSA", "old")).algorithm, "EdDSA");
});

const BAD_SETS: Readonly<Record<string, readonly [string, RegExp]>> = {
  "no JSON": [`{"keys": secret`, /not JSON/],
  "no set": [`{"kty":"oct","k":"secret"}`, /not {"keys": \[…\]} with 1–100 keys/],
  "an empty set": [`{"keys":[]}`, /with 1–100 keys/],
  "keys that are not a list": [`{"keys":{"secret":1}}`, /with 1–100 keys/],
  "too many keys": [
    JSON.stringify({ keys: Array.from({ length: MAX_SIGNING_KEYS + 1 }, () => OLD.jwk) }),
    /with 1–100 keys/,
  ],
  "only unknown keys": [`{"keys":[{"kty":"AKP"}]}`, /can(?:not)? be used/],
};

for (const [name, [text, fault]] of Object.entries(BAD_SETS)) {
  Deno.test(`${name} in the setting or a file prevents the start, at a URL or later keeps the keys`, async () => {
    const refused = (cause: Error) => {
      assert.match(cause.message, fault);
      assert.doesNotMatch(cause.message, /secret/);
      return true;
    };
    await assert.rejects(SigningKeys.open({ kind: "inline", text }), refused);
    await using file = await KeyFile.write(text);
    await assert.rejects(SigningKeys.open(file.source), refused);

    for (const source of ["file", "url"] as const) {
      await using kept = await Changing.start(source, jwksOf(OLD));
      const before = await kept.set.keys.find("EdDSA", "old");
      await kept.change(text);
      await kept.change(text);
      assert.equal(await kept.set.keys.find("EdDSA", "old"), before);
      assert.equal(kept.set.warnings.length, 1, "said once");
      refused(new Error(kept.set.warnings[0]));
      assert.deepEqual(kept.set.removed, []);
      await kept.change(jwksOf(NEW));
      assert.equal((await kept.set.keys.find("ES256", "new")).kid, "new");
      assert.deepEqual(kept.set.removed, [["old"]]);
    }
  });
}

Deno.test("accepts the maximum number of keys", async () => {
  const keys = Array.from({ length: MAX_SIGNING_KEYS }, (_, i) => ({ ...OLD.jwk, kid: `k${i}` }));
  await using set = await Opened.inline(...keys);
  assert.equal(
    (await set.keys.find("EdDSA", `k${MAX_SIGNING_KEYS - 1}`)).kid,
    `k${MAX_SIGNING_KEYS - 1}`,
  );
});

Deno.test("a missing file, a folder and an endless file prevent the start", async () => {
  const folder = await Deno.makeTempDir();
  for (const path of [`${folder}/secret`, folder, "/dev/zero"]) {
    await assert.rejects(SigningKeys.open({ kind: "file", path }), (cause: Error) => {
      assert.match(cause.message, /^Cannot use the keys in the file that WEIR_JWKS names: /);
      assert.ok(!cause.message.includes(path));
      return true;
    });
  }
  await Deno.remove(folder);
});

Deno.test("open() accepts any text or rejects it with a sentence", async () => {
  const member = fc.constantFrom("kty", "crv", "k", "n", "e", "x", "y", "kid", "alg", "use", "d");
  const jwk = fc.tuple(
    fc.constantFrom<object>({}, OLD.jwk, NEW.jwk, RSA.jwk, SECRET.jwk),
    fc.dictionary(member, fc.oneof(fc.jsonValue(), fc.base64String())),
  ).map(([jwk, changes]) => ({ ...jwk, ...changes }));
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ keys: fc.jsonValue() }).map((value) => JSON.stringify(value)),
    fc.record({ keys: fc.array(jwk) }).map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      try {
        const set = await SigningKeys.open({ kind: "inline", text });
        await set.close();
      } catch (cause) {
        assert.ok(cause instanceof Error);
        assert.match(cause.message, /^Cannot use the keys in WEIR_JWKS: .+\.$/s);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("knows() compares the key, not only its kid", async () => {
  await using set = await Opened.inline(OLD.jwk, { ...NEW.jwk, kid: "same" });
  const { kid, fingerprint } = await set.keys.find("EdDSA", "old");
  assert.equal(set.keys.knows(kid, fingerprint), true);
  for (const jwk of [OTHER.jwk, { ...OLD.jwk, weir_tenant: "acme" }]) {
    await using others = await Opened.inline({ ...jwk, kid });
    assert.equal(others.keys.knows(kid, fingerprint), false);
  }
  await using again = await Opened.inline({ ...OLD.privateJwk, use: "sig" });
  assert.equal(again.keys.knows(kid, fingerprint), true);
  assert.equal(set.keys.knows("same", fingerprint), false);
  assert.doesNotMatch(fingerprint, new RegExp(OLD.jwk.x ?? ""));
});

Deno.test("findOut() reads the source for an unknown key, once per interval", async () => {
  await using server = new JwksServer(jwksOf(OLD));
  await using set = await Opened.url(server);
  await set.keys.refresh(); // the first answer
  await using elsewhere = await Opened.inline(OLD.jwk, NEW.jwk);
  const { kid, fingerprint } = await elsewhere.keys.find("ES256", "new");
  assert.equal(await set.keys.findOut(kid, fingerprint), false);
  server.text = jwksOf(OLD, NEW);
  set.clock.now += UNKNOWN_KID_INTERVAL_MS;
  assert.equal(set.keys.knows(kid, fingerprint), false);
  assert.equal(await set.keys.findOut(kid, fingerprint), true);
  const { requests } = server;
  for (let i = 0; i < 5; i++) assert.equal(await set.keys.findOut("no", fingerprint), false);
  assert.equal(server.requests, requests);
});

for (const kind of ["file", "url"] as const) {
  Deno.test(`rotates a key without downtime: both are valid, then only the new one (${kind})`, async () => {
    await using changing = await Changing.start(kind, jwksOf(OLD));
    const { keys, removed } = changing.set;
    const old = await keys.find("EdDSA", "old");
    await changing.change(jwksOf(OLD, NEW));
    assert.equal(await keys.find("EdDSA", "old"), old);
    const next = await keys.find("ES256", "new");
    assert.deepEqual(removed, []);
    await changing.change(jwksOf(NEW));
    assert.deepEqual(removed, [["old"]]);
    assert.equal(keys.knows(old.kid, old.fingerprint), false);
    assert.equal(keys.knows(next.kid, next.fingerprint), true);
    assert.equal(await keys.find("ES256", "new"), next);
    await refuses(keys.find("EdDSA", "old"), "token_invalid", /no key has the "kid" "old"/);
    assert.deepEqual(changing.set.warnings, []);
  });

  Deno.test(`a key with a known kid but another tenant or material replaces it (${kind})`, async () => {
    await using changing = await Changing.start(kind, jwksOf(OLD, NEW));
    const { keys, removed } = changing.set;
    const old = await keys.find("EdDSA", "old");
    await changing.change(jwksOf({ jwk: { ...OTHER.jwk, kid: "old" } }, NEW));
    assert.deepEqual(removed, [["old"]]);
    assert.equal(keys.knows(old.kid, old.fingerprint), false);
    const other = await keys.find("EdDSA", "old");
    await changing.change(jwksOf({ jwk: { ...OTHER.jwk, kid: "old", weir_tenant: "acme" } }, NEW));
    assert.deepEqual(removed, [["old"], ["old"]]);
    assert.equal(keys.knows(other.kid, other.fingerprint), false);
    assert.equal((await keys.find("EdDSA", "old")).tenant, "acme");
  });
}

Deno.test("an unknown kid reads a file again, but not before its interval", async () => {
  await using file = await KeyFile.write(jwksOf(OLD));
  await using set = await Opened.source(file.source);
  await file.replace(jwksOf(NEW));
  set.clock.now += FILE_INTERVAL_MS - 1;
  await refuses(set.keys.find("ES256", "new"), "token_invalid", /no key has the "kid" "new"/);
  set.clock.now += 1;
  assert.equal((await set.keys.find("ES256", "new")).kid, "new");
});

Deno.test("a file that disappears keeps the keys and is read when it is back", async () => {
  await using file = await KeyFile.write(jwksOf(OLD));
  await using set = await Opened.source(file.source);
  await Deno.remove(file.path);
  await set.pass(FILE_INTERVAL_MS);
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old");
  assert.match(set.warnings.join(), /cannot be opened \(NotFound\)/);
  await file.replace(jwksOf(NEW));
  await set.pass(RETRY_INTERVAL_MS);
  assert.deepEqual(set.removed, [["old"]]);
});

Deno.test("use fetches a URL again after its interval, in the background", async () => {
  await using server = new JwksServer(jwksOf(OLD));
  await using set = await Opened.url(server);
  await set.keys.find("EdDSA", "old");
  server.text = jwksOf(NEW);
  set.clock.now += URL_INTERVAL_MS - 1;
  await set.keys.find("EdDSA", "old");
  assert.equal(server.requests, 1);
  set.clock.now += 1;
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old", "not waited for");
  await until("the keys are replaced", () => set.removed.length > 0);
  assert.equal(server.requests, 2);
});

Deno.test("a URL is fetched again without use, because removed keys end streams", async () => {
  await using server = new JwksServer(jwksOf(OLD));
  await using set = await Opened.url(server);
  await set.keys.find("EdDSA", "old");
  server.text = jwksOf(NEW);
  set.clock.now += URL_INTERVAL_MS;
  await until("the timer has fetched the keys", () => set.removed.length > 0);
  assert.deepEqual(set.removed, [["old"]]);
});

Deno.test("any number of unknown kids fetch the URL once per interval", async () => {
  await using server = new JwksServer(jwksOf(OLD));
  await using set = await Opened.url(server);
  await set.keys.find("EdDSA", "old");
  const unknown = (i: number) =>
    refuses(
      set.keys.find("EdDSA", `random-${i}`),
      "token_invalid",
      /no key has the "kid" "random-/,
    );
  for (let interval = 1; interval <= 3; interval++) {
    set.clock.now += UNKNOWN_KID_INTERVAL_MS - 1;
    await Promise.all(Array.from({ length: 50 }, (_, i) => unknown(i)));
    assert.equal(server.requests, interval);
    set.clock.now += 1;
    await Promise.all(Array.from({ length: 50 }, (_, i) => unknown(i)));
    for (let i = 0; i < 50; i++) await unknown(i);
    assert.equal(server.requests, interval + 1);
  }
  server.text = jwksOf(OLD, NEW);
  set.clock.now += UNKNOWN_KID_INTERVAL_MS;
  assert.equal((await set.keys.find("ES256", "new")).kid, "new", "waited for");
});

Deno.test("a URL that is down does not prevent the start, but tokens are refused until it is up", async () => {
  const port = freePort();
  await using set = await Opened.source({ kind: "url", url: `http://127.0.0.1:${port}/secret` });
  await refuses(set.keys.find("EdDSA", "old"), "keys_unavailable", /Try again/);
  assert.equal(set.warnings.length, 1);
  assert.match(set.warnings[0] ?? "", /cannot be reached/);
  assert.doesNotMatch(set.warnings[0] ?? "", /secret/);
  await using server = new JwksServer(jwksOf(OLD), port);
  set.clock.now += RETRY_INTERVAL_MS - 1;
  await refuses(set.keys.find("EdDSA", "old"), "keys_unavailable", /Try again/);
  set.clock.now += 1;
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old", "waited for");
  assert.equal(server.requests, 1);
});

Deno.test("a URL that goes down keeps the keys", async () => {
  await using set = await (async () => {
    await using server = new JwksServer(jwksOf(OLD));
    const set = await Opened.url(server);
    await set.keys.find("EdDSA", "old");
    return set;
  })();
  await set.pass(URL_INTERVAL_MS);
  await set.pass(RETRY_INTERVAL_MS);
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old");
  assert.equal(set.warnings.length, 1, "said once");
  assert.deepEqual(set.removed, []);
});

Deno.test("a URL that never answers times out, and all waiting calls share one request", async () => {
  using silent = new SilentServer();
  await using set = await Opened.source({ kind: "url", url: silent.url }, { timeoutMs: 50 });
  const finds = Array.from(
    { length: 20 },
    () => refuses(set.keys.find("EdDSA", "old"), "keys_unavailable", /Try again/),
  );
  await Promise.all(finds);
  await until("it was requested", () => silent.connections > 0);
  assert.equal(silent.connections, 1);
  assert.match(set.warnings.join(), /it took more than 50 ms to answer/);
});

Deno.test("a URL that stops halfway times out", async () => {
  await using server = new JwksServer("");
  server.answer = () =>
    new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(utf8.encode(`{"keys":`)) }),
    );
  await using set = await Opened.url(server, { timeoutMs: 50 });
  await refuses(set.keys.find("EdDSA", "old"), "keys_unavailable", /Try again/);
  assert.match(set.warnings.join(), /it took more than 50 ms to answer/);
});

Deno.test("close() aborts a request without a warning", async () => {
  using silent = new SilentServer();
  const set = await Opened.source({ kind: "url", url: silent.url });
  await until("it was requested", () => silent.connections === 1);
  await set[Symbol.asyncDispose]();
  assert.deepEqual(set.warnings, []);
});

Deno.test("a body that is too long or endless is cut off", async () => {
  const cancelled = Promise.withResolvers<void>();
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(16 * 2 ** 10).fill(32)),
        cancel: () => cancelled.resolve(),
      }),
    );
  const padded = jwksOf(NEW).padEnd(MAX_SET_BYTES + 1);
  await using server = new JwksServer(jwksOf(OLD).padEnd(MAX_SET_BYTES));
  await using set = await Opened.url(server);
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old", "the longest that is taken");
  server.answer = endless;
  await set.pass(URL_INTERVAL_MS);
  await cancelled.promise;
  server.answer = () => new Response(padded);
  await set.pass(RETRY_INTERVAL_MS);
  // More than 256 KiB, compressed to a few hundred bytes.
  const zipped = await new Response(
    new Blob([padded]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  server.answer = () => new Response(zipped, { headers: { "Content-Encoding": "gzip" } });
  await set.pass(RETRY_INTERVAL_MS);
  assert.equal((await set.keys.find("EdDSA", "old")).kid, "old");
  await refuses(set.keys.find("ES256", "new"), "token_invalid", /no key has the "kid" "new"/);
  assert.deepEqual(set.warnings, [
    "Cannot use the keys at the URL that WEIR_JWKS names: it is longer than 262144 bytes.",
  ]);
  assert.equal(server.requests, 4);
});

Deno.test("does not follow a redirect and rejects other statuses", async () => {
  await using target = new JwksServer(jwksOf(NEW));
  await using server = new JwksServer("");
  server.answer = () => new Response(null, { status: 302, headers: { Location: target.url } });
  await using set = await Opened.url(server);
  await refuses(set.keys.find("ES256", "new"), "keys_unavailable", /Try again/);
  server.answer = () => new Response(jwksOf(NEW), { status: 500 });
  await set.pass(RETRY_INTERVAL_MS);
  await refuses(set.keys.find("ES256", "new"), "keys_unavailable", /Try again/);
  assert.equal(target.requests, 0);
  assert.match(set.warnings[0] ?? "", /status 302, which is not followed/);
  assert.match(set.warnings[1] ?? "", /status 500\./);
});

const utf8 = new TextEncoder();

async function refuses(
  promise: Promise<unknown>,
  code: Problem["code"],
  detail: RegExp,
): Promise<void> {
  await assert.rejects(promise, (cause) => {
    assert.ok(cause instanceof Problem, String(cause));
    assert.equal(cause.code, code);
    assert.match(cause.detail, detail);
    return true;
  });
}

/** A set with a stopped clock, and what it reported. */
class Opened implements AsyncDisposable {
  readonly warnings: string[] = [];
  readonly removed: (readonly string[])[] = [];

  private constructor(readonly keys: SigningKeys, readonly clock: { now: number }) {}

  static async source(source: KeySource, options: SigningKeysOptions = {}): Promise<Opened> {
    const clock = { now: 0 };
    const warnings: string[] = [];
    const removed: (readonly string[])[] = [];
    const keys = await SigningKeys.open(source, {
      now: () => clock.now,
      warn: (message) => warnings.push(message),
      onRemoved: (kids) => removed.push(kids),
      ...options,
    });
    return Object.assign(new Opened(keys, clock), { warnings, removed });
  }

  static inline(...keys: readonly JWK[]): Promise<Opened> {
    return Opened.source({ kind: "inline", text: JSON.stringify({ keys }) });
  }

  static url(server: JwksServer, options: SigningKeysOptions = {}): Promise<Opened> {
    return Opened.source(keySourceOf(server.url), options);
  }

  /** Advances the clock and waits for what is due. */
  async pass(milliseconds: number): Promise<void> {
    this.clock.now += milliseconds;
    await this.keys.refresh();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.keys.close();
  }
}

/** A set whose file or URL can change. */
class Changing implements AsyncDisposable {
  private constructor(
    readonly set: Opened,
    readonly change: (text: string) => Promise<void>,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async start(kind: "file" | "url", text: string): Promise<Changing> {
    const resources = new AsyncDisposableStack();
    const file = resources.use(await KeyFile.write(text));
    const server = resources.use(new JwksServer(text));
    const set = await (kind === "file" ? Opened.source(file.source) : Opened.url(server));
    resources.use(set);
    await set.keys.refresh(); // the URL's first answer
    return new Changing(set, async (text) => {
      await file.replace(text);
      server.text = text;
      await set.pass(URL_INTERVAL_MS);
    }, resources);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resources.disposeAsync();
  }
}

class KeyFile implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async write(text: string): Promise<KeyFile> {
    const file = new KeyFile(await Deno.makeTempFile({ suffix: ".json" }));
    await file.replace(text);
    return file;
  }

  get source(): KeySource {
    return { kind: "file", path: this.path };
  }

  /** Replaces the file by another one, as deployments do. */
  async replace(text: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}.new`, text);
    await Deno.rename(`${this.path}.new`, this.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path);
  }
}

/** Serves a JWK set on this machine and counts the requests. */
class JwksServer implements AsyncDisposable {
  requests = 0;
  answer: () => Response = () => new Response(this.text);
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stopping = new AbortController();

  constructor(public text: string, port = 0) {
    const options = { hostname: "127.0.0.1", port, signal: this.#stopping.signal, onListen() {} };
    this.#server = Deno.serve(options, () => {
      this.requests++;
      return this.answer();
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/jwks.json`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#server.finished;
  }
}

/** Accepts connections and never answers. */
class SilentServer implements Disposable {
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open: Deno.Conn[] = [];

  constructor() {
    this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}/`;
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.connections++;
      this.#open.push(connection);
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
  }
}
