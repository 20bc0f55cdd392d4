import assert from "node:assert/strict";
import { parseOffset } from "../../lib/shared/offset.ts";
import { CertificateFolder, makeCertificate } from "../support/certificates.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { readAll, readUrl } from "../support/readers.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { readTo } from "../support/text_reading.ts";
import { until } from "../support/until.ts";

/** Milliseconds that a stop may take. */
const STOP_LIMIT = 5_000;

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  for (const by of ["run", "serve"] as const) {
    Deno.test(`on ${signal} the server says goodbye to every subscriber and exits within 5 s (${by})`, async () => {
      await using server = await WeirServer.start({ by });
      const channel = newChannel();
      await publish(server.url, channel, 1);
      await using stream = await SseClient.open(readUrl(server.url, [channel]));
      await using several = await SseClient.open(readUrl(server.url, [channel, newChannel()]));
      await using socket = await SocketClient.open(server.url);
      socket.send({ op: "subscribe", ref: 1, channel });
      await socket.until("subscribed");
      await using idle = await SocketClient.open(server.url);
      const poll = fetch(readUrl(server.url, [channel], { wait: "60" }));
      await roundTrips(server.url);

      const start = performance.now();
      const ending = server.kill(signal);
      for (const client of [stream, several]) {
        const { event, data } = await client.next();
        assert.equal(event, "weir.goodbye");
        const { retry, reason } = JSON.parse(data);
        assert.equal(reason, "stopping");
        assert.ok(retry >= 200 && retry <= 5_000);
        await client.ended();
      }
      for (const client of [socket, idle]) {
        const { reason } = await client.until("goodbye");
        assert.equal(reason, "stopping");
        const { code } = await client.closed;
        assert.equal(code, 4000);
      }
      const answer = await poll;
      assert.equal(answer.status, 204);
      assert.ok(answer.headers.get("weir-cursor"));
      const { code } = await ending;
      assert.equal(code, 0);
      assert.ok(performance.now() - start < STOP_LIMIT);
    });
  }
}

/** The paths of a server that is asked, and what they answer once it drains. */
async function statuses(url: string): Promise<readonly number[]> {
  const answers = await Promise.all([fetch(`${url}/readyz`), publishOne(url, newChannel())]);
  for (const { body } of answers) await body?.cancel();
  return answers.map(({ status }) => status);
}

function publishOne(url: string, channel: string): Promise<Response> {
  const headers = { "Content-Type": "text/plain" };
  return fetch(`${url}/v1/channels/${channel}/events`, { method: "POST", headers, body: "x" });
}

for (const by of ["run", "serve"] as const) {
  Deno.test(`during a drain publishes are answered, and each connection works until its client leaves (${by})`, async () => {
    await using server = await WeirServer.start({ by, env: { WEIR_DRAIN: "1s" } });
    const { url } = server;
    const channel = newChannel();
    const sockets = await Promise.all(Array.from({ length: 16 }, () => SocketClient.open(url)));
    for (const socket of sockets) {
      socket.send({ op: "subscribe", ref: 1, channel });
      await socket.until("subscribed");
    }
    await roundTrips(url);
    const ending = server.kill("SIGTERM");
    const answered: string[] = [];
    await Promise.all(sockets.map(async (socket) => {
      await socket.until("goodbye");
      socket.send({ op: "publish", ref: 2, channel, data: 1 });
      answered.push(String((await socket.until("ack"))["offset"]));
      await socket[Symbol.asyncDispose]();
    }));
    const { code, stderr } = await ending;
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /"level":"(?:warn|error)"/);
    await server.start();
    const stored = (await readAll(url, channel)).map(({ offset }) => offset);
    assert.deepEqual(stored, answered.sort());
  });
}

for (const by of ["run", "serve"] as const) {
  Deno.test(`a signal that arrives twice counts once, and one that is sent again ends a drain (${by})`, async () => {
    await using server = await WeirServer.start({ by, env: { WEIR_DRAIN: "10m" } });
    await roundTrips(server.url);
    server.signal("SIGTERM");
    server.signal("SIGTERM"); // as `deno task` does, after a signal to the process group
    // Each isolate gets the signals, one perhaps later than the other.
    let drained = 0;
    await until("it drains, and continues to", async () => {
      drained = `${await statuses(server.url)}` === "503,201" ? drained + 1 : 0;
      return drained === 20;
    });
    const again = setInterval(() => {
      try {
        server.signal("SIGTERM");
      } catch {
        clearInterval(again); // it has ended
      }
    }, 50);
    const { code, stderr } = await server.ended();
    clearInterval(again);
    assert.equal(code, 0);
    assert.match(stderr, /stopped at once/);
  });
}

Deno.test("a stop breaks off streams over HTTP/1.1 after the goodbye, and logs no error for it", async () => {
  await using server = await WeirServer.start();
  using connection = await RawConnection.open(server.port);
  await connection.get(`/v1/channels/${newChannel()}/events`, { Accept: "text/event-stream" });
  await connection.readUntil("weir.open");
  const { stderr } = await server.kill("SIGTERM");
  let text = "";
  for (let bytes; (bytes = await connection.read()) !== undefined;) {
    text += new TextDecoder().decode(bytes);
  }
  assert.match(text, /event: weir\.goodbye\ndata: .*"reason":"stopping"\}\n\n\r\n$/);
  assert.doesNotMatch(stderr, /"level":"(?:warn|error)"|goodbye|^ +at |\n\n/m);
});

Deno.test("a stop resets streams over HTTP/2 after the goodbye", async () => {
  const certificate = await makeCertificate();
  await using folder = await CertificateFolder.create(certificate);
  await using server = await WeirServer.start({
    env: { WEIR_TLS_CERT: folder.certPath, WEIR_TLS_KEY: folder.keyPath },
  });
  using client = Deno.createHttpClient({ caCerts: [certificate.cert], http1: false });
  const url = readUrl(server.url, [newChannel()]);
  const init = { client, headers: { Accept: "text/event-stream" } };
  const { body } = await fetch(url, init);
  assert.ok(body !== null);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const opening = await readTo("weir.open", reader);
  const ending = server.kill("SIGTERM");
  await readTo("weir.goodbye", reader, opening);
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  });
  await ending;
});

/**
 * Round trips over connections of their own, so that each isolate has some: what was asked of one
 * before they began has been begun there when they are over.
 */
async function roundTrips(url: string): Promise<void> {
  await Promise.all(Array.from({ length: 16 }, () => publishNumbers(url, newChannel(), 3)));
}

Deno.test("a subscriber that reads nothing does not delay a stop", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  using stuck = await RawConnection.open(server.port);
  await stuck.get(`/v1/channels/${channel}/events`, { Accept: "text/event-stream" });
  using socket = await RawConnection.open(server.port);
  await socket.upgrade("/v1/socket");
  await socket.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel }));
  for (let i = 0; i < 8; i++) await publish(server.url, channel, "x".repeat(1_000_000));
  const start = performance.now();
  const { code } = await server.kill("SIGTERM");
  assert.equal(code, 0);
  assert.ok(performance.now() - start < STOP_LIMIT);
});

Deno.test("after a restart sequences continue, and streams resume from their cursor", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  const acks = await publishNumbers(server.url, channel, 3);
  await server.kill("SIGTERM");
  await server.start();
  const next = await publish(server.url, channel, 4);
  const { epoch, sequence } = parseOffset(acks[2]?.offset ?? "");
  assert.deepEqual(parseOffset(next.offset), { epoch, sequence: sequence + 1 });
  await using client = await SseClient.open(readUrl(server.url, [channel]), {
    "Last-Event-ID": acks[1]?.offset ?? "",
  });
  assert.deepEqual([(await client.next()).data, (await client.next()).data], ["3", "4"]);
});

Deno.test("publishes during a stop are answered, and stored if acknowledged", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  const acknowledged: string[] = [];
  await publish(server.url, channel, 0);
  const publishers = Array.from({ length: 8 }, async () => {
    try {
      while (true) acknowledged.push((await publish(server.url, channel, 1)).offset);
    } catch {
      // The server stops. Only acknowledged events count.
    }
  });
  while (acknowledged.length < 50) await publish(server.url, channel, 1);
  const { code } = await server.kill("SIGTERM");
  assert.equal(code, 0);
  await Promise.all(publishers);
  await server.start();
  const stored = new Set<string>((await readAll(server.url, channel)).map(({ offset }) => offset));
  assert.deepEqual(acknowledged.filter((offset) => !stored.has(offset)), []);
});

Deno.test("a second process on the same SQLite file is refused", async () => {
  await using server = await WeirServer.start();
  const { code, stderr } = await WeirServer.refused({ env: { WEIR_KV: server.kv } });
  assert.equal(code, 1);
  assert.match(stderr, /Cannot open .*weir\.db: another process has it/);
  assert.equal(
    (await fetch(`${server.url}/readyz`).then((response) => response.json())).status,
    "ok",
  );
});

Deno.test("without keys the server refuses to listen on a public IP", async () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
    const { code, stderr } = await WeirServer.refused({ env: { WEIR_HOST: host } });
    assert.equal(code, 1);
    assert.match(stderr, /without keys/);
  }
});

Deno.test("without keys a public URL is warned of at the start", async () => {
  const env = { WEIR_PUBLIC_URL: "https://weir.example.com" };
  await using server = await WeirServer.start({ env });
  await until("it is logged", async () => {
    const log = await server.stderr();
    return log.includes("everyone who reaches https://weir.example.com may publish");
  });
});

Deno.test("a port in use is refused", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(listener.addr.port);
  const { code, stderr } = await WeirServer.refused({ env: { WEIR_PORT: port } });
  assert.equal(code, 1);
  assert.match(stderr, /WEIR_PORT/);
});

Deno.test("a store in a folder that cannot be created is refused", async () => {
  const { code, stderr } = await WeirServer.refused({ env: { WEIR_KV: "/dev/null/weir.db" } });
  assert.equal(code, 1);
  assert.match(stderr, /WEIR_KV/);
});

const BAD_SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["WEIR_PORT", "65536"],
  ["WEIR_PORT", "http"],
  ["WEIR_HEARTBEAT", "15"],
  ["WEIR_HEARTBEAT", "1ms"],
  ["WEIR_RETENTION_AGE", "7 days"],
  ["WEIR_RETENTION_EVENTS", "0"],
  ["WEIR_RETENTION_BYTES", "1MB"],
  ["WEIR_ORIGINS", "example.com"],
  ["WEIR_KV", ""],
  ["WEIR_PROT", "8000"],
];

Deno.test("an invalid setting is refused with its name", async () => {
  for (const [name, value] of BAD_SETTINGS) {
    const { code, stderr } = await WeirServer.refused({ env: { [name]: value } });
    assert.equal(code, 1);
    assert.ok(JSON.parse(stderr.trim()).message.includes(name), stderr);
  }
});
