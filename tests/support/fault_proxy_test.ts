import assert from "node:assert/strict";
import { answerOf, FaultProxy, READS } from "./fault_proxy.ts";
import { LocalServer } from "./local_server.ts";
import { newChannel } from "./publishing.ts";
import { RawConnection } from "./raw_connection.ts";
import { resetConnections } from "./reset_connections.ts";
import { READERS, readUrl } from "./readers.ts";
import { until } from "./until.ts";

Deno.test("a fault proxy lets every transport through and counts its requests by kind", async () => {
  await using server = await LocalServer.start();
  await server.serveWebTransport();
  await using proxy = FaultProxy.withUdp(server.port);
  for (const [name, open] of Object.entries(READERS)) {
    const channel = newChannel();
    await using reader = await open(proxy.url, [channel]);
    const sent = await fetch(`${proxy.url}/v1/channels/${channel}/events`, {
      method: "POST",
      body: "x".repeat(200_000),
    });
    assert.equal(sent.status, 201);
    await sent.body?.cancel();
    const { event } = await reader.next();
    assert.equal(event?.channel, channel, name);
  }
  assert.equal(proxy.count(["publish"]), 5);
  for (const kind of ["webtransport", ...READS] as const) assert.ok(proxy.count([kind]) >= 1, kind);
  await until("all connections are closed", () => proxy.open() === 0);
});

Deno.test("a fault proxy cuts after exactly so many bytes, or falls silent", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const get = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

  proxy.next(["other"], { act: "cut", way: "down", after: 17 });
  using cut = await RawConnection.open(proxy.port);
  await cut.write(get);
  assert.equal(new TextDecoder().decode(await cut.readBytes(17)), "HTTP/1.1 200 OK\r\n");
  assert.equal(await cut.read(), undefined);

  proxy.next(["other"], { act: "hush", way: "down", after: 8 });
  using hushed = await RawConnection.open(proxy.port);
  await hushed.write(get);
  assert.equal(new TextDecoder().decode(await hushed.readBytes(8)), "HTTP/1.1");
  assert.equal(proxy.open(), 1);
  proxy.cut();
  assert.equal(await hushed.read(), undefined);

  proxy.next(["other"], { act: "cut", way: "up", after: 10 });
  using unheard = await RawConnection.open(proxy.port);
  await unheard.write(get);
  assert.equal(await unheard.read(), undefined);
});

Deno.test("a fault proxy answers by itself, refuses, buffers and swallows", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();

  proxy.on(["short-poll"], { act: "answer", text: answerOf("200 OK", "text/html", "<p>ü") });
  assert.equal(await (await fetch(readUrl(proxy.url, [channel]))).text(), "<p>ü");
  proxy.off(["short-poll"]);
  assert.equal((await (await fetch(readUrl(proxy.url, [channel]))).json()).upToDate, true);

  proxy.next(["short-poll"], { act: "refuse" });
  await assert.rejects(fetch(readUrl(proxy.url, [channel])));

  proxy.on(["sse"], { act: "buffer" });
  const stream = await fetch(readUrl(proxy.url, [channel]), {
    headers: { Accept: "text/event-stream" },
  });
  let text = "";
  const reading = stream.body?.pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream({ write: (chunk) => void (text += chunk) })) ?? assert.fail();
  const breakingOff = assert.rejects(reading);
  await until("the server has the stream", () => server.server.hub.subscriptions.live === 1);
  assert.ok(!text.includes("id:"), text);
  await server.server.disconnectClients();
  await breakingOff;
  assert.match(text, /weir\.goodbye/);

  proxy.next(["other"], { act: "stall" });
  using swallowed = await RawConnection.open(proxy.port);
  await swallowed.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  await until("it has come", () => proxy.open(["other"]) === 1);
});

Deno.test("connections that are reset before a fault proxy takes them don't stop it", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  resetConnections(proxy.port, 50);
  const response = await fetch(`${proxy.url}/healthz`);
  assert.equal(response.status, 200);
  await response.body?.cancel();
});
