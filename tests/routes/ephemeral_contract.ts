import assert from "node:assert/strict";
import { pause } from "../../lib/shared/async/delay.ts";
import { call } from "../support/calls.ts";
import { type ClusterKind, clusterTest } from "../support/clusters.ts";
import { type Listener, LISTENERS, nextEphemeral } from "../support/listeners.ts";
import { publishUntilDelivered } from "../support/ephemeral_events.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { READERS, readUrl, takeEvents } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

/** The promises about ephemeral events, for any way to run Weir. */
export function ephemeralContract(kind: ClusterKind) {
  const test = clusterTest(kind);

  for (const [transport, open] of Object.entries(LISTENERS)) {
    test(`${transport} delivers an ephemeral event to current subscribers`, async (cluster) => {
      const channel = newChannel();
      for (const [x, url] of [cluster.publishUrl, cluster.readUrl].entries()) {
        await using listener = await open(cluster.readUrl, [channel]);
        const before = Date.now();
        const [event] = await publishUntilDelivered(url, channel, { x }, [listener]);
        const { time, ...rest } = event ?? assert.fail();
        const contentType = "application/json";
        assert.deepEqual(rest, { channel, type: "message", contentType, data: { x } });
        assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now(), time);
      }
    });

    test(`${transport} stays at its cursor when ephemeral events arrive`, async (cluster) => {
      const channel = newChannel();
      const { offset } = await publish(cluster.publishUrl, channel, "before");
      await using listener = await open(cluster.readUrl, [channel]);
      const { cursor } = listener;
      assert.equal(cursor, offset);
      await publishUntilDelivered(cluster.publishUrl, channel, "ping", [listener]);
      assert.equal(listener.cursor, cursor);
      const { offset: next } = await publish(cluster.publishUrl, channel, "after");
      const event = await nextEvent(listener);
      assert.deepEqual([event.data, event.offset], ["after", next]);
      assert.equal(listener.cursor, next);
      assert.equal(Number(next.slice(-16)), Number(offset.slice(-16)) + 1);
    });

    test(`${transport} delivers ephemeral events of several channels under one cursor`, async (cluster) => {
      const [a, b, c] = [newChannel(), newChannel(), newChannel()].sort() as [
        string,
        string,
        string,
      ];
      await using listener = await open(cluster.readUrl, [a, b, c]);
      const { cursor } = listener;
      for (const channel of [b, a, c]) {
        const [event] = await publishUntilDelivered(cluster.publishUrl, channel, channel, [
          listener,
        ]);
        assert.equal(event?.channel, channel);
      }
      assert.equal(listener.cursor, cursor);
    });

    test(`${transport} delivers no ephemeral event from before it subscribed`, async (cluster) => {
      const channel = newChannel();
      await using witness = await LISTENERS["WebSocket"]?.(cluster.readUrl, [channel]) ??
        assert.fail();
      // One socket sends them in order, so after the last one none is on its way.
      await using sender = await SocketClient.open(cluster.publishUrl);
      let isHeard = false;
      const first = nextEphemeral(witness).then(() => isHeard = true);
      const send = (data: string) => {
        sender.send({ op: "publish", ref: 1, channel, data, ephemeral: true });
        return sender.until("ack");
      };
      while (!isHeard) await send("before");
      await first;
      await send("last before");
      while ((await nextEphemeral(witness)).data !== "last before");
      await using listener = await open(cluster.readUrl, [channel]);
      await publish(cluster.publishUrl, channel, "event");
      assert.equal((await nextEvent(listener)).data, "event");
    });
  }

  for (const [transport, open] of Object.entries(READERS)) {
    test(`${transport} replays no ephemeral event`, async (cluster) => {
      const channel = newChannel();
      await publish(cluster.publishUrl, channel, 1);
      await using witness = await LISTENERS["SSE"]?.(cluster.readUrl, [channel]) ?? assert.fail();
      await publishUntilDelivered(cluster.publishUrl, channel, "ping", [witness]);
      await publish(cluster.publishUrl, channel, 2);
      await using reader = await open(cluster.readUrl, [channel], "earliest");
      assert.deepEqual((await takeEvents(reader, 2)).map(({ data }) => data), [1, 2]);
    });
  }

  for (const [transport, open] of Object.entries(LISTENERS)) {
    test(`${transport} says which member published an ephemeral event`, async (cluster) => {
      const channel = newChannel();
      await using listener = await open(cluster.readUrl, [channel]);
      await using sender = await SocketClient.open(cluster.publishUrl);
      sender.send({ op: "enter", ref: 1, channel, member: "ann" });
      await sender.until("entered");
      let isHeard = false;
      const heard = nextEphemeral(listener).finally(() => isHeard = true);
      while (!isHeard) {
        sender.send({ op: "publish", ref: 2, channel, data: 1, ephemeral: true });
        await sender.until("ack");
        await pause(5); // as many as possible would be refused before one is delivered
      }
      assert.equal((await heard).publisher, "ann");
    });
  }

  test("an ephemeral event leaves nothing in the log", async (cluster) => {
    const channel = newChannel();
    const path = `/v1/channels/${encodeURIComponent(channel)}`;
    await using witness = await LISTENERS["WebSocket"]?.(cluster.readUrl, [channel]) ??
      assert.fail();
    await publishUntilDelivered(cluster.publishUrl, channel, "ping", [witness]);
    for (const url of [cluster.publishUrl, cluster.readUrl]) {
      assert.equal((await call(url, path)).code, "channel_not_found");
      const before = encodeURIComponent(channel.slice(0, -1));
      const { json: { channels } } = await call(url, `/v1/channels?after=${before}&limit=1`);
      assert.notEqual(channels[0]?.channel, channel);
      const page = await call(url, readUrl("", [channel], { after: "earliest" }));
      const cursor = "000000000_0000000000000000";
      assert.deepEqual(page.json, { events: [], cursor, upToDate: true });
    }
  });

  test("ephemeral events of one socket arrive once each, in their order", async (cluster) => {
    const channel = newChannel();
    await using listener = await LISTENERS["WebSocket"]?.(cluster.readUrl, [channel]) ??
      assert.fail();
    await publishUntilDelivered(cluster.publishUrl, channel, 0, [listener]);
    await using sender = await SocketClient.open(cluster.publishUrl);
    const count = 200;
    for (let i = 1; i <= count; i++) {
      sender.send({ op: "publish", ref: i, channel, data: i, ephemeral: true });
      if (i % 20 === 0) assert.deepEqual(await lastAck(i), { op: "ack", ref: i, ephemeral: true });
    }
    const heard: unknown[] = [];
    while (heard.at(-1) !== count) {
      const { data } = await nextEphemeral(listener);
      if (data !== 0) heard.push(data);
    }
    assert.deepEqual(heard, Array.from({ length: count }, (_, i) => i + 1));

    async function lastAck(ref: number) {
      while (true) {
        const ack = await sender.until("ack");
        if (ack["ref"] === ref) return ack;
      }
    }
  });

  test("text and types arrive unchanged, however they are published", async (cluster) => {
    const channel = newChannel();
    const { publishUrl } = cluster;
    await using stream = await SseClient.open(readUrl(cluster.readUrl, [channel]));
    await using listener = await LISTENERS["SSE"]?.(cluster.readUrl, [channel]) ?? assert.fail();
    await publishUntilDelivered(publishUrl, channel, "ready", [listener]);
    const path = `/v1/channels/${encodeURIComponent(channel)}/events`;
    const text = "first line\r\nid: 7\n\nevent: x";
    const headers = {
      "Content-Type": "text/plain",
      "Weir-Ephemeral": "1",
      "Weir-Type": "typing",
    };
    const body = await call(publishUrl, path, { method: "POST", headers, body: text });
    assert.deepEqual([body.status, body.json], [202, { channel, ephemeral: true }]);
    const json = await call(publishUrl, "/v1/events", {
      method: "POST",
      body: JSON.stringify({ channel, data: [1.5, null], type: "cursor", ephemeral: true }),
    });
    assert.deepEqual([json.status, json.json], [202, { channel, ephemeral: true }]);
    const heard = [];
    while (heard.length < 2) {
      const { time: _, channel: __, ...event } = await nextEphemeral(listener);
      if (event.data !== "ready") heard.push(event);
    }
    assert.deepEqual(heard, [
      { type: "typing", contentType: "text/plain", data: text },
      { type: "cursor", contentType: "application/json", data: [1.5, null] },
    ]);
    let plain = await stream.next();
    while (plain.data === `"ready"`) plain = await stream.next();
    assert.deepEqual(plain, {
      id: undefined,
      event: "typing",
      data: "first line\nid: 7\n\nevent: x",
    });
    assert.deepEqual(await stream.next(), { id: undefined, event: "cursor", data: "[1.5,null]" });
  });
}

async function nextEvent(listener: Listener) {
  while (true) {
    const heard = await listener.next();
    if (heard.kind === "event") return heard.event;
    assert.equal(heard.event.data, "ping"); // a repeat that was still on its way
  }
}
