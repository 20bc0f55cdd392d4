import assert from "node:assert/strict";
import type { ConnectOptions, Weir } from "../../../../lib/client/api.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import type { JsonObject } from "../../../../lib/client/core/json_object.ts";
import { FakePlatform } from "../../../support/client_platform.ts";
import { type FakeConnection, FakeWebTransports } from "../../../support/fake_webtransport.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { until } from "../../../support/until.ts";

const OFFER = {
  transports: ["webtransport", "websocket"],
  webtransport: {
    url: "https://localhost:4433/v1/webtransport",
    certificateHashes: [{ algorithm: "sha-256", value: btoa("\x01\x02\xff") }],
  },
};

/** A client on a clock of the test, whose WebTransport and server are in memory. */
class Setting implements AsyncDisposable {
  readonly device = new FakePlatform();
  readonly browser: FakeWebTransports;
  /** The answers of `GET /v1/transports`. */
  answer: () => Response | Promise<Response> = () => Response.json(OFFER);
  asked: URL[] = [];
  readonly #clients: Weir[] = [];

  constructor(browser = new FakeWebTransports()) {
    this.browser = browser;
  }

  connect(options: ConnectOptions = {}, url = "http://localhost:4433"): Weir {
    const weir = makeClient(
      url,
      { transports: ["webtransport"], ...options },
      this.device.platform({
        WebTransport: this.browser.WebTransport,
        fetch: (url, init) => {
          if (!url.pathname.endsWith("/v1/transports")) return fetch(url, init);
          this.asked.push(url);
          return Promise.resolve(this.answer());
        },
      }),
    );
    this.#clients.push(weir);
    return weir;
  }

  /** Resolves with the next connection, accepted. */
  async accepted(): Promise<FakeConnection> {
    const { connections } = this.browser;
    const before = connections.filter(({ isClosed }) => isClosed).length;
    await until("a connection is asked for", () => connections.length > before);
    connections.at(-1)!.accept();
    return connections.at(-1)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((weir) => weir.close()));
    assert.equal(this.device.clock.timers, 0, "timers are left");
  }
}

interface Reading {
  readonly seen: unknown[];
  close(): void;
}

function read(weir: Weir, channel: string): Reading {
  const seen: unknown[] = [];
  const { close } = weir.listen(channel, {
    after: offset(0),
    onEvent: ({ data }) => void seen.push(data),
    onEphemeral: ({ data }) => void seen.push({ ephemeral: data }),
    onGap: "throw",
    onError: ({ code }) => void seen.push(code),
  });
  return { seen, close };
}

function offset(sequence: number): string {
  return `0000000ab_${String(sequence).padStart(16, "0")}`;
}

function event(channel: string, sequence: number, data: unknown = sequence): JsonObject {
  return { op: "event", channel, offset: offset(sequence), type: "message", data };
}

/** Waits for the subscribe to the channel and returns its answer. */
async function answerOf(connection: FakeConnection, channel: string): Promise<JsonObject> {
  let found: JsonObject | undefined;
  await until(`${channel} is subscribed to`, () => {
    found = connection.messages.findLast((message) =>
      message["op"] === "subscribe" && message["channel"] === channel
    );
    return found !== undefined;
  });
  return { op: "subscribed", ref: found?.["ref"], channel, offset: found?.["after"] };
}

/** Resolves once what was sent has been handled: an answer that comes after it is. */
async function settled(connection: FakeConnection, weir: Weir): Promise<void> {
  const call = weir.link.call({ op: "ephemeral", channel: "settled", data: "x".repeat(2_000) });
  await until("it is asked", () => connection.find("publish")?.["channel"] === "settled");
  connection.send({ op: "ack", ref: connection.messages.at(-1)?.["ref"] });
  await call;
  connection.messages.pop();
}

Deno.test("it opens where the server says, with its certificate's hash, and reads event streams", async () => {
  await using setting = new Setting();
  const weir = setting.connect({}, "http://localhost:4433/base/");
  const reading = read(weir, "a");
  const connection = await setting.accepted();
  assert.deepEqual(setting.asked.map(String), ["http://localhost:4433/base/v1/transports"]);
  assert.equal(String(connection.url), OFFER.webtransport.url);
  assert.deepEqual(connection.options.serverCertificateHashes, [
    { algorithm: "sha-256", value: new Uint8Array([1, 2, 255]) },
  ]);
  const stream = connection.open(1);
  stream.send(await answerOf(connection, "a"), event("a", 1));
  await until("the event came", () => reading.seen.length === 1);
  const [half, rest] = [JSON.stringify(event("a", 2, "ü")), `\n${JSON.stringify(event("a", 3))}\n`];
  stream.write(half.slice(0, 30));
  stream.write(half.slice(30));
  stream.write(rest);
  await until("all came", () => reading.seen.length === 3);
  assert.deepEqual(reading.seen, [1, "ü", 3]);
  assert.deepEqual(weir.state.value, { status: "open", transport: "webtransport" });
});

Deno.test("without a self-signed certificate no hashes are given to the browser", async () => {
  await using setting = new Setting();
  const { url } = OFFER.webtransport;
  setting.answer = () => Response.json({ transports: [], webtransport: { url } });
  read(setting.connect(), "a");
  const connection = await setting.accepted();
  assert.deepEqual(connection.options, {});
});

Deno.test("an event is taken only from the stream of the channel's current subscription", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const first = read(weir, "a");
  const connection = await setting.accepted();
  const old = connection.open(1);
  old.send(await answerOf(connection, "a"), event("a", 1));
  await until("the event came", () => first.seen.length === 1);
  first.close();
  await until("it has unsubscribed", () => connection.find("unsubscribe") !== undefined);
  old.send(event("a", 2)); // on its way when the unsubscribe arrived

  connection.messages.length = 0;
  const second = read(weir, "a");
  const answer = await answerOf(connection, "a");
  old.send(event("a", 1));
  await settled(connection, weir);
  const current = connection.open(2);
  current.send(answer, event("a", 1));
  await until("it is read again", () => second.seen.length === 1);
  old.send(event("a", 2));
  old.end();
  connection.send(event("a", 2)); // nor from the control stream
  await settled(connection, weir);
  assert.deepEqual(second.seen, [1]);
  current.send(event("a", 2));
  await until("the next one came", () => second.seen.length === 2);
  assert.deepEqual([first.seen, second.seen], [[1], [1, 2]]);
});

Deno.test("a stream that is reset ends quietly, and the others continue", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const [a, b] = [read(weir, "a"), read(weir, "b")];
  const connection = await setting.accepted();
  const [one, two] = [connection.open(1), connection.open(2)];
  one.send(await answerOf(connection, "a"));
  two.send(await answerOf(connection, "b"), event("b", 1));
  await until("the event came", () => b.seen.length === 1);
  a.close();
  one.reset();
  two.send(event("b", 2));
  await until("the next one came", () => b.seen.length === 2);
  assert.equal(setting.browser.connections.length, 1);
});

Deno.test("what is taken is acknowledged in steps of 32 KiB, over all streams", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const [a, b] = [read(weir, "a"), read(weir, "b")];
  const connection = await setting.accepted();
  const [one, two] = [connection.open(1), connection.open(2)];
  one.send(await answerOf(connection, "a"));
  two.send(await answerOf(connection, "b"));
  const bytes = { "1": 0, "2": 0 };
  const header = JSON.stringify({ op: "stream", stream: 1 }).length + 1;
  bytes["1"] = header + JSON.stringify(await answerOf(connection, "a")).length + 1;
  bytes["2"] = header + JSON.stringify(await answerOf(connection, "b")).length + 1;
  const data = "x".repeat(15_000);
  const sizeOf = (event: JsonObject) => JSON.stringify(event).length + 1;
  one.send(event("a", 1, data));
  two.send(event("b", 1, data));
  bytes["1"] += sizeOf(event("a", 1, data));
  bytes["2"] += sizeOf(event("b", 1, data));
  await until("both came", () => a.seen.length + b.seen.length === 2);
  await settled(connection, weir);
  assert.equal(connection.find("received"), undefined);
  two.send(event("b", 2, data));
  bytes["2"] += sizeOf(event("b", 2, data));
  await until("it is acknowledged", () => connection.find("received") !== undefined);
  assert.deepEqual(connection.find("received"), { op: "received", streams: bytes });

  // A line that has not ended counts too. A stream without news is not listed.
  connection.messages.length = 0;
  const large = JSON.stringify(event("a", 2, "y".repeat(40_000)));
  one.write(large.slice(0, 35_000));
  await until("its beginning is acknowledged", () => connection.find("received") !== undefined);
  assert.deepEqual(connection.find("received")?.["streams"], { "1": bytes["1"] + 35_000 });
  one.write(`${large.slice(35_000)}\n`);
  await until("it came", () => a.seen.length === 2);
});

Deno.test("the first line of a stream counts, also if it comes in pieces", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const { seen } = read(weir, "a");
  const connection = await setting.accepted();
  const stream = connection.openStream();
  const text = [
    { op: "stream", stream: 7 },
    await answerOf(connection, "a"),
    event("a", 1, "x".repeat(40_000)),
  ].map((message) => `${JSON.stringify(message)}\n`).join("");
  for (const [from, to] of [[0, 5], [5, 20], [20, undefined]] as const) {
    stream.write(text.slice(from, to));
    await settled(connection, weir);
  }
  await until("it came", () => seen.length === 1);
  await until("it is acknowledged", () => connection.find("received") !== undefined);
  assert.deepEqual(connection.find("received")?.["streams"], { "7": text.length });
});

Deno.test("small ephemeral events are datagrams, large ones lines of the control stream", async () => {
  for (const isSafari of [false, true]) {
    await using setting = new Setting(new FakeWebTransports({ isSafari }));
    const weir = setting.connect();
    const { seen } = read(weir, "a");
    const connection = await setting.accepted();
    const stream = connection.open(1);
    stream.send(await answerOf(connection, "a"));
    const publish = (data: unknown) => weir.publish("a", data, { ephemeral: true });
    const small = publish("x");
    await until("it is sent", () => connection.datagrams.length === 1);
    const { ref, ...members } = connection.datagrams[0]!;
    assert.deepEqual(members, { op: "publish", channel: "a", data: "x", ephemeral: true });
    connection.send({ op: "ack", ref, ephemeral: true });
    assert.equal((await small).channel, "a");
    const refused = publish("y");
    await until("it is sent", () => connection.datagrams.length === 2);
    connection.send({ op: "error", ref: connection.datagrams[1]?.["ref"], code: "forbidden" });
    await assert.rejects(refused, { code: "forbidden" });
    const large = publish("ü".repeat(600));
    await until("it is sent", () => connection.find("publish") !== undefined);
    connection.send({ op: "ack", ref: connection.find("publish")?.["ref"], ephemeral: true });
    await large;
    assert.equal(connection.datagrams.length, 2);

    const note = (data: unknown) => JSON.stringify({ op: "ephemeral", channel: "a", data });
    connection.sendDatagram(`${note(1)}\n${note(2)}`);
    await until("two came in one datagram", () => seen.length === 2);
    stream.send(JSON.parse(note(3)));
    await until("one came on the stream", () => seen.length === 3);
    assert.deepEqual(seen, [{ ephemeral: 1 }, { ephemeral: 2 }, { ephemeral: 3 }]);
  }
});

Deno.test("a datagram without an answer counts as sent after a second, and a late answer is ignored", async () => {
  await using setting = new Setting();
  const { device } = setting;
  const weir = setting.connect();
  read(weir, "a");
  const connection = await setting.accepted();
  await answerOf(connection, "a");
  let isSettled = false;
  const lost = weir.publish("a", 1, { ephemeral: true }).finally(() => isSettled = true);
  await until("it is sent", () => connection.datagrams.length === 1);
  device.clock.advance(999);
  await settled(connection, weir);
  assert.equal(isSettled, false);
  device.clock.advance(1);
  await lost;
  connection.send({ op: "ack", ref: connection.datagrams[0]?.["ref"], ephemeral: true });
  connection.send({ op: "left", ref: connection.datagrams[0]?.["ref"], channel: "a" });
  await settled(connection, weir);
  assert.deepEqual(weir.link.left?.value, {});
});

Deno.test("datagrams that the network does not take are dropped, not collected", async () => {
  await using setting = new Setting();
  const { device } = setting;
  const weir = setting.connect();
  read(weir, "a");
  const connection = await setting.accepted();
  await answerOf(connection, "a");
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.datagramsMayLeave = promise;
  const timers = device.clock.timers;
  const all = Array.from({ length: 300 }, (_, i) => weir.publish("a", i, { ephemeral: true }));
  await until("all wait", () => device.clock.timers === timers + 300);
  device.clock.advance(1_000);
  await Promise.all(all); // as ephemeral events may be lost
  assert.equal(connection.datagrams.length, 0);
  resolve();
  await until("the rest has left", () => connection.datagrams.length === 256);
  const next = weir.publish("a", "new", { ephemeral: true });
  await until("the next one leaves", () => connection.datagrams.at(-1)?.["data"] === "new");
  assert.equal(connection.datagrams.length, 257);
  device.clock.advance(1_000);
  await next;
});

Deno.test("a token is the first message, and its refusal is recognized", async () => {
  await using setting = new Setting();
  const tokens = ["old", "new"];
  const weir = setting.connect({ auth: () => tokens.shift() ?? "none" });
  const { seen } = read(weir, "a");
  const first = await setting.accepted();
  await until("it authenticates", () => first.messages.length === 1);
  const [{ ref, ...auth } = {}] = first.messages;
  assert.deepEqual(auth, { op: "auth", token: "old" });
  first.send({ op: "error", ref, code: "token_expired", detail: "Expired." });
  await until("it closes", () => first.isClosed);
  setting.device.clock.advance(2_000);
  const second = await setting.accepted();
  await until("it authenticates", () => second.messages.length === 1);
  assert.equal(second.messages[0]?.["token"], "new");
  second.send({ op: "authenticated", ref: second.messages[0]?.["ref"] });
  second.open(1).send(await answerOf(second, "a"), event("a", 1));
  await until("the event came", () => seen.length === 1);

  // The server asks for a new one before it expires, and says goodbye.
  tokens.push("newest");
  second.send({ op: "token", expiresIn: 1_000 });
  await until("it is renewed", () => second.messages.at(-1)?.["token"] === "newest");
  second.send({ op: "goodbye", reason: "stopping", retry: 3_000 });
  await until("it connects elsewhere", () => setting.browser.connections.length === 3);
  const third = await setting.accepted();
  await until("it authenticates elsewhere", () => third.messages.length === 1);
  assert.equal(second.isClosed, false, "the old connection is used until the new one is open");
  third.send({ op: "authenticated", ref: third.messages[0]?.["ref"] });
  const answer = await answerOf(third, "a");
  assert.equal(second.isClosed, false, "the old connection is used until the new one reads");
  third.open(1).send(answer);
  await until("the old connection closes", () => {
    setting.device.clock.advance(10); // the client looks each 10 ms
    return second.isClosed;
  });
  assert.equal(weir.state.value.status, "open");
});

Deno.test("a ticket is in the URL, and is not used up where there is no WebTransport", async () => {
  await using setting = new Setting();
  let tickets = 0;
  setting.answer = () => Response.json({ transports: ["websocket"] });
  const weir = setting.connect({ auth: () => ({ ticket: `wt_${++tickets}` }) });
  read(weir, "a");
  await until("it waits", () => weir.state.value.status === "reconnecting");
  setting.answer = () => Response.json(OFFER);
  setting.device.clock.advance(1_000);
  const connection = await setting.accepted();
  assert.equal(connection.url.search, "?ticket=wt_1");
});

interface Failure {
  readonly name: string;
  /** The answer of `GET /v1/transports`, if it is none with a WebTransport. */
  readonly answer?: () => Response;
  /** What happens to the connection, if one is asked for. */
  readonly fail?: (connection: FakeConnection, device: FakePlatform) => void | Promise<void>;
}

const FAILURES: readonly Failure[] = [
  { name: "is refused", fail: (connection) => connection.refuse() },
  {
    name: "does not open within 2 s",
    fail: async (connection, { clock }) => {
      clock.advance(2_000);
      await until("it is closed", () => connection.isClosed);
    },
  },
  {
    name: "sends no welcome within 2 s",
    fail: async (connection, { clock }) => {
      connection.acceptSilently();
      await until("the control stream is open", () => connection.hasControl);
      clock.advance(2_000);
      await until("it is closed", () => connection.isClosed);
    },
  },
  { name: "is not offered", answer: () => Response.json({ transports: ["websocket"] }) },
  { name: "is unknown to the server", answer: () => new Response("", { status: 404 }) },
  {
    name: "is not told because of a limit",
    answer: () => Response.json({ code: "rate_limited", detail: "Too many." }, { status: 429 }),
  },
  {
    name: "has an offer that cannot be read",
    answer: () => Response.json({ webtransport: { url: "no URL" } }),
  },
  { name: "has an offer that is not JSON", answer: () => new Response("<h1>Welcome</h1>") },
];

for (const { name, answer, fail } of FAILURES) {
  Deno.test(`a WebTransport that ${name} makes room for the next transport, and is tried again`, async () => {
    await using server = await LocalServer.start();
    await using setting = new Setting();
    const { device, browser } = setting;
    setting.answer = answer ?? setting.answer;
    const weir = setting.connect({ transports: ["webtransport", "websocket"] }, server.url);
    const { seen } = read(weir, "a");
    await until("the server is asked", () => setting.asked.length === 1);
    if (fail !== undefined) {
      await until("a connection is asked for", () => browser.connections.length === 1);
      await fail(browser.last, device);
    }
    const isOpenBy = (transport: string) => {
      const state = weir.state.value;
      return state.status === "open" && state.transport === transport;
    };
    await until("the next one is open", () => isOpenBy("websocket"));
    const before = browser.connections.length;
    assert.equal(before, fail === undefined ? 0 : 1);
    setting.answer = () => Response.json(OFFER);
    await until("it is tried again", () => {
      if (browser.connections.length === before) device.clock.advance(1_000);
      return browser.connections.length > before;
    });
    browser.last.accept();
    browser.last.open(1).send(await answerOf(browser.last, "a"), event("a", 1));
    await until("the event came", () => seen.length === 1);
    await until("it is in use", () => {
      device.clock.advance(10); // the client looks each 10 ms
      return isOpenBy("webtransport");
    });
  });
}

Deno.test("a page that the server refuses closes the client", async () => {
  await using setting = new Setting();
  setting.answer = () =>
    Response.json({ code: "forbidden_origin", detail: "No." }, { status: 403 });
  const weir = setting.connect({ transports: ["webtransport", "websocket"] });
  read(weir, "a");
  await until("it is closed", () => weir.state.value.status === "closed");
  const state = weir.state.value;
  assert.ok(state.status === "closed" && state.error?.code === "forbidden_origin");
});

Deno.test("a browser without WebTransport uses the next transport, or none", async () => {
  await using server = await LocalServer.start();
  const device = new FakePlatform();
  const platform = device.platform({ WebTransport: undefined });
  await using weir = makeClient(server.url, { transports: ["webtransport", "sse"] }, platform);
  read(weir, "a");
  await until("it is open", () => weir.state.value.status === "open");
  await using none = makeClient(server.url, { transports: ["webtransport"] }, platform);
  read(none, "a");
  await until("it is closed", () => none.state.value.status === "closed");
});

for (
  const [name, fail] of Object.entries({
    "the connection ends": (connection) => connection.end(),
    "the control stream ends": (connection) => connection.endControl(),
    "a message is not JSON": (connection) => connection.sendDatagram("{"),
    "an event stream has no number": (connection) => void connection.open(0.5),
    "events are missing": async (connection) => {
      connection.open(1).send(await answerOf(connection, "a"), event("a", 2));
    },
    "a line is not UTF-8": async (connection) => {
      const stream = connection.open(1);
      stream.send(await answerOf(connection, "a"));
      stream.writeBytes(new Uint8Array([0xff, 0x0a]));
    },
  } as Record<string, (connection: FakeConnection) => void | Promise<void>>)
) {
  Deno.test(`the client connects again when ${name}`, async () => {
    await using setting = new Setting();
    const weir = setting.connect();
    const { seen } = read(weir, "a");
    const first = await setting.accepted();
    await answerOf(first, "a");
    await fail(first);
    await until("it waits", () => weir.state.value.status === "reconnecting");
    assert.ok(first.isClosed);
    setting.device.clock.advance(2_000);
    const second = await setting.accepted();
    assert.equal(setting.asked.length, 2); // the certificate may be another one
    second.open(1).send(await answerOf(second, "a"), event("a", 1));
    await until("the event came", () => seen.length === 1);
  });
}

Deno.test("after the machine slept the server is asked, and without an answer the connection ends", async () => {
  await using setting = new Setting();
  const { device } = setting;
  const weir = setting.connect();
  read(weir, "a");
  const connection = await setting.accepted();
  await answerOf(connection, "a");
  const pings = () => connection.messages.filter(({ op }) => op === "ping").length;
  device.changed();
  await until("it is asked", () => pings() === 1);
  connection.send({ op: "pong" });
  await settled(connection, weir);
  device.clock.advance(5_000);
  assert.equal(weir.state.value.status, "open");
  device.clock.sleep(3_600_000);
  device.clock.advance(0);
  await until("it is asked again", () => pings() === 2);
  device.clock.advance(5_000);
  await until("it waits", () => weir.state.value.status === "reconnecting");
});

Deno.test("a page that is left closes the connection, and opens it again if it is restored", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const { seen } = read(weir, "a");
  for (let times = 1; times <= 4; times++) { // more often than a bad connection may end
    const connection = await setting.accepted();
    connection.open(1).send(await answerOf(connection, "a"), event("a", times));
    await until("the event came", () => seen.length === times);
    dispatchEvent(new Event("pagehide"));
    assert.ok(connection.isClosed);
    await until("it waits", () => weir.state.value.status === "reconnecting");
    setting.device.clock.advance(2_000);
  }
  assert.deepEqual(seen, [1, 2, 3, 4]);
});

Deno.test("a reader that does not read is unsubscribed, so acknowledging what came is bounded", async () => {
  await using setting = new Setting();
  const weir = setting.connect();
  const events = weir.subscribe("a", { after: offset(0), onGap: "throw" });
  const first = events[Symbol.asyncIterator]().next();
  const connection = await setting.accepted();
  const stream = connection.open(1);
  stream.send(await answerOf(connection, "a"), event("a", 1));
  await first;
  const data = "x".repeat(1024 ** 2);
  for (let sequence = 2; sequence <= 8; sequence++) stream.send(event("a", sequence, data));
  await until("it is unsubscribed", () => connection.find("unsubscribe") !== undefined);
  assert.equal(connection.find("unsubscribe")?.["channel"], "a");
  events.close();
});
