import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { OPEN } from "../../../lib/auth/authority.ts";
import { IceCredentials, type IceSettings } from "../../../lib/rtc/ice_credentials.ts";
import { authorityOf } from "../../support/grants.ts";

const NOW = 1_700_000_000_500;
const SECRET = "a secret of coturn";
const TURN: IceSettings = {
  stunUrls: ["stun:127.0.0.1"],
  turn: { urls: ["turn:127.0.0.1:3478?transport=udp"], secret: SECRET },
  lifetimeMs: 300_000,
};
const PRESENCE = { presence: ["call:*"] };

const issue = (authority = authorityOf(PRESENCE), settings = TURN) =>
  new IceCredentials(settings, () => NOW).issue(authority);

function turnOf({ iceServers }: Awaited<ReturnType<typeof issue>>) {
  const found = iceServers.find(({ username }) => username !== undefined);
  return { username: found?.username ?? "", credential: found?.credential };
}

Deno.test("a TURN credential is the HMAC-SHA1 of its expiry and its user", async () => {
  const answer = await issue();
  const username = "1700000300:default/ann";
  const credential = createHmac("sha1", SECRET).update(username).digest("base64");
  assert.deepEqual(answer, {
    iceServers: [
      { urls: ["stun:127.0.0.1"] },
      { urls: ["turn:127.0.0.1:3478?transport=udp"], username, credential },
    ],
    expiresIn: 299_500,
  });
});

Deno.test("a TURN credential ends with the caller's own", async () => {
  const answer = await issue(authorityOf(PRESENCE, { expiresAt: NOW + 10_000 }));
  assert.equal(turnOf(answer).username, "1700000010:default/ann");
  assert.equal(answer.expiresIn, 9_500);
});

Deno.test("the user of a TURN credential is the subject, the API key, or the kind of access", async () => {
  const key = authorityOf(PRESENCE, { subject: undefined, kind: "key", keyId: "k7" });
  const anonymous = authorityOf(PRESENCE, { subject: undefined, kind: "anonymous" });
  const users = await Promise.all([key, anonymous, OPEN].map((authority) => issue(authority)));
  assert.deepEqual(users.map((answer) => turnOf(answer).username.split(":").slice(1).join(":")), [
    "default/key:k7",
    "default/~anonymous",
    "default/~open",
  ]);
});

Deno.test("no subject is the TURN user of those without one, or of an API key", async () => {
  const nobody = turnOf(await issue(authorityOf(PRESENCE, { subject: undefined }))).username;
  for (const subject of ["token", "~token", "key:k7"]) {
    const { username } = turnOf(await issue(authorityOf(PRESENCE, { subject })));
    assert.equal(username === nobody, subject !== "token", username);
    assert.ok(!username.includes("key:"), username);
  }
});

Deno.test("a subject that cannot be a TURN user name is replaced by its hash", async () => {
  for (const subject of ["€".repeat(256), "a\nb"]) {
    const { username } = turnOf(await issue(authorityOf(PRESENCE, { subject })));
    assert.match(username, /^1700000300:default\/[0-9a-f]{64}$/);
  }
});

Deno.test("without the right presence nobody gets ICE servers", async () => {
  const nobody = authorityOf({ publish: ["**"], subscribe: ["**"] });
  await assert.rejects(issue(nobody), { code: "forbidden" });
});

Deno.test("without TURN there are STUN servers, or none", async () => {
  const none: IceSettings = { ...TURN, stunUrls: [], turn: undefined };
  assert.deepEqual(await issue(undefined, { ...none, stunUrls: ["stun:a"] }), {
    iceServers: [{ urls: ["stun:a"] }],
    expiresIn: 299_500,
  });
  assert.deepEqual((await issue(undefined, none)).iceServers, []);
});
