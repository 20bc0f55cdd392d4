import assert from "node:assert/strict";
import { Problem } from "../../lib/shared/problem.ts";
import type { Caller } from "../../lib/auth/caller.ts";
import { readBody } from "../../routes/body.ts";
import { problemResponse } from "../../routes/problem.ts";
import { MAX_URL_CHARS, requireShortUrl } from "../../routes/query.ts";
import { authorityOf } from "../support/grants.ts";
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

for (const bytes of [0, 100, 6_000, 60_000, MAX_BYTES]) {
  for (const isChunked of [false, true]) {
    const how = isChunked ? "chunked" : "announced";
    Deno.test(`a body of ${bytes} bytes that arrives at once is read completely (${how})`, async () => {
      await using server = new BodyServer();
      const body = "x".repeat(bytes);
      const size = bytes.toString(16);
      const parts = bytes === 0 ? "0\r\n\r\n" : `${size}\r\n${body}\r\n0\r\n\r\n`;
      using connection = await RawConnection.open(server.port);
      await connection.write(
        isChunked
          ? head("POST", "/", { "Transfer-Encoding": "chunked" }) + parts
          : head("POST", "/", { "Content-Length": String(bytes) }) + body,
      );
      assert.match(await connection.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
      assert.equal(await server.outcome, bytes);
    });
  }
}

for (const bytes of [MAX_BYTES + 1, MAX_BYTES + 100_000]) {
  Deno.test(`a chunked body of ${bytes} bytes is too large`, async () => {
    await using server = new BodyServer();
    using connection = await server.post({ "Transfer-Encoding": "chunked" });
    await connection.write(`${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`);
    assert.equal(await server.outcome, "event_too_large");
  });
}

Deno.test("a body that comes in tiny parts takes little more than its bytes", async () => {
  const parts = 2_000;
  const body = new DrippingBody(parts);
  const before = Deno.memoryUsage().external;
  const reading = readBody(body.request, bodyOptions());
  await body.sent;
  // The runtime gives each part a buffer of 64 KiB if nobody else does: 125 MiB in all.
  assert.ok(Deno.memoryUsage().external - before < 16 * 2 ** 20);
  body.end();
  assert.equal((await reading).length, parts);
});

Deno.test("late bodies of one IP leave memory for those of others", async () => {
  const [mine, other] = ["192.0.2.1", "192.0.2.2"];
  const bodies: DrippingBody[] = [];
  let refusal: unknown;
  const readings: Promise<unknown>[] = [];
  while (refusal === undefined && bodies.length < 10_000) {
    const body = new DrippingBody(1);
    bodies.push(body);
    readings.push(
      readBody(body.request, bodyOptions(undefined, mine)).catch((cause) => refusal = cause),
    );
    await Promise.race([body.sent, readings.at(-1)]);
  }
  assert.ok(refusal instanceof Problem && refusal.code === "overloaded");
  const theirs = new DrippingBody(1);
  theirs.end();
  assert.equal((await readBody(theirs.request, bodyOptions(undefined, other))).length, 1);
  for (const body of bodies) body.end();
  await Promise.all(readings);
  const later = new DrippingBody(1);
  later.end();
  assert.equal((await readBody(later.request, bodyOptions(undefined, mine))).length, 1);
});

Deno.test("late bodies give their memory back when they are refused", async () => {
  const ip = "192.0.2.3";
  for (let round = 0; round < 3; round++) {
    const readings = Array.from(
      { length: 1_500 },
      () => readBody(new DrippingBody(1).request, bodyOptions(SHORT, ip)),
    );
    for (
      const { status, reason } of await Promise.allSettled(readings) as PromiseRejectedResult[]
    ) {
      assert.equal(status, "rejected");
      assert.equal((reason as Problem).code, "request_timeout");
    }
  }
});

Deno.test("a connection whose body was late ends with its next byte", async () => {
  await using server = new BodyServer(SHORT);
  using connection = await server.post({ "Content-Length": "50000" });
  await connection.write("x");
  const answer = await connection.readUntil("\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.match(answer, /connection: close/i);
  await connection.write("x");
  while (await connection.read() !== undefined);
});

Deno.test("late bodies leave nothing in memory once their clients have left", async () => {
  await using server = new BodyServer(SHORT);
  const before = Deno.memoryUsage().external;
  await Promise.all(Array.from({ length: 400 }, async () => {
    using conn = await Deno.connect({ port: server.port });
    await conn.write(
      new TextEncoder().encode(head("POST", "/", { "Content-Length": "50000" }) + "x"),
    );
    await conn.read(new Uint8Array(1_024));
  }));
  // The runtime kept 64 KiB of each whose pending read was cancelled: 25 MiB in all.
  assert.ok(Deno.memoryUsage().external - before < 8 * 2 ** 20);
});

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

function bodyOptions(timeoutMs?: number, ip = ""): Parameters<typeof readBody>[1] {
  const caller: Caller = { authority: authorityOf(), ip };
  return { maxBytes: MAX_BYTES, caller, ...timeoutMs !== undefined && { timeoutMs } };
}

/** A body of the runtime's kind that comes one byte at a time. */
class DrippingBody {
  readonly request: Request;
  /** Resolves once the reader waits for more bytes than there are so far. */
  readonly sent: Promise<void>;
  readonly #end = Promise.withResolvers<void>();

  constructor(bytes: number) {
    const sent = Promise.withResolvers<void>();
    this.sent = sent.promise;
    let left = bytes;
    const body = new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: 65_536, // the runtime's
      pull: async (controller) => {
        if (left === 0) {
          sent.resolve();
          await this.#end.promise;
          controller.close();
        }
        controller.byobRequest?.respond(left === 0 ? 0 : 1);
        left--;
      },
      cancel: () => this.#end.reject(),
    });
    this.#end.promise.catch(() => {});
    this.request = new Request("http://localhost/", { method: "POST", body });
  }

  end(): void {
    this.#end.resolve();
  }
}

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
        outcome.resolve((await readBody(request, bodyOptions(time))).length);
        return new Response();
      } catch (cause) {
        if (!(cause instanceof Problem)) throw cause;
        outcome.resolve(cause.code);
        return problemResponse(cause);
      }
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Opens a connection and sends the headers of a request. */
  async post(framing: Readonly<Record<string, string>>): Promise<RawConnection> {
    const connection = await RawConnection.open(this.port);
    await connection.write(head("POST", "/", framing));
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
