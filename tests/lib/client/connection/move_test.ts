import assert from "node:assert/strict";
import { makeClient } from "../../../../lib/client/make_client.ts";
import type { ConnectionState, TransportName, Weir } from "../../../../lib/client/api.ts";
import { PLATFORM, type Platform } from "../../../../lib/client/core/platform.ts";
import type { WeirEvent } from "../../../../lib/client/api.ts";
import type { LeavingConnection } from "../../../../lib/transports/goodbyes.ts";
import { withTransport } from "../../../support/every_transport.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

const STREAMING: readonly TransportName[] = ["webtransport", "websocket", "sse"];
const MOVES = 5;

/** The sockets of a client. What the second one sends or receives can wait. */
class Sockets {
  readonly opened: WebSocket[] = [];
  readonly platform: Platform;
  /** Subscribes of the second one that wait. */
  readonly subscribes: string[] = [];
  /** Calls that deliver what the second one has received. */
  readonly received: (() => void)[] = [];
  readonly #holds: "subscribes" | "received";

  constructor(holds: "subscribes" | "received") {
    this.#holds = holds;
    const open = (url: URL, protocol: string) => this.#open(new WebSocket(url, protocol));
    const Socket = function (url: URL, protocol: string) {
      return open(url, protocol);
    } as unknown as new (url: URL, protocol: string) => WebSocket;
    this.platform = { ...PLATFORM, WebSocket: Socket };
  }

  /** Delivers a goodbye to the first one, as if its server rotated it. */
  sayGoodbye(): void {
    this.#deliver(this.opened[0], { op: "goodbye", reason: "rotate", retry: 1 });
  }

  /** Ends the first one. */
  end(): void {
    this.opened[0]?.dispatchEvent(new CloseEvent("close"));
  }

  /** Sends what waits. */
  send(): void {
    for (const frame of this.subscribes.splice(0)) {
      WebSocket.prototype.send.call(this.opened[1], frame);
    }
  }

  /** Refuses what waits for now. */
  refuse(): void {
    for (const line of this.subscribes.splice(0).join("\n").split("\n")) {
      const { ref } = JSON.parse(line);
      this.#deliver(this.opened[1], { op: "error", ref, code: "rate_limited", detail: "Later." });
    }
  }

  isClosed(index: number): boolean {
    return this.opened[index]?.readyState === WebSocket.CLOSED;
  }

  #deliver(socket: WebSocket | undefined, message: unknown): void {
    socket?.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }

  #open(socket: WebSocket): WebSocket {
    if (this.opened.push(socket) !== 2) return socket;
    if (this.#holds === "subscribes") {
      socket.send = (frame: string) => {
        if (frame.includes('"subscribe"')) this.subscribes.push(frame);
        else WebSocket.prototype.send.call(socket, frame);
      };
    } else {
      Object.defineProperty(socket, "onmessage", {
        set: (handler: (event: MessageEvent<string>) => void) => {
          socket.addEventListener("message", (event) => {
            this.received.push(() => handler(event));
          });
        },
      });
    }
    return socket;
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

/** A client that has read an event, and whose second socket is to subscribe, which waits. */
async function beginMove() {
  await using undo = new AsyncDisposableStack();
  const { url } = undo.use(await LocalServer.start());
  const sockets = new Sockets("subscribes");
  const world = undo.use(await CountingWorld.open(url, "websocket", sockets.platform));
  await world.publish();
  await world.assertComplete();
  sockets.sayGoodbye();
  await until("the second one subscribes", () => sockets.subscribes.length === 1);
  const resources = undo.move();
  return { sockets, world, [Symbol.asyncDispose]: () => resources.disposeAsync() };
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
  await using move = await beginMove();
  const { sockets, world } = move;
  await world.publish();
  await world.assertComplete(); // over the first
  sockets.refuse();
  await until("it tries again", () => sockets.subscribes.length === 1);
  await world.publish();
  await world.assertComplete(); // over the first too
  assert.equal(sockets.opened[0]?.readyState, WebSocket.OPEN);
  sockets.send();
  await until("the first one is closed", () => sockets.isClosed(0));
  await world.publish();
  await world.assertComplete();
  assert.equal(sockets.opened.length, 2);
});

Deno.test("a socket that ends while the next one subscribes is replaced at once", async () => {
  await using move = await beginMove();
  const { sockets, world } = move;
  sockets.end();
  await until("the first one is closed", () => sockets.isClosed(0));
  await world.publish();
  sockets.send();
  await world.assertComplete();
  assert.equal(sockets.opened.length, 2);
});

Deno.test("a socket that opens after the one that it should replace has ended is closed", async () => {
  await using local = await LocalServer.start();
  const sockets = new Sockets("received");
  await using world = await CountingWorld.open(local.url, "websocket", sockets.platform);
  sockets.sayGoodbye();
  await until("the second one has its welcome", () => sockets.received.length === 1);
  sockets.end();
  await until("there is a third one", () => sockets.opened.length === 3);
  await until("it is open", () => world.states.at(-1) === "open");
  for (const deliver of sockets.received) deliver();
  await until("the second one is closed", () => sockets.isClosed(1));
  assert.equal(sockets.received.length, 1, "it has not subscribed");
});

Deno.test("a client that closes while the next socket subscribes closes both", async () => {
  await using move = await beginMove();
  const { sockets, world } = move;
  await world[Symbol.asyncDispose]();
  await until("both are closed", () => sockets.isClosed(0) && sockets.isClosed(1));
  assert.equal(world.states.at(-1), "closed");
});

Deno.test("streams are left only when all of the next ones have begun", async () => {
  await using local = await LocalServer.start();
  const { goodbyes } = local.server;
  const channels = Array.from({ length: 150 }, newChannel).sort(); // two streams
  const last = channels.at(-1) ?? "";
  const held = Promise.withResolvers<void>();
  let isHolding = false;
  const platform: Platform = {
    ...PLATFORM,
    fetch: async (url, init) => {
      if (isHolding && url.searchParams.getAll("channel").includes(last)) await held.promise;
      return await PLATFORM.fetch(url, init);
    },
  };
  const opened: LeavingConnection[] = [];
  const add = goodbyes.add.bind(goodbyes);
  goodbyes.add = (connection) => {
    opened.push(connection);
    add(connection);
  };
  await using weir = makeClient(local.url, { transports: ["sse"] }, platform);
  const found: unknown[] = [];
  for (const channel of channels) {
    const onEvent = ({ data }: WeirEvent) => void found.push(data);
    weir.listen(channel, { after: "earliest", onEvent, onGap: "throw" });
  }
  await until("all are read", () => local.server.hub.subscriptions.live === channels.length);
  const [first, second] = opened.splice(0).slice(-2);
  isHolding = true;
  for (const connection of [first, second]) connection?.sayGoodbye("rotate");
  await until("one of the next streams has begun", () => opened.length === 1);
  await publish(local.url, last, 1);
  await until("the event comes, over the stream before", () => found.length === 1);
  held.resolve();
  await until("the others are left", () => goodbyes.size === 2);
  await publish(local.url, last, 2);
  await until("the event comes", () => found.length === 2);
  assert.deepEqual(found, [1, 2]);
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
