import assert from "node:assert/strict";
import { ReceivedBytes } from "../../../../lib/client/transports/received_bytes.ts";

const KIB = 1024;

Deno.test("bytes of all streams count to the next acknowledgement, which lists those with news", () => {
  const received = new ReceivedBytes();
  assert.equal(received.add(1, 20 * KIB), undefined);
  assert.equal(received.add(2, 12 * KIB - 1), undefined);
  const first = { op: "received", streams: { 1: 20 * KIB, 2: 12 * KIB } };
  assert.deepEqual(received.add(2, 1), first);
  const second = { op: "received", streams: { 2: 112 * KIB } };
  assert.deepEqual(received.add(2, 100 * KIB), second);
});

Deno.test("a stream that has ended is not acknowledged, and its bytes no longer count", () => {
  const received = new ReceivedBytes();
  received.add(1, 20 * KIB);
  received.add(2, 10 * KIB);
  received.end(1);
  received.end(9); // of which nothing came
  assert.equal(received.add(2, 20 * KIB), undefined);
  assert.deepEqual(received.add(2, 2 * KIB), { op: "received", streams: { 2: 32 * KIB } });
});
