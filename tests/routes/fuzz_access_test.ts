import assert from "node:assert/strict";
import fc from "fast-check";
import { call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";

const ENV = { WEIR_TRUSTED_PROXIES: "127.0.0.1", WEIR_LIMITS: "credential.subscribes=100000" };
const ALL = { publish: ["**"], subscribe: ["**"], manage: ["**"], admin: true };
const PATH = readUrl("", ["a"]);
const RUNS = { numRuns: 400 };

/** Characters of a header's value. */
const headerText = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).filter((c) => c < 0x7f || c > 0x9f)
    .map((c) => String.fromCharCode(c)),
  maxLength: 200,
}).map((text) => text.trim());
const base64url = fc.stringMatching(/^[\w-]{0,60}$/);
const jsonPart = fc.oneof(fc.json(), headerText).map((text) =>
  btoa(text.replaceAll(/[^ -\xff]/g, "?"))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")
);
const looksLikeToken = fc.tuple(
  fc.oneof(base64url, jsonPart),
  fc.oneof(base64url, jsonPart),
  base64url,
)
  .map((parts) => parts.join("."));
const unsigned = fc.tuple(
  fc.constantFrom("none", "None", "NONE", "HS256", "EdDSA", "RS256", "", null),
  fc.constantFrom({ sub: "ann", exp: 2e10, weir: ALL }, {}, { weir: ALL }),
).map(([alg, claims]) => [{ alg }, claims].map((part) => encode(part)).join(".") + ".");
const looksLikeKey = fc.stringMatching(/^weir_[0-9A-Za-z]{45,55}$/);
const looksLikeTicket = fc.stringMatching(/^wt_[0-9A-Za-z]{30,34}$/);
const credential = fc.oneof(
  headerText,
  looksLikeToken,
  unsigned,
  looksLikeKey,
  looksLikeTicket,
  fc.constantFrom("", ".", "..", "...", "null", "undefined", "Bearer", "*", "default", "open"),
);

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

let ips = 0;

/** Uses a different IP for each request, so that the limit of refused ones does not interfere. */
function from(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const number = ips++;
  return { "X-Forwarded-For": `10.1.${number >> 8 & 255}.${number & 255}`, ...headers };
}

Deno.test("no random Authorization header, cookie or ticket is accepted", async () => {
  await using weir = await guardedLocal(ENV);
  const scheme = fc.constantFrom(
    "Bearer ",
    "bearer ",
    "BEARER  ",
    "Bearer",
    "Basic ",
    "",
    "Token ",
  );
  await fc.assert(
    fc.asyncProperty(scheme, credential, async (scheme, text) => {
      const cookie = text.replaceAll(/[^\x21-\x7e]/g, "");
      const requests = [
        call(weir.url, PATH, { headers: from({ Authorization: scheme + text }) }),
        call(weir.url, PATH, { headers: from({ Cookie: `weir=${cookie}` }) }),
        call(weir.url, PATH, { headers: from({ Cookie: cookie }) }),
        call(weir.url, `${PATH}ticket=${encodeURIComponent(text)}`, { headers: from({}) }),
      ];
      for (const { status, code, text: answer } of await Promise.all(requests)) {
        assert.ok(status === 401 || (status === 400 && code === "token_in_url"), answer);
      }
    }),
    RUNS,
  );
});

Deno.test("a token with one changed character is refused", async () => {
  await using weir = await guardedLocal(ENV);
  const token = await weir.token(ALL);
  const place = fc.nat({ max: token.length - 1 });
  const character = fc.constantFrom(..."AQgw-_09zZ.=+/ ");
  await fc.assert(
    fc.asyncProperty(place, character, fc.boolean(), async (at, other, isInserted) => {
      const changed = token.slice(0, at) + other + token.slice(isInserted ? at : at + 1);
      // Space around a credential is ignored.
      fc.pre(changed.trim() !== token);
      const answer = await call(weir.url, PATH, { headers: from(bearer(changed)) });
      assert.deepEqual([answer.status, answer.code], [401, "token_invalid"], answer.text);
    }),
    RUNS,
  );
  assert.equal((await call(weir.url, PATH, { headers: bearer(token) })).status, 200);
});

const pattern = fc.oneof(
  fc.constantFrom("a", "*", "**", "b", "a:*", "$**", "**a", "a**", "A", "", "***", "a\u0000"),
  fc.string({ maxLength: 5 }),
);
/** Values of the claim `weir`: valid, almost valid and invalid. */
const claim: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc.oneof(
  fc.record({
    tenant: fc.constantFrom("vault", "other"),
    subscribe: fc.array(fc.constantFrom("a", "*", "**", "b", "a:*", "**a", "A"), { maxLength: 3 }),
    admin: fc.boolean(),
  }, { requiredKeys: [] }),
  fc.record({
    tenant: fc.oneof(
      fc.constantFrom("vault", "Vault", "vault/", "vault ", "vau\u0000lt", "../vault", "*", ""),
      fc.string({ maxLength: 5 }),
      fc.jsonValue(),
    ),
    subscribe: fc.oneof(
      fc.array(pattern, { maxLength: 4 }),
      fc.constantFrom("**", true, { 0: "**" }, [["**"]], null),
    ),
    publish: fc.array(pattern, { maxLength: 3 }),
    manage: fc.array(pattern, { maxLength: 3 }),
    admin: fc.constantFrom(true, "true", 1, null),
    limits: fc.jsonValue(),
    unknown: fc.constant(1),
  }, { requiredKeys: [] }),
);

/** Returns whether a pattern matches `name`, by another algorithm than Weir's. */
function matches(patterns: unknown, name: string): boolean {
  if (!Array.isArray(patterns)) return false;
  return patterns.some((pattern) => {
    const source = String(pattern).split(/(\*\*|\*)/).map((part) =>
      part === "**" ? "[^]*" : part === "*" ? "[^:/]*" : RegExp.escape(part)
    ).join("");
    return !String(pattern).startsWith("$") && new RegExp(`^${source}$`).test(name);
  });
}

Deno.test("a signed token with any claims gets only the rights it claims, in its tenant", async () => {
  await using weir = await guardedLocal(ENV);
  const vault = await weir.token({ ...ALL, tenant: "vault" });
  await publish(weir.url, "a", "gold", bearer(vault));
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(claim, fc.boolean(), async (claimed, isWhole) => {
      const token = await weir.signer.sign({ sub: "x", weir: isWhole ? claimed : [claimed] });
      const headers = from(bearer(token));
      const read = await call(weir.url, PATH, { headers });
      assert.ok([200, 401, 403].includes(read.status), read.text);
      const keys = await call(weir.url, "/v1/keys", { headers: from(bearer(token)) });
      assert.ok([200, 401, 403].includes(keys.status), keys.text);
      if (keys.status === 200) assert.equal(claimed["admin"], true);
      if (read.status !== 200) return;
      accepted++;
      assert.ok(matches(claimed["subscribe"], "a"), JSON.stringify(claimed));
      const isVault = claimed["tenant"] === "vault";
      assert.deepEqual(read.json.events.length, isVault ? 1 : 0, JSON.stringify(claimed));
    }),
    RUNS,
  );
  assert.ok(accepted > 20, `only ${accepted} tokens were good`);
});

Deno.test("claims of a wrong type or time are neither accepted nor a server error", async () => {
  await using weir = await guardedLocal(ENV);
  const time = fc.oneof(
    fc.jsonValue(),
    fc.double(),
    fc.constantFrom(0, -1, 1e300, "9999999999", Date.now(), null),
  );
  const soon = Math.floor(Date.now() / 1_000) + 60;
  const claims = fc.record({
    exp: fc.oneof({ weight: 2, arbitrary: fc.constant(soon) }, time),
    iat: fc.oneof({ weight: 2, arbitrary: fc.constant(soon - 60) }, time),
    nbf: fc.oneof({ weight: 2, arbitrary: fc.constant(soon - 60) }, time),
    sub: fc.oneof({ weight: 2, arbitrary: fc.string({ minLength: 1 }) }, fc.jsonValue()),
    jti: fc.oneof({ weight: 2, arbitrary: fc.string({ minLength: 1 }) }, fc.jsonValue()),
    aud: fc.jsonValue(),
    iss: fc.jsonValue(),
  }, { requiredKeys: ["exp"] });
  const day = 86_400;
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(claims, async (claims) => {
      const token = await weir.token(ALL, claims);
      const answer = await call(weir.url, PATH, { headers: from(bearer(token)) });
      assert.ok([200, 401].includes(answer.status), answer.text);
      if (answer.status === 401) return;
      accepted++;
      const now = Date.now() / 1_000;
      const { exp, iat, nbf } = claims as Readonly<Record<string, unknown>>;
      assert.ok(typeof exp === "number" && exp > now - 1 && exp < now + day + 1, token);
      for (const past of [iat, nbf]) {
        assert.ok(past === undefined || (typeof past === "number" && past <= now + 1), token);
      }
    }),
    RUNS,
  );
  assert.ok(accepted > 20, `only ${accepted} tokens were good`);
});

Deno.test("no random frame authenticates a socket", async () => {
  await using weir = await guardedLocal();
  lookAtAll(weir);
  const token = fc.oneof(credential, fc.jsonValue());
  const frame = fc.oneof(
    token.map((token) => JSON.stringify({ op: "auth", ref: 1, token })),
    fc.tuple(token, fc.dictionary(fc.string(), fc.jsonValue())).map(([token, members]) =>
      JSON.stringify({ op: "auth", token, ...members })
    ),
    fc.constantFrom("auth", "AUTH", "token", "authenticated", "welcome").map((op) =>
      JSON.stringify({ op, token: "x", authority: "open", tenant: "default" })
    ),
    fc.json(),
    fc.string(),
  );
  const then = { op: "subscribe", ref: "then", channel: "a", after: "earliest" };
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 3 }), async (frames) => {
      await using socket = await SocketClient.open(weir.url);
      for (const frame of frames) socket.sendText(frame);
      socket.send(then, { op: "publish", ref: "then", channel: "a", data: 1 });
      for (let isOpen = true; isOpen;) {
        const { op, ref, code } = await socket.next();
        assert.ok(["error", "goodbye", "pong"].includes(op), `${op} ${code}`);
        assert.notEqual(code, "internal");
        isOpen = op !== "goodbye" && ref !== "then";
      }
    }),
    { numRuns: 200 },
  );
  const { json } = await call(weir.url, PATH, { headers: bearer(await weir.token(ALL)) });
  assert.deepEqual(json.events, []);
});

/** Turns off the limit of refused credentials. */
function lookAtAll({ server }: Guarded<LocalServer>): void {
  const { limiter } = server.server.access;
  limiter.checkFailedAuthentications = limiter.countFailedAuthentication = () => {};
}
