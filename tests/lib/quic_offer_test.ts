import assert from "node:assert/strict";
import { SharedQuicOffer } from "../../lib/quic_offer.ts";

const OFFER = { hostname: "127.0.0.1", port: 8_443, certificateHash: "aGFzaA==" };

Deno.test("all isolates of a process know the offer of one of them", () => {
  const [one, other] = [new SharedQuicOffer(), new SharedQuicOffer()];
  assert.equal(other.current, undefined);
  for (const isolate of [one, other]) isolate.listening(8_000);
  assert.equal(other.current, undefined);
  one.announce(OFFER);
  assert.deepEqual(other.current, OFFER);
  one.announce({ hostname: "127.0.0.1", port: 8_443 });
  assert.deepEqual(other.current, { hostname: "127.0.0.1", port: 8_443 });
  one.withdraw();
  assert.equal(other.current, undefined);
});

Deno.test("a server on another port of the same process, or in a child, has an offer of its own", () => {
  const [one, other] = [new SharedQuicOffer(), new SharedQuicOffer()];
  one.listening(8_001);
  other.listening(8_002);
  one.announce(OFFER);
  assert.equal(other.current, undefined);
  const name = Object.keys(Deno.env.toObject()).find((name) => name.includes("QUIC"));
  assert.match(name ?? "", new RegExp(`_${Deno.pid}_8001$`)); // a child has another process id
  one.withdraw();
});
