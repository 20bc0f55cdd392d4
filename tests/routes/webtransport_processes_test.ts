import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { call } from "../support/calls.ts";
import { CertificateFolder, makeCertificate } from "../support/certificates.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { READERS, takeEvents } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { WebTransportClient } from "../support/webtransport_client.ts";

/** Returns what the server offers. */
async function offerOf(url: string) {
  return (await call(url, "/v1/transports")).json;
}

Deno.test("after a kill and a restart the certificate is the same, and readers miss nothing", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  const open = READERS["WebTransport"] ?? assert.fail();
  await publishNumbers(server.url, channel, 3);
  const before = await offerOf(server.url);
  let cursor: string;
  {
    await using reader = await open(server.url, [channel], "earliest");
    await takeEvents(reader, 2);
    cursor = reader.cursor;
    await server.kill("SIGKILL");
  }
  await server.start();
  assert.deepEqual(await offerOf(server.url), before);
  await publish(server.url, channel, 4);
  await using reader = await open(server.url, [channel], cursor);
  assert.deepEqual((await takeEvents(reader, 2)).map(({ data }) => data), [3, 4]);
});

for (const by of ["run", "serve"] as const) {
  Deno.test(`a stopping server says goodbye over WebTransport, and exits within 5 s (${by})`, async () => {
    await using server = await WeirServer.start({ by });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => WebTransportClient.openOffered(server.url)),
    );
    const start = performance.now();
    const ending = server.kill("SIGTERM");
    for (const client of clients) {
      const [{ reason, retry }] = await client.next("goodbye");
      assert.equal(reason, "stopping");
      assert.ok(Number(retry) >= 200);
    }
    const { code, stderr } = await ending;
    assert.equal(code, 0);
    assert.ok(performance.now() - start < 5_000);
    assert.doesNotMatch(stderr, /"level":"(?:warn|error)"/);
    for (const client of clients) await client.transport.closed.catch(() => {});
  });
}

Deno.test("each isolate of deno serve --parallel offers the WebTransport of one of them", async () => {
  await using server = await WeirServer.start({ by: "serve" });
  const first = JSON.stringify(await offerOf(server.url));
  const offers = await Promise.all(Array.from({ length: 32 }, () => offerOf(server.url)));
  for (const offer of offers) assert.equal(JSON.stringify(offer), first);
  const clients = await Promise.all(
    Array.from({ length: 8 }, () => WebTransportClient.openOffered(server.url)),
  );
  for (const client of clients) await client[Symbol.asyncDispose]();
  const log = await server.stderr();
  assert.equal(log.split("WebTransport listening").length, 2, log);
  assert.doesNotMatch(log, /"level":"(?:warn|error)"/);
});

Deno.test("a running server uses a new certificate for WebTransport, and open connections stay", async () => {
  const [first, second] = [await makeCertificate(), await makeCertificate()];
  await using folder = await CertificateFolder.create(first);
  await using server = await WeirServer.start({
    env: { WEIR_TLS_CERT: folder.certPath, WEIR_TLS_KEY: folder.keyPath },
  });
  const target = `https://127.0.0.1:${server.port}/v1/webtransport`;
  const open = async ({ cert }: { readonly cert: string }) => {
    const value = await crypto.subtle.digest(
      "SHA-256",
      new Uint8Array(new X509Certificate(cert).raw),
    );
    return await WebTransportClient.open(target, {
      serverCertificateHashes: [{ algorithm: "sha-256", value }],
    });
  };
  await using early = await open(first);
  await folder.install(second);
  await until("new connections get the new certificate", async () => {
    const late = await open(second).catch(() => undefined);
    await late?.[Symbol.asyncDispose]();
    return late !== undefined;
  });
  await assert.rejects(open(first));
  await early.send({ op: "ping" });
  await early.next("pong");
});

Deno.test("a server whose UDP port is taken works without WebTransport, and says so", async () => {
  using taken = new DisposableStack();
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  taken.defer(() => socket.close());
  const { port } = socket.addr as Deno.NetAddr;
  await using server = await WeirServer.start({ env: { WEIR_QUIC: String(port) } });
  assert.equal((await offerOf(server.url)).webtransport, undefined);
  const channel = newChannel();
  await publish(server.url, channel, 1);
  const log = await server.stderr();
  assert.equal(log.split("its UDP port is in use").length, 2, log);
});

Deno.test("a page that closes, navigates or crashes is gone at once for the server", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await LocalServer.start();
  await server.serveWebTransport();
  const { openConnections } = server.server.webTransport;
  await using chromium = await Chromium.open();
  const leaves: readonly ((page: typeof chromium.page) => Promise<unknown>)[] = [
    (page) => page.evaluate("transport.close()"),
    (page) => page.goto("about:blank"),
    (page) => page.close(),
  ];
  for (const leave of leaves) {
    const page = await chromium.newTab();
    await page.goto(`${server.url}/healthz`);
    await page.evaluate(async () => {
      const { webtransport: { url, certificateHashes } } = await (await fetch("/v1/transports"))
        .json();
      const value = Uint8Array.from(atob(certificateHashes[0].value), (c) => c.charCodeAt(0));
      const transport = new WebTransport(url, {
        serverCertificateHashes: [{ algorithm: "sha-256", value }],
      });
      Object.assign(globalThis, { transport });
      await transport.ready;
    });
    await until("the page is there", () => openConnections.size === 1);
    const start = performance.now();
    await leave(page);
    await until("the page is gone", () => openConnections.size === 0);
    const tookMs = performance.now() - start;
    // The idle timeout would notice it after 7.5 s.
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
  }
});

Deno.test("a client that vanishes without a word is gone after the idle timeout", async () => {
  await using server = await LocalServer.start();
  await server.serveWebTransport();
  const { hub, webTransport: { openConnections } } = server.server;
  const { url, certificateHashes } = (await offerOf(server.url)).webtransport;
  const script = `
    const value = Uint8Array.fromBase64("${certificateHashes[0].value}");
    const transport = new WebTransport("${url}", {
      serverCertificateHashes: [{ algorithm: "sha-256", value }],
    });
    const { writable } = await transport.createBidirectionalStream();
    await writable.getWriter().write(new TextEncoder().encode(
      '{"op":"subscribe","ref":1,"channel":"a"}\\n',
    ));
    setInterval(() => {}, 1_000);`;
  const client = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--unstable-net", script],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until("the client has subscribed", () => hub.subscriptions.live === 1);
    const start = performance.now();
    client.kill("SIGSTOP"); // it sends nothing any more, not even an acknowledgement
    await until("it is gone", () => openConnections.size === 0);
    const tookMs = performance.now() - start;
    assert.ok(tookMs > 7_000, `${tookMs} ms: it was not the idle timeout`);
  } finally {
    client.kill("SIGKILL");
    await client.status;
  }
});
