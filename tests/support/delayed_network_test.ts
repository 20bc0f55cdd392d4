import assert from "node:assert/strict";
import { DelayedNetwork } from "./delayed_network.ts";

const DELAY_MS = 20;

/** A server that answers each datagram with `echo` before it, and a client of the network. */
function open(lossRate: number) {
  const [server, client] = [listen(), listen()];
  const network = new DelayedNetwork({ target: portOf(server), delayMs: DELAY_MS, lossRate });
  const echoing = (async () => {
    for await (const [bytes, from] of server) {
      await server.send(new TextEncoder().encode(`echo ${new TextDecoder().decode(bytes)}`), from);
    }
  })();
  const to = { transport: "udp", hostname: "127.0.0.1", port: network.port } as const;
  return {
    send: (text: string) => client.send(new TextEncoder().encode(text), to),
    receive: async () => new TextDecoder().decode((await client.receive())[0]),
    async [Symbol.asyncDispose]() {
      client.close();
      await network[Symbol.asyncDispose]();
      server.close();
      await echoing;
    },
  };
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}

function portOf({ addr }: Deno.DatagramConn): number {
  return (addr as Deno.NetAddr).port;
}

Deno.test("a delayed network holds datagrams to the server, and keeps their order", async () => {
  await using client = open(0);
  const start = performance.now();
  for (const text of ["1", "2", "3"]) await client.send(text);
  for (const text of ["1", "2", "3"]) assert.equal(await client.receive(), `echo ${text}`);
  assert.ok(performance.now() - start >= DELAY_MS);
});

Deno.test("a delayed network loses a share of the datagrams", async () => {
  await using client = open(0.5);
  const received = new Set<string>();
  const reading = (async () => {
    while (!received.has("echo last")) received.add(await client.receive());
  })();
  // All 200 of either fate would be a chance of 1 in 2¹⁹⁹.
  for (let i = 0; i < 200; i++) await client.send(String(i));
  while (!received.has("echo last")) {
    await client.send("last");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await reading;
  assert.ok(received.size > 1 && received.size < 201, `${received.size} of 201`);
});
