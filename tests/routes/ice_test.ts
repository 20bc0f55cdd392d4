import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, endingIn, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { readUrl } from "../support/readers.ts";
import { until } from "../support/until.ts";

const TURN = {
  WEIR_STUN_URLS: "stun:127.0.0.1:3478",
  WEIR_TURN_URLS: "turn:127.0.0.1:3478?transport=udp, turns:127.0.0.1:5349",
  WEIR_TURN_SECRET: "a secret of sixteen characters",
};
const POST = { method: "POST" };

Deno.test("a member gets ICE servers and a credential, which is audited without the secret", async () => {
  await using weir = await guardedLocal(TURN);
  const token = await weir.token({ presence: ["call:*"] }, { sub: "ann", ...endingIn(20) });
  const answer = await call(weir.url, "/v1/ice", { ...POST, headers: bearer(token) });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const [stun, turn] = answer.json.iceServers;
  assert.deepEqual(stun, { urls: ["stun:127.0.0.1:3478"] });
  assert.deepEqual(turn.urls, ["turn:127.0.0.1:3478?transport=udp", "turns:127.0.0.1:5349"]);
  assert.match(turn.username, /^\d+:default\/ann$/);
  assert.ok(answer.json.expiresIn > 0 && answer.json.expiresIn <= 20_000);

  const auditor = bearer(await weir.token({ subscribe: ["$audit"] }, { sub: "auditor" }));
  let audit = "";
  await until("it is audited", async () => {
    audit = (await call(weir.url, readUrl("", ["$audit"]), { headers: auditor })).text;
    return audit.includes("turn.issued");
  });
  assert.ok(audit.includes(`"subject":"ann"`), audit);
  assert.ok(!audit.includes(turn.credential));
});

Deno.test("without the right presence, or with a revoked token, there are no ICE servers", async () => {
  await using weir = await guardedLocal(TURN);
  assertRefused(await call(weir.url, "/v1/ice", POST), 401, "unauthenticated");
  const reader = bearer(await weir.token({ subscribe: ["**"], publish: ["**"] }));
  assertRefused(await call(weir.url, "/v1/ice", { ...POST, headers: reader }), 403, "forbidden");
  const token = await weir.token({ presence: ["a"] }, { sub: "bob", jti: "one" });
  const admin = {
    ...bearer(await weir.token({ admin: true })),
    "Content-Type": "application/json",
  };
  const body = JSON.stringify({ jti: "one" });
  const revoked = await call(weir.url, "/v1/revocations", { ...POST, headers: admin, body });
  assert.equal(revoked.status, 201, revoked.text);
  const answer = await call(weir.url, "/v1/ice", { ...POST, headers: bearer(token) });
  assertRefused(answer, 401, "token_revoked");
});

Deno.test("ICE servers are limited like subscribes", async () => {
  await using weir = await guardedLocal({ ...TURN, WEIR_LIMITS: "credential.subscribes=2" });
  const headers = bearer(await weir.token({ presence: ["a"] }));
  await until("the limit is reached", async () => {
    const { status } = await call(weir.url, "/v1/ice", { ...POST, headers });
    assert.ok(status === 200 || status === 429, `${status}`);
    return status === 429;
  });
});

Deno.test("in open mode everyone gets the ICE servers, and none without settings", async () => {
  await using server = await LocalServer.start();
  const { json } = await call(server.url, "/v1/ice", POST);
  assert.deepEqual(json, { iceServers: [], expiresIn: json.expiresIn });
});

Deno.test("settings of ICE servers that cannot work stop the start", () => {
  const { ice } = parseConfig(TURN);
  assert.deepEqual(ice.stunUrls, ["stun:127.0.0.1:3478"]);
  assert.equal(ice.lifetimeMs, 300_000);
  for (
    const [changes, says] of [
      [{ WEIR_STUN_URLS: "stun.example.com" }, /WEIR_STUN_URLS must be .*stun:/],
      [{ WEIR_STUN_URLS: "turn:example.com" }, /WEIR_STUN_URLS/],
      [{ WEIR_TURN_URLS: "turn:user@example.com" }, /WEIR_TURN_URLS/],
      [{ WEIR_TURN_URLS: "turn:example.com?transport=quic" }, /WEIR_TURN_URLS/],
      [{ WEIR_TURN_URLS: Array(9).fill("turn:a").join(",") }, /at most 8/],
      [{ WEIR_TURN_URLS: "" }, /WEIR_TURN_URLS must be set too/],
      [{ WEIR_TURN_SECRET: "short" }, /at least 16/],
      [{ WEIR_TURN_LIFETIME: "2h" }, /WEIR_TURN_LIFETIME/],
    ] as const
  ) {
    assert.throws(() => parseConfig({ ...TURN, ...changes }), says);
  }
  assert.throws(
    () => parseConfig({ WEIR_TURN_URLS: "turn:a" }),
    /WEIR_TURN_SECRET must be set too/,
  );
});
