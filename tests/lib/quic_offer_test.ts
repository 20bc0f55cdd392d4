import assert from "node:assert/strict";
import { SharedQuicOffer } from "../../lib/quic_offer.ts";

const OFFER = { hostname: "127.0.0.1", port: 8_443, httpPort: 8_000, certificateHash: "aGFzaA==" };

Deno.test("all isolates of a process know the offer of one of them", async () => {
  const name = crypto.randomUUID();
  const [one, other] = [new SharedQuicOffer(name), new SharedQuicOffer(name)];
  assert.equal(other.current, undefined);
  one.announce(OFFER);
  assert.deepEqual(other.current, OFFER);
  assert.deepEqual(await inWorker(name), OFFER);
  const { certificateHash: _, ...later } = OFFER;
  one.announce(later);
  assert.deepEqual(other.current, later);
  one.withdraw();
  assert.equal(other.current, undefined);
});

Deno.test("another server of the process, and a child process, know nothing of an offer", () => {
  const name = crypto.randomUUID();
  const one = new SharedQuicOffer(name);
  one.announce(OFFER);
  assert.equal(new SharedQuicOffer(crypto.randomUUID()).current, undefined);
  const variable = Object.keys(Deno.env.toObject()).find((key) => key.endsWith(name));
  assert.ok(variable?.includes(`_${Deno.pid}_`), "a child has another process id");
  one.withdraw();
});

/** Returns the offer that another isolate of this process sees. */
async function inWorker(name: string): Promise<unknown> {
  const module = new URL("../../lib/quic_offer.ts", import.meta.url);
  const source = `import { SharedQuicOffer } from "${module}";
    postMessage(new SharedQuicOffer("${name}").current);`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/typescript" }));
  const worker = new Worker(url, { type: "module" });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  worker.onmessage = ({ data }) => resolve(data);
  const seen = await promise;
  worker.terminate();
  URL.revokeObjectURL(url);
  return seen;
}
