import assert from "node:assert/strict";
import { encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { closeCapsule } from "../../../lib/quic/capsule.ts";
import { dataFrame, headersFrame } from "../../../lib/quic/frame.ts";
import { H3_CODES, type H3CodeName } from "../../../lib/quic/http3_error.ts";
import { CLOSE_GRACE_MS, CONNECT_TIMEOUT_MS } from "../../../lib/quic/limits.ts";
import { hasQuic, serveWebTransport, type WebTransportServer } from "../../../lib/quic/server.ts";
import type { WebTransportRequest } from "../../../lib/quic/session.ts";
import { SETTING, settingsFrame } from "../../../lib/quic/settings.ts";
import { connectFields, Http3Client } from "../../support/http3_client.ts";
import { certificateHash, TEST_PAIR } from "../../support/quic_certificate.ts";
import { until } from "../../support/until.ts";
import { isAlive, World } from "./quic_world.ts";

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
  await using world = new World();
  const { server, echo } = world;
  const client = connect(server, "/echo?a=1");
  await client.ready;
  assert.equal(echo.requests[0]?.authority, `127.0.0.1:${server.addr.port}`);

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
  await until("the session has ended", () => echo.ends.length > 0);
});

// Deno's client does not close its streams when its request is refused.
const leaky = { sanitizeResources: false };

Deno.test("a request that is refused does not become a session", leaky, async () => {
  await using world = new World();
  const client = connect(world.server, "/other");
  client.closed.catch(() => {});
  await assert.rejects(client.ready);
});

const encode = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("a session is opened, and streams with its id are echoed to their end", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await client.open();
  const both = await client.sendBidi(concat(hex("4041 00"), encode("hello")));
  await both.end();
  assert.equal(new TextDecoder().decode(await both.read()), "hello");
  assert.equal(await both.read(), undefined);
  const one = await client.sendUni(concat(hex("4054 00"), encode("one way")));
  await one.end();
  await until("the stream came back", () => client.received.some(({ isEnded }) => isEnded));
  const back = client.received.find(({ isEnded }) => isEnded);
  assert.equal(back?.bytes.toHex(), `405400${encode("one way").toHex()}`);
  assert.ok(await isAlive(client));
});

/** What a peer may not do: it sends this, and the connection is closed with this code. */
const VIOLATIONS: readonly {
  readonly what: string;
  readonly code: H3CodeName;
  readonly run: (client: Http3Client) => Promise<unknown>;
}[] = [
  {
    what: "the control stream has no settings",
    code: "MISSING_SETTINGS",
    run: (client) => client.sendUni(hex("00 21 00")),
  },
  {
    what: "there are two control streams",
    code: "STREAM_CREATION_ERROR",
    run: async (client) => [await client.sendSettings(), await client.sendSettings()],
  },
  {
    what: "the control stream ends",
    code: "CLOSED_CRITICAL_STREAM",
    run: async (client) => (await client.sendSettings()).end(),
  },
  {
    what: "settings are of HTTP/2",
    code: "SETTINGS_ERROR",
    run: (client) => client.sendSettings(settingsFrame([[0x02, 1], [SETTING.H3_DATAGRAM, 1]])),
  },
  {
    what: "there are no datagrams",
    code: "SETTINGS_ERROR",
    run: (client) => client.sendSettings(settingsFrame([[SETTING.ENABLE_WEBTRANSPORT, 1]])),
  },
  {
    what: "settings are incomplete",
    code: "FRAME_ERROR",
    run: (client) => client.sendSettings(encodeBlock(0x04, hex("33"))),
  },
  {
    what: "a client pushes",
    code: "STREAM_CREATION_ERROR",
    run: (client) => client.sendUni(hex("01 00 00")),
  },
  {
    what: "the encoder stream fills the dynamic table",
    code: "QPACK_ENCODER_STREAM_ERROR",
    run: (client) => client.sendUni(hex("02 3fbd01")),
  },
  {
    what: "the decoder stream acknowledges what was never sent",
    code: "QPACK_DECODER_STREAM_ERROR",
    run: (client) => client.sendUni(hex("03 84")),
  },
  {
    what: "the encoder stream ends",
    code: "CLOSED_CRITICAL_STREAM",
    run: async (client) => (await client.sendUni(hex("02 20"))).end(),
  },
  {
    what: "a stream belongs to no possible session",
    code: "ID_ERROR",
    run: (client) => client.sendUni(hex("4054 01")),
  },
  {
    what: "a bidirectional stream belongs to no possible session",
    code: "ID_ERROR",
    run: (client) => client.sendBidi(hex("4041 02")),
  },
  {
    what: "a request stream begins with DATA",
    code: "FRAME_UNEXPECTED",
    run: (client) => client.sendBidi(hex("00 01 00")),
  },
  {
    what: "a request stream ends without a request",
    code: "REQUEST_INCOMPLETE",
    run: async (client) => (await client.sendBidi(hex("21 01 00"))).end(),
  },
  {
    what: "a field section is not QPACK",
    code: "QPACK_DECOMPRESSION_FAILED",
    run: (client) => client.sendBidi(hex("01 03 0000 80")),
  },
  {
    what: "a field section needs the dynamic table",
    code: "QPACK_DECOMPRESSION_FAILED",
    run: (client) => client.sendBidi(hex("01 03 0381 10")),
  },
  {
    what: "a field section is huge",
    code: "EXCESSIVE_LOAD",
    run: (client) => client.sendBidi(headersFrame(connectFields({ x: "\x01".repeat(20_000) }))),
  },
  {
    what: "a request has no path",
    code: "MESSAGE_ERROR",
    run: (client) => client.sendBidi(headersFrame(connectFields().filter(([n]) => n !== ":path"))),
  },
  {
    what: "a datagram has no session",
    code: "DATAGRAM_ERROR",
    run: (client) => client.conn.sendDatagram(new Uint8Array()),
  },
  {
    what: "a capsule is huge",
    code: "EXCESSIVE_LOAD",
    run: async (client) => (await client.open()).send(dataFrame(hex("00 bfffffff"))),
  },
  {
    what: "a session has a second HEADERS frame",
    code: "FRAME_UNEXPECTED",
    run: async (client) => (await client.open()).send(headersFrame(connectFields())),
  },
  {
    what: "a session has a reserved frame",
    code: "FRAME_UNEXPECTED",
    run: async (client) => (await client.open()).send(hex("06 00")),
  },
];

for (const { what, code, run } of VIOLATIONS) {
  Deno.test(`a connection is closed with ${code} if ${what}`, async () => {
    await using world = new World();
    await using witness = await Http3Client.connect(world.server);
    await witness.open();
    await using client = await Http3Client.connect(world.server);
    await run(client);
    assert.equal(await client.closed, H3_CODES[code]);
    assert.ok(await isAlive(witness));
  });
}

Deno.test("a close arrives byte by byte, with its code and reason", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  const session = await client.open();
  const frame = dataFrame(closeCapsule({ code: 77, reason: "done, grüße" }));
  for (const byte of frame) await session.send(Uint8Array.of(byte));
  await until("the session has ended", () => world.echo.ends.length > 0);
  assert.deepEqual(world.echo.ends, [{ code: 77, reason: "done, grüße", isClean: true }]);
  assert.equal(await session.read(), undefined); // the server has ended its side
  world.clock.advance(CLOSE_GRACE_MS);
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
});

Deno.test("a session whose stream ends is closed with code 0", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  const session = await client.open();
  await session.end();
  await until("the session has ended", () => world.echo.ends.length > 0);
  assert.deepEqual(world.echo.ends, [{ code: 0, reason: "", isClean: true }]);
});

Deno.test("the server's close is a capsule, then the end of the connection", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  const stream = await client.open();
  const [session] = world.echo.sessions;
  const closed = session?.close(4000, "stopping");
  const capsule = dataFrame(closeCapsule({ code: 4000, reason: "stopping" }));
  assert.deepEqual(await stream.read(), capsule);
  assert.equal(await stream.read(), undefined);
  world.clock.advance(CLOSE_GRACE_MS);
  await closed;
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
  assert.deepEqual(world.echo.ends, [{ code: 4000, reason: "stopping", isClean: true }]);
  // After the end the methods of a session do nothing.
  session?.sendDatagram(Uint8Array.of(1));
  const late = await session?.openUnidirectional();
  await late?.write(Uint8Array.of(1));
  late?.end();
  late?.reset();
  await session?.close(1, "again");
});

Deno.test("a connection without CONNECT is closed after 5 s", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await client.sendSettings();
  await until("the server's settings have come", () => client.received.length > 0);
  world.clock.advance(CONNECT_TIMEOUT_MS - 1);
  assert.equal(world.clock.timers, 1);
  world.clock.advance(1);
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
});

Deno.test("a session without settings is not asked for, and closed after 5 s", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await until("the server's settings have come", () => client.received.length > 0);
  world.clock.advance(CONNECT_TIMEOUT_MS - 1);
  const stream = await client.sendBidi(headersFrame(connectFields()));
  const other = await client.sendBidi(headersFrame(connectFields()));
  assert.equal(await other.status(), "429"); // so the first one has been read
  assert.deepEqual(world.echo.requests, []);
  world.clock.advance(CONNECT_TIMEOUT_MS);
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
  assert.equal(await stream.status(), "none");
});

Deno.test("a request may be accepted later, and gets the streams that came before", async () => {
  const requests: WebTransportRequest[] = [];
  await using world = new World((request) => requests.push(request));
  await using client = await Http3Client.connect(world.server);
  const early = await client.sendBidi(concat(hex("4041 00"), encode("early")));
  await client.sendSettings();
  const stream = await client.sendBidi(headersFrame(connectFields()));
  await until("the request has come", () => requests.length > 0);
  const [request] = requests;
  assert.ok(request);
  world.echo.onRequest(request);
  assert.throws(() => request.refuse(400), TypeError);
  assert.throws(() => world.echo.onRequest(request), TypeError);
  assert.equal(await stream.status(), "200");
  assert.equal(new TextDecoder().decode(await early.read()), "early");
});

Deno.test("a request that nobody decides on ends with its connection", async () => {
  const requests: WebTransportRequest[] = [];
  await using world = new World((request) => requests.push(request));
  await using client = await Http3Client.connect(world.server);
  await client.sendSettings();
  await client.sendBidi(headersFrame(connectFields()));
  await until("the request has come", () => requests.length > 0);
  world.clock.advance(CONNECT_TIMEOUT_MS);
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
  const [request] = requests;
  assert.ok(request);
  world.echo.onRequest(request);
  assert.deepEqual(world.echo.ends, []); // not before accept() has returned
  await until("the session has ended", () => world.echo.ends.length > 0);
  assert.deepEqual(world.echo.ends, [{ code: 0, reason: "", isClean: false }]);
});

Deno.test("refused and other requests get a status", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await client.sendSettings();
  const statusOf = async (fields: Readonly<Record<string, string>>) =>
    (await client.request(connectFields(fields))).status;
  const get = connectFields({ ":method": "GET" }).filter(([name]) => name !== ":protocol");
  assert.equal((await client.request(get)).status, "404");
  assert.equal(await statusOf({ ":protocol": "websocket" }), "501");
  assert.equal(await statusOf({ ":path": "/elsewhere" }), "404");
  assert.equal(await statusOf({}), "429"); // the refused one was this connection's only one
  world.clock.advance(CLOSE_GRACE_MS);
  assert.equal(await client.closed, H3_CODES.NO_ERROR);
});

Deno.test("a second session in a connection is refused, and the first continues", async () => {
  await using world = new World();
  await using client = await Http3Client.connect(world.server);
  await client.open();
  assert.equal((await client.request()).status, "429");
  const other = await client.sendBidi(hex("4041 04"));
  assert.equal(await other.read(), undefined);
  assert.ok(await isAlive(client));
});

Deno.test("a handler that throws does no harm to others", async () => {
  const world = new World((request) => {
    if (request.path === "/throw") throw new Error("of onRequest");
    const session = request.accept({
      bidirectional() {
        throw new Error("of bidirectional");
      },
      unidirectional() {},
      datagram: (payload) => session.sendDatagram(payload),
      closed() {
        throw new Error("of closed");
      },
    });
  });
  {
    await using first = await Http3Client.connect(world.server);
    await first.sendSettings();
    await first.request(connectFields({ ":path": "/throw" }));
    assert.equal(await first.closed, H3_CODES.INTERNAL_ERROR);
    await using second = await Http3Client.connect(world.server);
    const stream = await second.open();
    await second.sendBidi(hex("4041 00"));
    await until("an error came", () => world.errors.length === 2);
    assert.ok(await isAlive(second));
    await stream.end();
    await until("an error came", () => world.errors.length === 3);
  }
  const messages = world.errors.splice(0).map((error) => (error as Error).message);
  assert.deepEqual(messages, ["of onRequest", "of bidirectional", "of closed"]);
  await world[Symbol.asyncDispose]();
});

Deno.test("new connections get a new certificate, and open sessions stay", async () => {
  await using world = new World();
  await using first = await Http3Client.connect(world.server);
  await first.open();
  for (let i = 0; i < 3; i++) world.server.useCertificate(TEST_PAIR);
  assert.throws(() => world.server.useCertificate({ cert: "none", key: "none" }));
  await using second = await Http3Client.connect(world.server);
  await second.open();
  assert.ok(await isAlive(first));
  assert.ok(await isAlive(second));
});

Deno.test("a port that is in use is an error", async () => {
  await using world = new World();
  const { port } = world.server.addr;
  assert.throws(
    () => serveWebTransport({ hostname: "127.0.0.1", port, pair: TEST_PAIR, onRequest() {} }),
    Deno.errors.AddrInUse,
  );
});
