import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { OPEN } from "../../lib/auth/authority.ts";
import { openBody } from "../../routes/body.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const NDJSON = { "Content-Type": "application/x-ndjson" };
const ALL = { publish: ["**"], subscribe: ["**"] };

interface Line {
  readonly index?: number;
  readonly channel?: string;
  readonly offset?: string;
  readonly id?: string;
  readonly code?: string;
  readonly status?: number;
  readonly duplicate?: boolean;
}

/** A stream of publishes, whose answers are read while it is open. */
class OpenStream implements AsyncDisposable {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #response: Promise<Response>;
  readonly lines: Line[] = [];
  readonly ended: Promise<void>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    const body = new TransformStream<Uint8Array, Uint8Array>();
    this.#writer = body.writable.getWriter();
    this.#response = fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { ...NDJSON, ...headers },
      body: body.readable,
    });
    this.ended = this.#read();
  }

  get response(): Promise<Response> {
    return this.#response;
  }

  async write(...events: readonly unknown[]): Promise<void> {
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.ended;
  }

  async answers(count: number): Promise<void> {
    await until(`${count} answers`, () => this.lines.length >= count);
  }

  async #read(): Promise<void> {
    const { body } = await this.#response;
    if (body === null) throw new Error("no body");
    let rest = "";
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push(JSON.parse(line));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.abort().catch(() => {});
    await this.ended.catch(() => {});
  }
}

Deno.test("a stream of publishes is answered line by line while it is being sent", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using stream = new OpenStream(weir.url);
  await stream.write({ channel, data: 1 });
  await stream.answers(1);
  const response = await stream.response;
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const [first] = await readAll(weir.url, channel);
  assert.deepEqual(stream.lines, [
    { index: 0, channel, offset: first?.offset, id: first?.id },
  ]);
  await stream.write({ channel, data: 2, id: "two" }, { channel, data: 2, id: "two" });
  await stream.write({ channel: "", data: 3 }, { channel, data: 4, type: "four" });
  await stream.close();
  assert.deepEqual(stream.lines.map(({ index, code, duplicate }) => [index, code, duplicate]), [
    [0, undefined, undefined],
    [1, undefined, undefined],
    [2, undefined, true],
    [3, "bad_channel", undefined],
    [4, undefined, undefined],
  ]);
  const events = await readAll(weir.url, channel);
  assert.deepEqual(events.map(({ data, type }) => [data, type]), [
    [1, "message"],
    [2, "message"],
    [4, "four"],
  ]);
});

Deno.test("a stream of 50,000 publishes to many channels keeps the order of each", async () => {
  await using weir = await LocalServer.start();
  const channels = Array.from({ length: 7 }, () => newChannel());
  const EVENTS = 50_000;
  const text = Array.from(
    { length: EVENTS },
    (_, i) => JSON.stringify({ channel: channels[(i >> 3) % channels.length], data: i }),
  ).join("\n");
  const response = await fetch(`${weir.url}/v1/events`, {
    method: "POST",
    headers: NDJSON,
    body: text,
  });
  const lines = (await response.text()).trimEnd().split("\n").map((line): Line => JSON.parse(line));
  assert.equal(lines.length, EVENTS);
  assert.ok(lines.every(({ offset }, i) => offset !== undefined && lines[i]?.index === i));
  for (const channel of channels) {
    const data = (await readAll(weir.url, channel)).map(({ data }) => Number(data));
    assert.ok(data.every((n, i) => i === 0 || n > (data[i - 1] ?? 0)), channel);
  }
});

Deno.test("a stream of publishes needs the right for each line, and ends with its credential", async () => {
  await using weir = await guardedLocal();
  const jti = crypto.randomUUID();
  const token = await weir.token({ publish: ["a:**"], subscribe: ["**"] }, { jti });
  await using stream = new OpenStream(weir.url, bearer(token));
  await stream.write({ channel: "a:1", data: 1 }, { channel: "b", data: 2 });
  await stream.answers(2);
  assert.deepEqual(stream.lines.map(({ code, status }) => [code, status]), [
    [undefined, undefined],
    ["forbidden", 403],
  ]);
  const admin = bearer(await weir.token({ admin: true }));
  const revoked = await fetch(`${weir.url}/v1/revocations`, {
    method: "POST",
    headers: { ...admin, "Content-Type": "application/json" },
    body: JSON.stringify({ jti }),
  });
  assert.equal(revoked.ok, true, await revoked.text());
  await stream.ended;
  assert.equal(stream.lines.at(-1)?.code, "token_revoked");
  assert.equal(stream.lines.at(-1)?.index, undefined);
  const none = await fetch(`${weir.url}/v1/events`, {
    method: "POST",
    headers: { ...NDJSON, ...bearer(await weir.token({ subscribe: ["**"] })) },
    body: '{"channel":"a:1","data":1}',
  });
  assert.equal(none.status, 403, await none.text());
});

Deno.test("a stream of publishes waits for the rate limit, and counts as a connection", async () => {
  await using weir = await guardedLocal({
    WEIR_LIMITS: "credential.publishes=50 credential.connections=1",
  });
  const headers = bearer(await weir.token(ALL));
  const channel = newChannel();
  await using stream = new OpenStream(weir.url, headers);
  await stream.write({ channel, data: 0 });
  await stream.answers(1);
  const second = await fetch(`${weir.url}/v1/events`, {
    method: "POST",
    headers: { ...NDJSON, ...headers },
    body: "",
  });
  assert.equal(second.status, 429);
  assert.equal((await second.json()).code, "too_many_connections");
  await stream.write(...Array.from({ length: 120 }, (_, i) => ({ channel, data: i + 1 })));
  await stream.close();
  assert.deepEqual(stream.lines.map(({ code }) => code).filter((code) => code !== undefined), []);
  assert.equal(stream.lines.length, 121);
  const after = await fetch(`${weir.url}/v1/events`, {
    method: "POST",
    headers: { ...NDJSON, ...headers },
    body: "",
  });
  assert.equal(after.status, 200, "the connection no longer counts");
  assert.equal(await after.text(), "");
});

Deno.test("a stream that is refused since many bodies arrive no longer counts as a connection", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: "credential.connections=1" });
  const headers = { ...NDJSON, ...bearer(await weir.token(ALL)) };
  const post = () => fetch(`${weir.url}/v1/events`, { method: "POST", headers, body: "" });
  {
    // All but the memory of one more body, which costs 32 KiB.
    using others = openBody({ authority: OPEN, ip: "" });
    others.add(128 * 2 ** 20 - 60 * 1_024);
    const refused = await post();
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).code, "overloaded");
  }
  const accepted = await post();
  assert.equal(accepted.status, 200, await accepted.text());
});

Deno.test("a server that stops ends a stream of publishes, and keeps what it has answered", async () => {
  await using weir = await WeirServer.start();
  const channel = newChannel();
  await using stream = new OpenStream(weir.url);
  await stream.write({ channel, data: 1 });
  await stream.answers(1);
  const { code } = await weir.kill("SIGTERM");
  await stream.ended;
  assert.deepEqual(stream.lines.map(({ code }) => code), [undefined, "shutting_down"]);
  assert.equal(code, 0);
  await weir.start();
  assert.deepEqual((await readAll(weir.url, channel)).map(({ data }) => data), [1]);
});

Deno.test("a producer that leaves in the middle has stored what was answered, in order", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  const socket = connectTcp(weir.port, "127.0.0.1");
  let answers = "";
  socket.on("data", (data) => answers += String(data));
  socket.write(
    "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const send = (text: string) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
  const EVENTS = 500;
  for (let i = 0; i < EVENTS; i++) send(`${JSON.stringify({ channel, data: i })}\n`);
  send('{"channel":"'); // the line is cut
  await until("some are answered", () => answers.includes('"index":99,'));
  socket.destroy();
  await new Promise((resolve) => socket.on("close", resolve));
  const answered = [...answers.matchAll(/"index":(\d+),/g)].length;
  const stored = (await readAll(weir.url, channel)).map(({ data }) => data);
  assert.ok(stored.length >= answered, `${stored.length} stored, ${answered} answered`);
  assert.deepEqual(stored, Array.from({ length: stored.length }, (_, i) => i));
});
