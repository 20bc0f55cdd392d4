import assert from "node:assert/strict";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";
import { LocalServer } from "../support/local_server.ts";
import { head, RawConnection } from "../support/raw_connection.ts";
import { until } from "../support/until.ts";

const MiB = 1_048_576;
const EVENTS = "/v1/channels/a/events";
const TEXT_BODY = { "Content-Type": "text/plain" };

Deno.test("a foreign Host is refused on any IP", async () => {
  await using server = await LocalServer.start();
  for (const host of ["example.com", "example.com:8000", "127.0.0.1.example.com", "10.0.0.1"]) {
    const { status, body } = await raw(server, "GET", EVENTS, { Host: host });
    assert.equal(status, 403);
    assert.equal(JSON.parse(body).code, "forbidden_host");
  }
  for (const host of ["localhost", "weir.localhost:80", "127.0.0.2", "[::1]:8000"]) {
    assert.equal((await raw(server, "GET", EVENTS, { Host: host })).status, 200);
  }
});

Deno.test("the channels . and .. are refused, however their paths and queries are written", async () => {
  await using server = await LocalServer.start();
  const requests = [".", "..", "%2e", "%2E%2e"].flatMap((name) => [
    ["POST", `/v1/channels/${name}/events`, "1"],
    ["GET", `/v1/channels/${name}/events`],
    ["GET", `/v1/events?channel=${name}`],
    ["GET", `/v1/channels/${name}`],
    ["PUT", `/v1/channels/${name}`, "{}"],
    ["DELETE", `/v1/channels/${name}`],
    ["PUT", `/v1/channels/${name}/members/ann?session=s`, "{}"],
    ["POST", "/v1/events", JSON.stringify({ channel: decodeURIComponent(name), data: 1 })],
  ]);
  for (const [method = "", path = "", text] of requests) {
    const { status, body } = await raw(server, method, path, {}, text);
    assert.equal(status, 400, `${method} ${path}`);
    assert.equal(JSON.parse(body).code, "bad_channel");
  }
  await assertNothingStored(server);
});

Deno.test("a body announced as too large is refused before it is sent", async () => {
  await using server = await LocalServer.start();
  const { status, body } = await raw(server, "POST", EVENTS, { "Content-Length": String(MiB + 1) });
  assert.equal(status, 413);
  assert.equal(JSON.parse(body).code, "event_too_large");
});

Deno.test("a chunked body is read up to the limit and no further", async () => {
  await using server = await LocalServer.start();
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  using connection = await RawConnection.open(server.port);
  await connection.write(head("POST", EVENTS, { "Transfer-Encoding": "chunked" }));
  for (let i = 0; i < 17; i++) await connection.write(chunk); // one byte above 1 MiB would suffice
  assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 413 /);
  await assertNothingStored(server);
});

for (
  const [how, framing, part] of [
    ["with its length announced", { "Content-Length": "10" }, "12345"],
    ["chunked", { "Transfer-Encoding": "chunked" }, "5\r\n12345\r\n"],
  ] as const
) {
  Deno.test(`a body that stops halfway is not stored (${how})`, async () => {
    await using server = await LocalServer.start();
    {
      using connection = await RawConnection.open(server.port);
      await connection.write(head("POST", EVENTS, { ...TEXT_BODY, ...framing }) + part);
      await connection.closeWrite();
      for (let bytes; (bytes = await connection.read()) !== undefined;) {
        assert.doesNotMatch(new TextDecoder().decode(bytes), /^HTTP\/1\.1 20/);
      }
    }
    assert.equal((await raw(server, "POST", "/v1/channels/b/events", {}, "")).status, 201);
    await until("only the whole body is stored", async () => {
      const channels = await server.server.log.channels(DEFAULT_TENANT, "", 10);
      return channels.map(({ channel }) => channel).join() === "b";
    });
  });
}

async function assertNothingStored({ server }: LocalServer): Promise<void> {
  assert.deepEqual(await server.log.channels(DEFAULT_TENANT, "", 10), []);
}

/** Sends a raw request on a new connection. */
async function raw(
  server: LocalServer,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  using connection = await RawConnection.open(server.port);
  const length = body === undefined ? {} : { "Content-Length": String(body.length) };
  await connection.write(head(method, path, { ...headers, ...length, Connection: "close" }));
  if (body !== undefined) await connection.write(body);
  const answer = await connection.readUntil("\r\n\r\n");
  const announced = Number(/^content-length: (\d+)/im.exec(answer)?.[1] ?? 0);
  return {
    status: Number(answer.split(" ")[1]),
    body: new TextDecoder().decode(await connection.readBytes(announced)),
  };
}
