import assert from "node:assert/strict";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { IceConfiguration } from "../../../../lib/client/rtc/ice_configuration.ts";
import { IceCredentials } from "../../../../lib/rtc/ice_credentials.ts";
import { FakeClock } from "../../../support/clock.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { authorityOf } from "../../../support/grants.ts";

const TURN = { urls: ["turn:turn.example:3478"], username: "u", credential: "c" };

function fail(error: WeirError): void {
  throw error;
}

Deno.test("servers are fetched when they are needed, and again before their credentials end", async () => {
  using clock = new FakeClock({ replaces: ["Date"] });
  const link = new FakeLink(() => ({ iceServers: [TURN], expiresIn: 100_000 }));
  const configuration = new IceConfiguration(link, { iceTransportPolicy: "relay" }, fail);
  assert.deepEqual(configuration.value, { iceTransportPolicy: "relay" });
  assert.equal(configuration.hasTurn, false);
  const [first, same] = await Promise.all([configuration.get(), configuration.get()]);
  assert.deepEqual(first, { iceTransportPolicy: "relay", iceServers: [TURN] });
  assert.equal(same, first);
  assert.equal(configuration.hasTurn, true);
  clock.advance(74_000);
  assert.equal(await configuration.get(), first);
  assert.deepEqual(link.calls, [{ op: "post", path: "/v1/ice" }]);
  clock.advance(2_000);
  await configuration.get();
  assert.equal(link.calls.length, 2);
  configuration.refused();
  await configuration.get();
  assert.equal(link.calls.length, 3);
});

Deno.test("credentials of the server are replaced when three quarters of their life are over", async () => {
  using clock = new FakeClock({ replaces: ["Date"] });
  const settings = {
    stunUrls: [],
    turn: { urls: TURN.urls, secret: "s".repeat(16) },
    lifetimeMs: 300_000,
  };
  const credentials = new IceCredentials(settings);
  const issue = () => credentials.issue(authorityOf({ presence: ["call:*"] }));
  const link = new FakeLink(async () => ({ ...await issue() }));
  const configuration = new IceConfiguration(link, {}, fail);
  await configuration.get();
  clock.advance(220_000);
  await configuration.get();
  assert.equal(link.calls.length, 1);
  clock.advance(10_000);
  await configuration.get();
  assert.equal(link.calls.length, 2);
});

Deno.test("the application's own servers need no server", async () => {
  const link = new FakeLink();
  const fixed = new IceConfiguration(link, { iceServers: [TURN] }, fail);
  assert.deepEqual((await fixed.get()).iceServers, [TURN]);
  let asked = 0;
  const iceServers = () => Promise.resolve({ iceServers: [TURN, { urls: String(++asked) }] });
  const own = new IceConfiguration(link, { iceServers }, fail);
  await own.get();
  assert.deepEqual((await own.get()).iceServers, [TURN, { urls: "1" }]);
  assert.deepEqual(link.calls, []);
});

Deno.test("without servers a room reports it, and tries with what it has", async () => {
  const errors: string[] = [];
  const link = new FakeLink(() => {
    throw new WeirError("forbidden", "No.", { status: 403 });
  });
  const onError = ({ code }: WeirError) => void errors.push(code);
  const configuration = new IceConfiguration(link, {}, onError);
  assert.deepEqual(await configuration.get(), { iceTransportPolicy: "all" });
  await configuration.get();
  const iceServers = () => Promise.reject(new TypeError("offline"));
  await new IceConfiguration(link, { iceServers }, onError).get();
  assert.deepEqual(errors, ["forbidden", "no_turn"]);
});
