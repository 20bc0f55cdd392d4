// The files of deploy/, in front of two processes on one denokv.
import assert from "node:assert/strict";
import { type TransportName, TRANSPORTS, type Weir } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { createProducer } from "../../lib/client/server/producer.ts";
import { delay } from "../../lib/shared/async/delay.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { freePort } from "../support/free_port.ts";
import { bearer, guardedServer } from "../support/guarded.ts";
import {
  isProxyMissing,
  type Proxy,
  PROXY_NAMES,
  type ProxyName,
  startProxy,
} from "../support/proxies.ts";
import { newChannel } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { TlsBridge } from "../support/tls_bridge.ts";
import { type TrustingPlatform, trustingPlatform } from "../support/trusting_platform.ts";
import { until } from "../support/until.ts";

const MiB = 1_048_576;
/** Above the default idle time of nginx, HAProxy's files and most load balancers: 60 s. */
const IDLE_MS = 95_000;
const NAMES = PROXY_NAMES.filter((name) => !isProxyMissing(name));

/** Connections of the file are open during all its tests, and get heartbeats. */
const WITH_IDLE_CONNECTIONS = { sanitizeOps: false, sanitizeResources: false };

/** A proxy, and clients that trust it. */
interface Site {
  readonly proxy: Proxy;
  readonly url: string;
  readonly name: ProxyName;
  /** For the client library: what browsers do. */
  readonly platform: TrustingPlatform;
  readonly http2: TrustingPlatform;
  readonly http1: TrustingPlatform;
  /** For helpers that know no certificates; HTTP/1.1. */
  readonly bridge: TlsBridge;
}

/** Two servers on one store, behind every proxy. */
interface World extends AsyncDisposable {
  readonly servers: readonly [WeirServer, WeirServer];
  readonly sites: readonly Site[];
}

async function openWorld(): Promise<World> {
  await using undo = new AsyncDisposableStack();
  const denokv = undo.use(await Denokv.start());
  const ports = NAMES.map(() => freePort());
  const WEIR_PUBLIC_URL = ports.map((port) => `https://127.0.0.1:${port}`).join(",");
  const start = () =>
    WeirServer.start({
      env: { WEIR_KV: denokv.url, WEIR_QUIC: "off", WEIR_PUBLIC_URL },
    });
  const servers = [undo.use(await start()), undo.use(await start())] as const;
  const sites: Site[] = [];
  for (const [i, name] of NAMES.entries()) {
    const proxy = undo.use(await startProxy(name, servers.map(({ port }) => port), ports[i]));
    const { cert } = proxy.certificate;
    sites.push({
      name,
      proxy,
      url: proxy.url,
      platform: undo.use(trustingPlatform(cert)),
      http2: undo.use(trustingPlatform(cert, { http1: false })),
      http1: undo.use(trustingPlatform(cert, { http2: false })),
      bridge: undo.use(new TlsBridge(proxy)),
    });
  }
  const resources = undo.move();
  return { servers, sites, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

let world: World | undefined;
let idle: readonly Idle[] = [];
let idleSince = 0;

if (!DENOKV_MISSING) {
  Deno.test.beforeAll(async () => {
    world = await openWorld();
    idle = (await Promise.all(world.sites.map(openIdle))).flat();
    idleSince = performance.now();
  });
  Deno.test.afterAll(async () => {
    for (const connection of idle) await connection.close();
    await world?.[Symbol.asyncDispose]();
  });
}

function siteOf(name: ProxyName): Site {
  const site = world?.sites.find((site) => site.name === name);
  if (site === undefined) throw new Error("no proxy was started");
  return site;
}

/** Declares a test for each proxy. */
function proxyTest(behavior: (name: ProxyName) => string, body: (site: Site) => Promise<void>) {
  for (const name of PROXY_NAMES) {
    Deno.test(behavior(name), {
      ignore: DENOKV_MISSING || isProxyMissing(name),
      ...WITH_IDLE_CONNECTIONS,
    }, async () => {
      await body(siteOf(name));
    });
  }
}

proxyTest(
  (name) => `the client library publishes and reads through ${name} on every transport`,
  async ({ url, platform }) => {
    for (const transport of TRANSPORTS) {
      await using weir = makeClient(url, { transports: [transport] }, platform);
      const channel = newChannel();
      const read = collect(weir, channel);
      for (let i = 0; i < 5; i++) {
        await weir.publish(channel, i);
        // A client that polls asks every 2 s.
        if (transport === "short-poll" && i < 4) continue;
        await until(`event ${i} arrives over ${transport}`, () => read.length === i + 1);
      }
      assert.deepEqual(read, [0, 1, 2, 3, 4]);
    }
  },
);

proxyTest(
  (name) => `a stream through ${name} continues after Last-Event-ID, over HTTP/1.1 and HTTP/2`,
  async ({ url, http1, http2 }) => {
    for (const platform of [http1, http2]) {
      const channel = newChannel();
      const address = readUrl(url, [channel]);
      let lastEventId: string | undefined;
      {
        await using stream = await SseClient.open(address, {}, platform);
        for (const data of ["one", "two"]) {
          await post(platform, url, channel, data);
          const event = await stream.next();
          assert.equal(event.data, data);
          lastEventId = event.id;
        }
      }
      for (const data of ["three", "four"]) await post(platform, url, channel, data);
      await using stream = await SseClient.open(
        address,
        { "Last-Event-ID": lastEventId ?? "" },
        platform,
      );
      assert.deepEqual([(await stream.next()).data, (await stream.next()).data], ["three", "four"]);
    }
  },
);

proxyTest(
  (name) => `events of 1 MiB go through ${name} in both directions, over HTTP/2 and WebSocket`,
  async ({ url, http2, bridge }) => {
    const channel = newChannel();
    const large = JSON.stringify("x".repeat(MiB - 2));
    await using stream = await SseClient.open(readUrl(url, [channel]), {}, http2);
    await using socket = await SocketClient.open(bridge.url);
    socket.send({ op: "subscribe", ref: 1, channel });
    await socket.until("subscribed");
    await post(http2, url, channel, large, "application/json");
    socket.sendText(`{"op":"publish","ref":2,"channel":"${channel}","data":${large}}`);
    for (let i = 0; i < 2; i++) {
      assert.ok((await stream.next()).data === large);
      assert.ok(JSON.stringify((await socket.until("event"))["data"]) === large);
    }
  },
);

proxyTest(
  (name) => `a stream of publishes through ${name} is answered as docs/deploy.md says`,
  async ({ name, url, http1, http2 }) => {
    for (const platform of [http1, http2]) {
      const isAnsweredAtOnce = name !== "apache" && (name !== "caddy" || platform === http2);
      await using publishes = new PublishStream(platform, url);
      for (let i = 0; i < 3; i++) {
        await publishes.write({ channel: "numbers", data: i });
        if (!isAnsweredAtOnce) continue;
        await until(`event ${i} is answered`, () => publishes.lines.length === i + 1);
      }
      await publishes.write({ channel: "numbers", data: "x".repeat(MiB - 2) });
      await publishes.end();
      assert.equal(publishes.lines.length, 4);
      assert.ok(publishes.lines.every(({ offset }) => offset !== undefined));
    }
  },
);

proxyTest(
  (name) => `${name} passes on all of a stream whose answer has begun, over HTTP/1.1`,
  async ({ url, http1 }) => {
    for (let round = 0; round < 25; round++) {
      await using publishes = new PublishStream(http1, url);
      for (const data of [0, 1, 2, "x".repeat(MiB - 2)]) {
        await publishes.write({ channel: "numbers", data });
      }
      await publishes.end();
      assert.equal(publishes.lines.length, 4, `round ${round}`);
      assert.ok(publishes.lines.every(({ offset }) => offset !== undefined));
    }
  },
);

proxyTest(
  (name) => `publishAll() sends thousands of events through ${name}`,
  async ({ bridge }) => {
    const channel = newChannel();
    const events = Array.from({ length: 3_000 }, (_, data) => ({ channel, data }));
    const offsets = new Set<string>();
    for await (const outcome of createProducer(bridge.url).publishAll(events)) {
      assert.ok("offset" in outcome, JSON.stringify(outcome));
      offsets.add(outcome.offset);
    }
    assert.equal(offsets.size, events.length);
  },
);

proxyTest(
  (name) => `${name} passes on tokens and URLs that are as long as Weir takes`,
  async ({ url, http1, http2 }) => {
    for (const { fetch } of [http1, http2]) {
      const headers = bearer(`eyJ.${"x".repeat(8_180)}.x`);
      const refused = await fetch(new URL(readUrl(url, ["a"])), { headers });
      // In open mode a credential has no meaning.
      assert.equal(refused.status, 200, await refused.text());
      const after = "x".repeat(8_000);
      const bad = await fetch(new URL(readUrl(url, ["a"], { after })), {});
      assert.equal((await bad.json()).code, "bad_cursor");
    }
  },
);

proxyTest((name) => `${name} redirects to HTTPS`, async ({ proxy, platform }) => {
  const answer = await platform.fetch(new URL(`${proxy.plainUrl}/healthz`), { redirect: "manual" });
  await answer.body?.cancel();
  assert.ok([301, 308].includes(answer.status), `${answer.status}`);
  assert.match(answer.headers.get("location") ?? "", /^https:\/\/127\.0\.0\.1/);
});

Deno.test("caddy keeps at most 4 MB of a stream of publishes over HTTP/1.1", {
  ignore: DENOKV_MISSING || isProxyMissing("caddy"),
  ...WITH_IDLE_CONNECTIONS,
}, async () => {
  const { url, http1 } = siteOf("caddy");
  const line = JSON.stringify({ channel: "large", data: "x".repeat(MiB - 2) });
  const answer = await http1.fetch(new URL("/v1/events", url), {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson" },
    body: ReadableStream.from(Array(5).fill(new TextEncoder().encode(`${line}\n`))),
  });
  const stored = (await answer.text()).match(/"offset"/g);
  assert.equal(stored?.length, 3);
});

Deno.test("a WebSocket goes over HTTP/2 through haproxy", {
  ignore: DENOKV_MISSING || isProxyMissing("haproxy"),
  ...WITH_IDLE_CONNECTIONS,
}, async () => {
  const { url, http2 } = siteOf("haproxy");
  await using weir = makeClient(url, { transports: ["websocket"] }, http2);
  const channel = newChannel();
  const read = collect(weir, channel);
  await weir.publish(channel, "hello");
  await until("it arrives", () => read.length === 1);
});

Deno.test("a browser streams, polls, opens a socket and publishes through every proxy", {
  ignore: DENOKV_MISSING || CHROMIUM_MISSING,
  ...WITH_IDLE_CONNECTIONS,
}, async () => {
  await using chromium = await Chromium.open(["--ignore-certificate-errors"]);
  const { page } = chromium;
  for (const { name, url } of world?.sites ?? []) {
    await page.goto(`${url}/healthz`);
    const found = await page.evaluate(async (channel) => {
      const path = `/v1/channels/${channel}/events`;
      const take = <T>(target: EventTarget, type: string, what: (event: T) => string | undefined) =>
        new Promise<string>((resolve) =>
          target.addEventListener(type, (event) => {
            const found = what(event as T);
            if (found !== undefined) resolve(found);
          })
        );
      const stream = new EventSource(path);
      const opened = take(stream, "weir.open", () => "open");
      const streamed = take<MessageEvent>(stream, "message", ({ data }) => data);
      const socket = new WebSocket(
        new URL("/v1/socket", location.href.replace("http", "ws")),
        "weir.v1",
      );
      const op = (name: string) =>
        take<MessageEvent>(socket, "message", ({ data }) => {
          const lines: { op: string; data?: string }[] = String(data).split("\n").map((line) =>
            JSON.parse(line)
          );
          const message = lines.find(({ op }) => op === name);
          return message && String(message.data);
        });
      await op("welcome");
      const subscribed = op("subscribed");
      const event = op("event");
      socket.send(JSON.stringify({ op: "subscribe", ref: 1, channel }));
      await Promise.all([opened, subscribed]);
      const head = await fetch(`${path}?after=latest`);
      const polled = fetch(`${path}?after=${head.headers.get("weir-cursor")}&wait=30`)
        .then((answer) => answer.json());
      const { status } = await fetch(path, { method: "POST", body: "hello" });
      const entries = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
      const all = {
        status,
        received: [await streamed, await event, (await polled).events[0].data],
        protocols: [...new Set(entries.map(({ nextHopProtocol }) => nextHopProtocol))],
      };
      stream.close();
      socket.close();
      return all;
    }, newChannel());
    assert.deepEqual(found, {
      status: 201,
      received: ["hello", "hello", "hello"],
      protocols: ["h2"],
    }, name);
  }
});

proxyTest(
  (name) =>
    `limits and the audit count the client's address through ${name}, not one that it made up`,
  async ({ name }) => {
    await using weir = await guardedServer({ WEIR_TRUSTED_PROXIES: "127.0.0.1" });
    const { port } = weir.server;
    await using proxy = await startProxy(name, [port, port]);
    const caCerts = [proxy.certificate.cert];
    using client = Deno.createHttpClient({ caCerts, localAddress: "127.0.0.9" });
    const headers = {
      ...bearer(await weir.token({ subscribe: [] })),
      "X-Forwarded-For": "203.0.113.7",
    };
    const options: RequestInit & { client: Deno.HttpClient } = { headers, client };
    const refused = await fetch(readUrl(proxy.url, ["a"]), options);
    assert.equal((await refused.json()).code, "forbidden");
    const auditor = bearer(await weir.token({ subscribe: ["$audit"] }));
    let addresses: readonly unknown[] = [];
    await until("the refusal is recorded", async () => {
      const answer = await fetch(readUrl(weir.url, ["$audit"]), { headers: auditor });
      const { events } = await answer.json();
      addresses = events.map(({ data }: { data: { address?: unknown } }) => data.address);
      return addresses.length > 0;
    });
    assert.deepEqual(addresses, ["127.0.0.9"]);
  },
);

Deno.test(
  "nginx passes publishes and streams on while a server stops just after the other has restarted",
  {
    ignore: DENOKV_MISSING || isProxyMissing("nginx"),
    ...WITH_IDLE_CONNECTIONS,
  },
  async () => {
    await using denokv = await Denokv.start();
    const port = freePort();
    const env = {
      WEIR_KV: denokv.url,
      WEIR_QUIC: "off",
      WEIR_PUBLIC_URL: `https://127.0.0.1:${port}`,
      WEIR_DRAIN: "60s",
    };
    await using one = await WeirServer.start({ env });
    await using two = await WeirServer.start({ env });
    await using proxy = await startProxy("nginx", [one.port, two.port], port);
    using http2 = trustingPlatform(proxy.certificate.cert, { http1: false });
    const publish = () => post(http2, proxy.url, "a", "x");
    const openStream = async () => {
      const headers = { Accept: "text/event-stream" };
      const { body, status } = await http2.fetch(new URL(readUrl(proxy.url, ["a"])), { headers });
      await body?.cancel();
      assert.equal(status, 200);
    };
    await one.kill();
    let isStarted = false;
    const starting = one.start().finally(() => isStarted = true);
    while (!isStarted) await Promise.all([publish(), openStream()]);
    await starting;
    two.signal("SIGTERM");
    await until("it is not ready", async () => {
      const answer = await fetch(`${two.url}/readyz`);
      await answer.body?.cancel();
      return answer.status === 503;
    });
    for (let i = 0; i < 50; i++) {
      await openStream(); // the one that stops refuses it, and nginx asks the other one
      await publish();
    }
    await two.kill();
  },
);

Deno.test("each of two servers stops in turn, and clients continue through every proxy", {
  ignore: DENOKV_MISSING,
  ...WITH_IDLE_CONNECTIONS,
}, async () => {
  await using world = await openWorld();
  await using open = new AsyncDisposableStack();
  const flows = world.sites.flatMap((site) =>
    TRANSPORTS.map((transport) => open.use(new Flow(site, transport)))
  );
  await flowing(flows);
  for (const server of world.servers) {
    const { code } = await server.kill("SIGTERM");
    assert.equal(code, 0);
    await flowing(flows);
    for (const { name, url, http2 } of world.sites) {
      for (let i = 0; i < 10; i++) {
        await post(http2, url, newChannel(), "while one is down").catch((cause) => {
          throw new Error(`through ${name}`, { cause });
        });
      }
    }
    await server.start();
  }
  await flowing(flows);
  for (const flow of flows) await flow.end();
});

proxyTest(
  (name) => `streams, sockets and polls through ${name} stay open while they are idle`,
  async ({ name }) => {
    const own = idle.filter((connection) => connection.name === name);
    assert.ok(own.length >= 7);
    await until(
      "95 s have passed",
      () => performance.now() - idleSince >= IDLE_MS,
      IDLE_MS + 60_000,
    );
    await Promise.all(own.map(({ check }) => check()));
  },
);

/** A connection that has nothing to do. */
interface Idle {
  readonly name: ProxyName;
  /** Fails unless it is the same connection and works. */
  check(): Promise<void>;
  close(): Promise<void>;
}

async function openIdle(site: Site): Promise<readonly Idle[]> {
  const { name, url, http1, http2, bridge, platform } = site;
  const found: Idle[] = [];
  const add = (check: () => Promise<void>, close: () => PromiseLike<void> | void) => {
    found.push({ name, check, close: async () => await close() });
  };
  for (const platform of [http1, http2]) {
    const channel = newChannel();
    const stream = await SseClient.open(readUrl(url, [channel]), {}, platform);
    add(async () => {
      await post(platform, url, channel, "after a while");
      assert.equal((await stream.next()).data, "after a while");
    }, () => stream[Symbol.asyncDispose]());

    const poll = platform.fetch(new URL(readUrl(url, [newChannel()], { wait: "60" })), {});
    add(async () => assert.equal((await poll).status, 204), async () => {
      await (await poll).body?.cancel();
    });
  }
  {
    const channel = newChannel();
    const socket = await SocketClient.open(bridge.url);
    socket.send({ op: "subscribe", ref: 1, channel });
    await socket.until("subscribed");
    add(async () => {
      await post(http2, url, channel, "after a while");
      assert.equal((await socket.until("event"))["data"], "after a while");
    }, () => socket[Symbol.asyncDispose]());
  }
  for (const transport of TRANSPORTS) {
    const channel = newChannel();
    const weir = makeClient(url, { transports: [transport] }, platform);
    const read = collect(weir, channel);
    await until("it is open", () => weir.state.value.status === "open");
    const states: string[] = [];
    weir.state.subscribe(({ status }) => states.push(status));
    add(async () => {
      await post(http2, url, channel, "after a while");
      await until("it arrives", () => read.length === 1);
      assert.deepEqual(states, ["open"]);
    }, () => weir[Symbol.asyncDispose]());
  }
  // Weir ends a stream of publishes that is silent for 60 s, and says so. Apache does not pass the
  // answer on before the body has ended.
  if (name !== "apache") {
    const publishes = new PublishStream(http2, url);
    await publishes.write({ channel: "numbers", data: 1 });
    add(async () => {
      await until("it has ended", () => publishes.lines.length === 2);
      assert.equal(publishes.lines[1]?.code, "request_timeout");
    }, () => publishes[Symbol.asyncDispose]());
  }
  return found;
}

/** Milliseconds between two publishes of a flow: all flows together are a small load. */
const PAUSE_MS = 50;

/** Numbers that are published and read all the time. */
class Flow implements AsyncDisposable {
  readonly #weir: Weir;
  readonly #read: readonly unknown[];
  readonly #channel = newChannel();
  readonly #what: string;
  readonly #publishing: Promise<void>;
  #published = 0;
  #isEnding = false;

  constructor({ name, url, platform }: Site, transport: TransportName) {
    this.#what = `${transport} through ${name}`;
    this.#weir = makeClient(url, { transports: [transport] }, platform);
    this.#read = collect(this.#weir, this.#channel);
    this.#publishing = this.#publish();
  }

  /** Resolves when a number has arrived that is published from now on. */
  async flows(): Promise<void> {
    const enough = this.#published + 2;
    await until(
      `${this.#what} flows beyond ${this.#read.length} of ${this.#published}`,
      () => this.#read.length >= enough,
    );
  }

  /** Fails unless each number has arrived, once and in order. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#publishing;
    await until(`${this.#what} has all`, () => this.#read.length >= this.#published);
    assert.deepEqual(this.#read, Array.from({ length: this.#published }, (_, i) => i), this.#what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#publishing.catch(() => {}); // end() reports it
    await this.#weir[Symbol.asyncDispose]();
  }

  async #publish(): Promise<void> {
    while (!this.#isEnding) {
      await this.#weir.publish(this.#channel, this.#published);
      this.#published++;
      await delay(PAUSE_MS);
    }
  }
}

async function flowing(flows: readonly Flow[]): Promise<void> {
  await Promise.all(flows.map((flow) => flow.flows()));
}

interface AnswerLine {
  readonly offset?: string;
  readonly code?: string;
}

/** A stream of publishes, whose answers are read while it is open. */
class PublishStream implements AsyncDisposable {
  readonly lines: AnswerLine[] = [];
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;

  constructor(platform: TrustingPlatform, url: string) {
    const body = new TransformStream<Uint8Array, Uint8Array>();
    this.#writer = body.writable.getWriter();
    this.#reading = this.#read(platform.fetch(new URL("/v1/events", url), {
      method: "POST",
      headers: { "Content-Type": "application/x-ndjson" },
      body: body.readable,
    }));
  }

  async write(event: unknown): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(event)}\n`));
  }

  /** Ends the body, and resolves after the last answer. */
  async end(): Promise<void> {
    await this.#writer.close();
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {}); // it has ended already
  }

  async #read(response: Promise<Response>): Promise<void> {
    const { body } = await response;
    let rest = "";
    for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push(JSON.parse(line));
    }
  }
}

/** Reads a channel from its first event on, into the result. */
function collect(weir: Weir, channel: string): readonly unknown[] {
  const read: unknown[] = [];
  weir.listen(channel, {
    after: "earliest",
    onEvent: ({ data }) => read.push(data),
    onGap: (gap) => read.push(gap),
  });
  return read;
}

/** @throws {Error} if it is refused. */
async function post(
  platform: TrustingPlatform,
  url: string,
  channel: string,
  body: string,
  type = "text/plain",
): Promise<void> {
  const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
  const answer = await platform.fetch(new URL(path, url), {
    method: "POST",
    body,
    headers: { "Content-Type": type },
  });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`${answer.status} ${text}`);
}
