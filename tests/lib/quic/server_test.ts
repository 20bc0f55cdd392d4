import assert from "node:assert/strict";
import { hasQuic, serveWebTransport, type WebTransportServer } from "../../../lib/quic/server.ts";
import { certificateHash, TEST_PAIR } from "../../support/quic_certificate.ts";
import { until } from "../../support/until.ts";
import { Echo } from "./echo_handler.ts";

const hash = await certificateHash(TEST_PAIR);

/** Opens Deno's own client. */
function connect({ addr }: WebTransportServer, path: string): WebTransport {
  const url = `https://127.0.0.1:${addr.port}${path}`;
  return new WebTransport(url, { serverCertificateHashes: [hash] });
}

/** Deno's client does not send FIN, so a stream has no end. */
async function readText(readable: ReadableStream<Uint8Array>): Promise<string> {
  const { value } = await readable.getReader().read();
  return new TextDecoder().decode(value);
}

Deno.test("the runtime has QUIC", () => assert.ok(hasQuic()));

Deno.test("Deno's client opens streams, sends datagrams and closes", async () => {
  const echoes = new Echo();
  const server = serveWebTransport({
    hostname: "127.0.0.1",
    port: 0,
    pair: TEST_PAIR,
    onRequest: echoes.onRequest,
    onError: assert.fail,
  });
  const client = connect(server, "/echo?a=1");
  await client.ready;
  assert.equal(echoes.requests[0]?.authority, `127.0.0.1:${server.addr.port}`);

  const stream = await client.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new TextEncoder().encode("hello"));
  assert.equal(await readText(stream.readable), "hello");

  const sending = (await client.createUnidirectionalStream()).getWriter();
  await sending.write(new TextEncoder().encode("one way"));
  const incoming = client.incomingUnidirectionalStreams.getReader();
  const { value } = await incoming.read();
  assert.ok(value);
  assert.equal(await readText(value), "one way");

  const datagrams = client.datagrams.readable.getReader();
  await client.datagrams.writable.getWriter().write(Uint8Array.of(1, 2, 3));
  assert.deepEqual((await datagrams.read()).value, Uint8Array.of(1, 2, 3));

  client.close({ closeCode: 7, reason: "done" });
  await until("the session has ended", () => echoes.ends.length > 0);
  await server.close();
});

// Deno's client does not close its streams when its request is refused.
const leaky = { sanitizeResources: false };

Deno.test("a request that is refused does not become a session", leaky, async () => {
  const echoes = new Echo();
  const server = serveWebTransport({
    hostname: "127.0.0.1",
    port: 0,
    pair: TEST_PAIR,
    onRequest: echoes.onRequest,
    onError: assert.fail,
  });
  const client = connect(server, "/other");
  client.closed.catch(() => {});
  await assert.rejects(client.ready);
  await server.close();
});
