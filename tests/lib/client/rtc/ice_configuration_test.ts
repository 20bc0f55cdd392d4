import assert from "node:assert/strict";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { IceConfiguration } from "../../../../lib/client/rtc/ice_configuration.ts";
import { FakeClock } from "../../../support/clock.ts";
import { FakeLink } from "../../../support/fake_link.ts";

const TURN = { urls: ["turn:turn.example:3478"], username: "u", credential: "c" };

function fail(error: WeirError): void {
  throw error;
}

Deno.test("servers are fetched when they are needed, and again before their credentials end", async () => {
  using clock = new FakeClock({ replaces: ["Date"] });
  const link = new FakeLink(() => ({ iceServers: [TURN], expiresIn: 100 }));
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
