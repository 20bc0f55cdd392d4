import assert from "node:assert/strict";
import { connect } from "../../../lib/client/client.ts";
import { WeirError } from "../../../lib/client/core/weir_error.ts";
import { EVERY_TRANSPORT, withTransport } from "../../support/every_transport.ts";
import { bearer, guardedLocal } from "../../support/guarded.ts";
import { callMember } from "../../support/members.ts";
import { newChannel } from "../../support/publishing.ts";
import { inboxName } from "../../support/signals.ts";

const PRESENCE = { presence: ["**"] };

/** Matches a WeirError with this code, for `assert.rejects`. */
const code = (expected: string) => (cause: unknown) => {
  assert.ok(cause instanceof WeirError, String(cause));
  assert.equal(cause.code, expected);
  return true;
};

for (const transport of EVERY_TRANSPORT) {
  Deno.test(`a client sends a signal and reads its inbox, over ${transport}`, async () => {
    await using weir = await guardedLocal();
    await withTransport(transport, weir.server);
    const channel = newChannel();
    const bob = bearer(await weir.token(PRESENCE, { sub: "bob" }));
    await callMember(weir.url, "PUT", { channel, member: "bob", session: "b1", headers: bob });
    await using client = connect(weir.url, {
      transports: [transport],
      auth: () => weir.token(PRESENCE),
    });
    const { link } = client;
    await link.call({ op: "enter", channel, session: "a1" });
    const inbox = client.subscribe(inboxName(channel, "ann", "a1"), { after: "earliest" });
    const signal = { op: "signal", channel, session: "a1" } as const;
    const sent = await link.call({ ...signal, to: "bob", data: { candidate: "x" } });
    assert.deepEqual(sent["sessions"], ["b1"]);
    await link.call({ ...signal, to: "ann", toSession: "a1", data: "to itself" });
    for await (const item of inbox) {
      assert.equal(item.kind, "event");
      assert.deepEqual(item.kind === "event" && item.data, {
        from: "ann",
        fromSession: "a1",
        to: "ann",
        toSession: "a1",
        data: "to itself",
      });
      break;
    }
    const missing = link.call({ ...signal, to: "nobody", data: 1 });
    await assert.rejects(missing, code("no_such_member"));
    const stranger = link.call({ ...signal, session: "a2", to: "bob", data: 1 });
    await assert.rejects(stranger, code("not_a_member"));
  });
}

Deno.test("a client may POST, with its credential and with or without a body", async () => {
  await using weir = await guardedLocal({ WEIR_STUN_URLS: "stun:127.0.0.1" });
  await using client = connect(weir.url, { auth: () => weir.token({ ...PRESENCE, admin: true }) });
  const ice = await client.link.call({ op: "post", path: "/v1/ice" });
  assert.deepEqual(ice["iceServers"], [{ urls: ["stun:127.0.0.1"] }]);
  const body = { sub: "bob" };
  const revoked = await client.link.call({ op: "post", path: "/v1/revocations", body });
  assert.equal(revoked["sub"], "bob");
  const wrong = client.link.call({ op: "post", path: "/v1/revocations", body: {} });
  await assert.rejects(wrong, code("bad_body"));
});
