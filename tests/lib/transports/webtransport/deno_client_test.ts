import assert from "node:assert/strict";
import { openEmbedded } from "../../../support/log_stores.ts";
import { until } from "../../../support/until.ts";
import { WebTransportClient } from "../../../support/webtransport_client.ts";
import { WebTransportHost } from "../../../support/webtransport_host.ts";

/** Opens a host on a store of its own. */
async function openHost(options: { readonly stallTimeoutMs?: number } = {}) {
  await using undo = new AsyncDisposableStack();
  const store = undo.use(await openEmbedded());
  const host = undo.use(new WebTransportHost({ log: await store.isolate(), ...options }));
  const resources = undo.move();
  const { url, hub, options: parts } = host;
  return { url, hub, parts, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

Deno.test("each subscribe has a stream of its own, and answers come on the control stream", async () => {
  await using host = await openHost();
  await using client = await WebTransportClient.open(host.url);
  await client.send(
    { op: "subscribe", ref: 1, channel: "a" },
    { op: "subscribe", ref: 2, channels: ["b", "c"] },
  );
  const streams = new Map<unknown, unknown>();
  for (let i = 0; i < 2; i++) {
    const [{ ref }, carrier] = await client.next("subscribed");
    streams.set(ref, carrier);
  }
  assert.deepEqual(new Set(streams.values()), new Set([1, 2]));
  for (const channel of ["a", "b", "c"]) {
    await client.send({ op: "publish", ref: channel, channel, data: `of ${channel}` });
    const [ack, ackCarrier] = await client.next("ack");
    assert.deepEqual([ack["ref"], ackCarrier], [channel, "control"]);
    const [event, carrier] = await client.next("event");
    assert.deepEqual(
      [event["channel"], event["data"], carrier],
      [channel, `of ${channel}`, streams.get(channel === "a" ? 1 : 2)],
    );
  }
});

Deno.test("small ephemeral events are datagrams, others come on the stream of their channel", async () => {
  await using host = await openHost();
  await using client = await WebTransportClient.open(host.url);
  await client.send({ op: "subscribe", ref: 1, channel: "a" });
  const [, stream] = await client.next("subscribed");
  await client.sendDatagram({ op: "publish", ref: 2, channel: "a", data: "tiny", ephemeral: true });
  assert.deepEqual(await client.next("ack"), [{ op: "ack", ref: 2, ephemeral: true }, "control"]);
  const [small, smallCarrier] = await client.next("ephemeral");
  assert.deepEqual([small["data"], smallCarrier], ["tiny", "datagram"]);
  const data = "x".repeat(1_200);
  await client.send({ op: "publish", ref: 3, channel: "a", data, ephemeral: true });
  const [large, largeCarrier] = await client.next("ephemeral");
  assert.deepEqual([large["data"], largeCarrier], [data, stream]);
});

Deno.test("a goodbye comes before the close, and a client that has left counts no more", async () => {
  await using host = await openHost();
  await using client = await WebTransportClient.open(host.url);
  const [connection] = host.parts.openConnections;
  const closed = connection?.close("stopping");
  const [goodbye] = await client.next("goodbye");
  assert.equal(goodbye["reason"], "stopping");
  client.transport.close();
  await closed;
  await using other = await WebTransportClient.open(host.url);
  await other.send({ op: "subscribe", ref: 1, channel: "a" });
  await other.next("subscribed");
  other.transport.close();
  await until("no connection is open", () => host.parts.openConnections.size === 0);
  await until("nobody is subscribed", () => host.hub.subscriptions.live === 0);
});
