import assert from "node:assert/strict";
import { mintToken } from "../../lib/client/server/mint_token.ts";
import { EVERY_TRANSPORT } from "../support/every_transport.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { bearer } from "../support/tokens.ts";
import { readAll } from "../support/readers.ts";
import { RestartableServer } from "../support/restartable_server.ts";
import { until } from "../support/until.ts";
import { type Fixture, readFixture, RELEASES } from "./fixture.ts";

type Client = typeof import("../../lib/client/client.ts");
type Producing = typeof import("../../lib/client/server/producer.ts");

const RIGHTS = { publish: ["**"], subscribe: ["**"], presence: ["**"] };

for (const release of RELEASES) {
  Deno.test(`the client of release ${release} reads, publishes, joins and survives a restart, over every transport`, async () => {
    const { recording, client, store } = await readFixture(release);
    await using folder = await TempFolder.create();
    await Deno.writeFile(`${folder.path}/weir.db`, store);
    const { connect, createProducer } = await importClient(folder.path, client);
    await using server = await RestartableServer.start({
      env: { ...recording.env, WEIR_QUIC: "127.0.0.1:0", WEIR_KV: `${folder.path}/weir.db` },
      hasWebTransport: true,
    });
    await using proxy = FaultProxy.withUdp(server.port);
    const tokenOf = (sub: string) => mintToken(recording.signingKey, { sub, ...RIGHTS });
    const producer = createProducer(proxy.url, { auth: () => tokenOf("producer") });
    const read = recording.reads.find(({ channels }) => channels.join() === "orders") ??
      assert.fail();
    const { cursor: after, event: last } = read.items[19] ?? assert.fail();

    await using stack = new AsyncDisposableStack();
    const readers = EVERY_TRANSPORT.map((transport) => {
      const auth = () => tokenOf(transport);
      const weir = stack.use(connect(proxy.url, { transports: [transport], auth }));
      const offsets: string[] = [];
      const ephemeral: unknown[] = [];
      weir.listen("orders", {
        after,
        onEvent: ({ offset }) => void offsets.push(offset),
        onGap: "throw",
        onEphemeral: ({ data }) => void ephemeral.push(data),
        onError: (error) => assert.fail(error),
      });
      return { transport, weir, offsets, ephemeral };
    });
    const haveAll = async () => {
      const events = await readAll(server.url, "orders", bearer(await tokenOf("reader")));
      const expected = events.map(({ offset }) => offset).filter((offset) => offset > after);
      await until(
        "every client has every event once, in order",
        () => readers.every(({ offsets }) => offsets.length >= expected.length),
      );
      for (const { transport, offsets } of readers) assert.deepEqual(offsets, expected, transport);
    };
    await haveAll();
    const page = await readers[0]?.weir.history("orders", { before: after, limit: 5 });
    assert.deepEqual(
      page?.events.map(({ offset }) => offset),
      read.items.slice(14, 19).map(({ event }) => event?.offset),
    );
    assert.equal(last?.offset, after);

    await Promise.all(readers.map(async ({ transport, weir }) => {
      await weir.publish("orders", { by: transport }, { id: `own-${transport}` });
      await weir.presence("hall").enter({ by: transport }, { session: transport });
    }));
    await producer.publishMany([{ channel: "orders", data: 1 }, { channel: "orders", data: 2 }]);
    await until("a push arrives without being stored", async () => {
      await producer.publish("orders", "pointer", { ephemeral: true }); // a datagram may be lost
      return readers.filter(({ transport }) => !transport.endsWith("poll"))
        .every(({ ephemeral }) => ephemeral.includes("pointer"));
    });
    await haveAll();

    const publishing = producer.publish("orders", "during the restart");
    await server.stop();
    await server.start();
    proxy.target = server.port;
    await publishing;
    const outcomes = await Array.fromAsync(
      producer.publishAll([{ channel: "orders", data: 3 }, { channel: "orders", data: 4 }]),
    );
    assert.ok(outcomes.every((outcome) => "offset" in outcome));
    await haveAll();
    const members = readers[1]?.weir.presence("hall").members ?? assert.fail();
    stack.defer(members.subscribe(() => {})); // it is kept up to date while it has a listener
    await until("all are members", () => members.value.length === EVERY_TRANSPORT.length);
  });
}

async function importClient(
  folder: string,
  modules: Fixture["client"],
): Promise<Client & Producing> {
  for (const [name, text] of Object.entries(modules)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  const [client, producing] = await Promise.all([
    import(`file://${folder}/weir.js`),
    import(`file://${folder}/producer.js`),
  ]);
  return { ...client, ...producing };
}

class TempFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async create(): Promise<TempFolder> {
    return new TempFolder(await Deno.makeTempDir({ prefix: "weir_old_client_" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
