import assert from "node:assert/strict";
import { FaultProxy } from "./fault_proxy.ts";
import { UdpProxy } from "./udp_proxy.ts";
import { until } from "./until.ts";

/** A UDP socket that collects what it receives. */
class Peer implements Disposable {
  readonly received: string[] = [];
  from: Deno.Addr | undefined;
  readonly #socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });

  constructor() {
    void (async () => {
      for await (const [data, from] of this.#socket) {
        this.received.push(new TextDecoder().decode(data));
        this.from = from;
      }
    })();
  }

  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  async send(text: string, to: number | Deno.Addr): Promise<void> {
    const addr = typeof to === "number"
      ? { transport: "udp" as const, hostname: "127.0.0.1", port: to }
      : to;
    await this.#socket.send(new TextEncoder().encode(text), addr);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

Deno.test("a UDP proxy passes both ways, and a flow that is cut loses everything", async () => {
  using server = new Peer();
  using client = new Peer();
  using other = new Peer();
  await using proxy = new FaultProxy(server.port);
  proxy.openUdp();
  await client.send("a", proxy.port);
  await until("it came", () => server.received.length === 1);
  await server.send("b", server.from!);
  await until("the answer came", () => client.received.length === 1);
  proxy.cut(["webtransport"]);
  await client.send("c", proxy.port);
  await server.send("d", server.from!);
  await other.send("e", proxy.port);
  await until("the next flow passes", () => server.received.length === 2);
  assert.deepEqual([server.received, client.received], [["a", "e"], ["b"]]);
  assert.equal(proxy.count(["webtransport"]), 2);
});

Deno.test("a UDP proxy drops what a fault says, and what its loss rate says", async () => {
  using server = new Peer();
  using refused = new Peer();
  using ended = new Peer();
  using lossy = new Peer();
  await using proxy = new FaultProxy(server.port);
  proxy.openUdp();
  proxy.next(["webtransport"], { act: "refuse" });
  await refused.send("refused", proxy.port);
  await until("it is seen", () => proxy.count() === 1);
  proxy.next(["webtransport"], { act: "cut", way: "up", after: 5 });
  for (const text of ["12345", "6", "7"]) await ended.send(text, proxy.port);
  await until("it is seen", () => proxy.count() === 2);
  await lossy.send("first", proxy.port);
  await until("it came", () => server.received.length === 2);
  assert.deepEqual(server.received, ["12345", "first"]);
});

Deno.test("a UDP proxy loses datagrams and lets them overtake each other by its random numbers", async () => {
  using server = new Peer();
  using client = new Peer();
  const numbers = [0, 0.9, 0.8, 0.5, 0]; // lost; passed, after 320 ms; passed, at once
  await using proxy = new UdpProxy({
    port: 0,
    target: server.port,
    random: () => numbers.shift() ?? 0.99,
  });
  proxy.disturb({ lossRate: 0.3, jitterMs: 400 });
  for (const text of ["lost", "late", "soon"]) await client.send(text, proxy.port);
  await until("both came", () => server.received.length === 2);
  assert.deepEqual(server.received, ["soon", "late"]);
});
