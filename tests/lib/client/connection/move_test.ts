import assert from "node:assert/strict";
import { makeClient } from "../../../../lib/client/make_client.ts";
import type { ConnectionState, TransportName, Weir } from "../../../../lib/client/api.ts";
import { PLATFORM, type Platform } from "../../../../lib/client/core/platform.ts";
import { withTransport } from "../../../support/every_transport.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

const STREAMING: readonly TransportName[] = ["webtransport", "websocket", "sse"];
const MOVES = 5;

/** Sockets of a client. What the second one receives after its welcome waits until `release()`. */
class TwoSockets {
  readonly sockets: WebSocket[] = [];
  readonly platform: Platform;
  /** Calls that deliver what waits. */
  readonly waiting: (() => void)[] = [];
  #isHolding = true;

  constructor() {
    const open = (url: URL, protocol: string) => this.#open(new WebSocket(url, protocol));
    const Socket = function (url: URL, protocol: string) {
      return open(url, protocol);
    } as unknown as new (url: URL, protocol: string) => WebSocket;
    this.platform = { ...PLATFORM, WebSocket: Socket };
  }

  release(): void {
    this.#isHolding = false;
    for (const deliver of this.waiting.splice(0)) deliver();
  }

  #open(socket: WebSocket): WebSocket {
    const isSecond = this.sockets.push(socket) === 2;
    Object.defineProperty(socket, "onmessage", {
      set: (handler: (event: MessageEvent<string>) => void) => {
        socket.addEventListener("message", (event) => {
          const isHeld = isSecond && this.#isHolding && !event.data.includes('"welcome"');
          if (isHeld) this.waiting.push(() => handler(event));
          else handler(event);
        });
      },
    });
    return socket;
  }

  /** Delivers a goodbye to the first socket, as if its server rotated it. */
  sayGoodbye(): void {
    const data = '{"op":"goodbye","reason":"rotate","retry":1000}';
    this.sockets[0]?.dispatchEvent(new MessageEvent("message", { data }));
  }
}

/** A client that reads a channel over one transport, and a producer that counts. */
class CountingWorld implements AsyncDisposable {
  readonly #channel = newChannel();
  readonly #url: string;
  readonly #weir: Weir;
  readonly #found: unknown[] = [];
  readonly #states: string[] = [];
  #sent = 0;

  private constructor(url: string, transport: TransportName, platform: Platform) {
    this.#url = url;
    this.#weir = makeClient(url, { transports: [transport] }, platform);
  }

  /** The states of the client since it was open. */
  get states(): readonly unknown[] {
    return this.#states;
  }

  /** Resolves once the client is open. */
  static async open(
    url: string,
    transport: TransportName,
    platform: Platform = PLATFORM,
  ): Promise<CountingWorld> {
    const world = new CountingWorld(url, transport, platform);
    const { state } = world.#weir;
    world.#weir.listen(world.#channel, {
      after: "earliest",
      onEvent: ({ data }) => void world.#found.push(data),
      onGap: "throw",
    });
    await until("it is open", () => state.value.status === "open");
    state.subscribe(({ status }) => void world.#states.push(status));
    return world;
  }

  /** Publishes the next number. */
  async publish(): Promise<void> {
    await publish(this.#url, this.#channel, ++this.#sent);
  }

  /** Asserts that the client gets each number once and in order, and has been open all the time. */
  async assertComplete(): Promise<void> {
    await until("all are there", () => this.#found.length >= this.#sent);
    assert.deepEqual(this.#found, Array.from({ length: this.#sent }, (_, i) => i + 1));
    assert.deepEqual(new Set(this.#states), new Set(["open"]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#weir.close();
  }
}

for (const transport of STREAMING) {
  Deno.test(`${transport}: after a goodbye the client connects again before it leaves, and misses nothing`, async () => {
    await using local = await withTransport(transport, await LocalServer.start());
    const { goodbyes } = local.server;
    await using world = await CountingWorld.open(local.url, transport);
    for (let move = 0; move < MOVES; move++) {
      await until("there is one connection", () => goodbyes.size === 1);
      let isMoved = false;
      let most = 0;
      const add = goodbyes.add.bind(goodbyes);
      goodbyes.add = (connection) => {
        add(connection);
        most = Math.max(most, goodbyes.size);
      };
      // A server that says goodbye and takes connections stands for two servers behind one URL.
      const moved = goodbyes.drain(1).then(() => isMoved = true);
      while (!isMoved) await world.publish();
      await moved;
      goodbyes.add = add;
      assert.equal(most, 2, "the new connection opens while the old one is open");
    }
    await world.publish();
    await world.assertComplete();
  });

  Deno.test(`${transport}: the client of a connection that is rotated misses nothing`, async () => {
    // At this age each look for old connections finds the one that is open.
    const rotating = await LocalServer.start({}, { connectionMaxAgeMs: 1 });
    await using local = await withTransport(transport, rotating);
    const rotations = () => local.server.meter.totals().goodbyes["rotate"] ?? 0;
    await using world = await CountingWorld.open(local.url, transport);
    while (rotations() < 2) await world.publish();
    await world.assertComplete();
  });
}

Deno.test("a socket is left only when the next one has subscribed, so no event waits for that", async () => {
  await using local = await LocalServer.start();
  const two = new TwoSockets();
  await using world = await CountingWorld.open(local.url, "websocket", two.platform);
  await world.publish();
  await world.assertComplete();
  two.sayGoodbye();
  await until("the second one has an answer", () => two.waiting.length > 0);
  await world.publish();
  await world.assertComplete(); // over the first
  assert.equal(two.sockets[0]?.readyState, WebSocket.OPEN);
  two.release();
  await until("the first one is closed", () => two.sockets[0]?.readyState === WebSocket.CLOSED);
  await world.publish();
  await world.assertComplete();
  assert.equal(two.sockets.length, 2);
});

Deno.test("a socket that ends while the next one subscribes is replaced at once", async () => {
  await using local = await LocalServer.start();
  const two = new TwoSockets();
  await using world = await CountingWorld.open(local.url, "websocket", two.platform);
  await world.publish();
  await world.assertComplete();
  two.sayGoodbye();
  await until("the second one has an answer", () => two.waiting.length > 0);
  two.sockets[0]?.dispatchEvent(new CloseEvent("close"));
  await until("the first one is closed", () => two.sockets[0]?.readyState === WebSocket.CLOSED);
  await world.publish();
  two.release();
  await world.assertComplete();
  assert.equal(two.sockets.length, 2);
});

Deno.test("a client that closes while the next socket subscribes closes both", async () => {
  await using local = await LocalServer.start();
  const two = new TwoSockets();
  const world = await CountingWorld.open(local.url, "websocket", two.platform);
  two.sayGoodbye();
  await until("the second one has an answer", () => two.waiting.length > 0);
  await world[Symbol.asyncDispose]();
  assert.deepEqual(two.sockets.map(({ readyState }) => readyState), [3, 3]);
  assert.equal(world.states.at(-1), "closed");
});

Deno.test("a client whose server is the only one tries a few times, then waits as its goodbye says", async () => {
  await using local = await LocalServer.start();
  let requests = 0;
  const platform = {
    ...PLATFORM,
    fetch: (...args: Parameters<typeof PLATFORM.fetch>) => {
      requests++;
      return PLATFORM.fetch(...args);
    },
  };
  await using weir = makeClient(local.url, { transports: ["sse"] }, platform);
  weir.listen(newChannel(), { after: "earliest", onEvent() {}, onGap: "throw" });
  await until("it is open", () => weir.state.value.status === "open");
  requests = 0;
  // Its first wait may be over before a slow machine looks.
  const waits: { readonly state: ConnectionState; readonly requests: number }[] = [];
  weir.state.subscribe((state) => {
    if (state.status === "reconnecting") waits.push({ state, requests });
  });
  void local.server.drain(1);
  await until("it waits", () => waits.length > 0);
  const [first = assert.fail()] = waits;
  const { state } = first;
  assert.ok(state.status === "reconnecting" && state.delay >= 200, JSON.stringify(state));
  assert.equal(state.error.code, "shutting_down");
  assert.ok(first.requests <= 3, `${first.requests} requests`);
});
