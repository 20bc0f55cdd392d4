import assert from "node:assert/strict";
import { Problem } from "../../lib/shared/problem.ts";
import { readBody } from "../../routes/body.ts";
import { problemResponse } from "../../routes/problem.ts";
import { MAX_URL_CHARS, requireShortUrl } from "../../routes/query.ts";
import { LocalServer } from "../support/local_server.ts";
import { head, RawConnection } from "../support/raw_connection.ts";
import { resetConnections } from "../support/reset_connections.ts";

const MAX_BYTES = 1_048_576;
/** More bytes than are read with one call. */
const LARGE = 100_000;
/** Milliseconds for a body in the tests that wait for its timeout. */
const SHORT = 50;

/** How a body is framed, and one byte in that framing. */
const FRAMINGS = [
  ["small and announced", { "Content-Length": "1000" }, "x"],
  ["large and announced", { "Content-Length": String(LARGE) }, "x"],
  ["chunked", { "Transfer-Encoding": "chunked" }, "1\r\nx\r\n"],
] as const;

for (const [how, framing, byte] of FRAMINGS) {
  Deno.test(`a body that takes too long is refused, even if bytes keep arriving (${how})`, async () => {
    await using server = new BodyServer(SHORT);
    using connection = await server.post(framing);
    let isAnswered = false;
    const answer = connection.readUntil("\r\n\r\n").finally(() => isAnswered = true);
    while (!isAnswered) {
      await connection.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.match(await answer, /^HTTP\/1\.1 408 /);
    assert.equal(await server.outcome, "request_timeout");
  });

  Deno.test(`a body that stalls is refused (${how})`, async () => {
    await using server = new BodyServer(SHORT);
    using connection = await server.post(framing);
    await connection.write(byte);
    assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 408 /);
    assert.equal(await server.outcome, "request_timeout");
  });

  Deno.test(`a body that ends early is incomplete, not late (${how})`, async () => {
    await using server = new BodyServer();
    using connection = await server.post(framing);
    await connection.write(byte);
    await server.asked;
    await connection.closeWrite();
    assert.equal(await server.outcome, "body_incomplete");
  });
}

for (
  const [how, framing, parts] of [
    ["small and announced", { "Content-Length": "10" }, ["12345", "67890"]],
    ["large and announced", { "Content-Length": String(LARGE) }, [
      "x".repeat(LARGE / 2),
      "x".repeat(LARGE / 2),
    ]],
    ["chunked", { "Transfer-Encoding": "chunked" }, [
      "5\r\n12345\r\n",
      "5\r\n67890\r\n0\r\n\r\n",
    ]],
  ] as const
) {
  Deno.test(`a body that arrives in parts is read completely (${how})`, async () => {
    await using server = new BodyServer();
    using connection = await server.post(framing);
    await connection.write(parts[0]);
    await server.asked;
    await connection.write(parts[1]);
    assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
    assert.equal(await server.outcome, how.startsWith("large") ? LARGE : 10);
  });
}

Deno.test("a URL that is one character too long is refused", () => {
  const start = "http://localhost:8000/v1/events?channel=";
  const longest = start + "a".repeat(MAX_URL_CHARS - start.length);
  requireShortUrl(new Request(longest));
  assert.throws(
    () => requireShortUrl(new Request(`${longest}a`)),
    (cause) => cause instanceof Problem && cause.code === "uri_too_long",
  );
});

// Deno itself limits the headers. If a version of Deno changes that, Weir must limit them.
for (
  const [what, lines] of [
    ["64 KiB of headers", { "X-Long": "a".repeat(65_536) }],
    ["129 headers", Object.fromEntries(Array.from({ length: 128 }, (_, i) => [`X-${i}`, "a"]))],
  ] as const
) {
  Deno.test(`a header section with ${what} is refused by the runtime`, async () => {
    await using server = await LocalServer.start();
    using connection = await RawConnection.open(server.port);
    assert.match(await connection.get("/healthz", lines), /^HTTP\/1\.1 400 /);
    assert.equal(await connection.read(), undefined);
  });
}

Deno.test("an endless header section is cut at 64 KiB", async () => {
  await using server = await LocalServer.start();
  using connection = await RawConnection.open(server.port);
  await connection.write(`GET /healthz HTTP/1.1\r\nX-Long: ${"a".repeat(65_536)}`);
  assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.equal(await connection.read(), undefined);
});

Deno.test("a hundred clients that stall within the headers delay no other client", async () => {
  await using server = await LocalServer.start();
  using senders = new DisposableStack();
  for (let i = 0; i < 100; i++) {
    const sender = senders.use(await RawConnection.open(server.port));
    await sender.write("GET /healthz HTTP/1.1\r\nHo");
  }
  const response = await fetch(`${server.url}/healthz`);
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

Deno.test("connections reset before they are accepted don't end the server", async () => {
  await using server = await LocalServer.start();
  resetConnections(server.port, 50);
  const response = await fetch(`${server.url}/healthz`);
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

/** Reads the body of one request. */
class BodyServer implements AsyncDisposable {
  /** Resolves once the request's headers have arrived. */
  readonly asked: Promise<void>;
  /** Resolves to the body's length or the code of its refusal. */
  readonly outcome: Promise<number | string>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param time milliseconds for a body. @default as in {@link readBody} */
  constructor(time?: number) {
    const asked = Promise.withResolvers<void>();
    const outcome = Promise.withResolvers<number | string>();
    this.asked = asked.promise;
    this.outcome = outcome.promise;
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(options, async (request) => {
      asked.resolve();
      try {
        outcome.resolve((await readBody(request, MAX_BYTES, time)).length);
        return new Response();
      } catch (cause) {
        if (!(cause instanceof Problem)) throw cause;
        outcome.resolve(cause.code);
        return problemResponse(cause);
      }
    });
  }

  /** Opens a connection and sends the headers of a request. */
  async post(framing: Readonly<Record<string, string>>): Promise<RawConnection> {
    const connection = await RawConnection.open(this.#server.addr.port);
    await connection.write(head("POST", "/", framing));
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
