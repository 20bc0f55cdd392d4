import assert from "node:assert/strict";
import { type ClusterKind, clusterTest } from "../support/clusters.ts";
import { newChannel, post, publish, publishNumbers } from "../support/publishing.ts";
import { READERS, readUrl, takeEvents } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { switchContract } from "./switch_contract.ts";

const MiB = 1_048_576;

export interface ServerContractOptions {
  /** Whether clients also switch transports, which opens hundreds of connections. @default true */
  readonly switches?: boolean;
}

/** The promises to clients, for any way to run Weir. */
export function serverContract(
  kind: ClusterKind,
  { switches = true }: ServerContractOptions = {},
) {
  const test = clusterTest(kind);
  const { transports = Object.keys(READERS) } = kind;
  const readers = Object.entries(READERS).filter(([name]) => transports.includes(name));

  for (const [transport, open] of readers) {
    test(`${transport} delivers events in their order`, async (cluster) => {
      const channel = newChannel();
      await using reader = await open(cluster.readUrl, [channel]);
      const acks = await publishNumbers(cluster.publishUrl, channel, 20);
      const events = await takeEvents(reader, 20);
      assert.deepEqual(events.map(({ data }) => data), acks.map((_, i) => i + 1));
      assert.deepEqual(events.map(({ offset }) => offset), acks.map(({ offset }) => offset));
      assert.ok(events.every((event) => event.channel === channel));
    });

    test(`${transport} delivers events that another server published`, async (cluster) => {
      const channel = newChannel();
      await using reader = await open(cluster.publishUrl, [channel]);
      await publishNumbers(cluster.readUrl, channel, 5);
      const events = await takeEvents(reader, 5);
      assert.deepEqual(events.map(({ data }) => data), [1, 2, 3, 4, 5]);
    });

    test(`${transport} delivers the events of many publishers in log order`, async (cluster) => {
      const channel = newChannel();
      await using reader = await open(cluster.readUrl, [channel]);
      const { publishUrl, readUrl } = cluster;
      const publishers = [publishUrl, readUrl, publishUrl, readUrl];
      const acks = await Promise.all(publishers.map((url) => publishNumbers(url, channel, 25)));
      const events = await takeEvents(reader, 100);
      const offsets = events.map(({ offset }) => offset);
      assert.deepEqual(offsets, acks.flat().map(({ offset }) => offset).sort());
    });

    test(`${transport} says which member published an event`, async (cluster) => {
      const channel = newChannel();
      await using reader = await open(cluster.readUrl, [channel]);
      await using socket = await SocketClient.open(cluster.publishUrl);
      socket.send({ op: "enter", ref: 1, channel, member: "ann" });
      await socket.until("entered");
      socket.send({ op: "publish", ref: 2, channel, data: 1 });
      await socket.until("ack");
      await publish(cluster.publishUrl, channel, 2);
      await using again = await open(cluster.readUrl, [channel], "earliest");
      for (const each of [reader, again]) {
        const events = await takeEvents(each, 2);
        assert.deepEqual(events.map(({ publisher }) => publisher), ["ann", undefined]);
      }
    });

    test(`${transport} continues after a cursor, and from the earliest event`, async (cluster) => {
      const channel = newChannel();
      const acks = await publishNumbers(cluster.publishUrl, channel, 5);
      await using behind = await open(cluster.readUrl, [channel], acks[1]?.offset);
      assert.deepEqual((await takeEvents(behind, 3)).map(({ data }) => data), [3, 4, 5]);
      await using whole = await open(cluster.readUrl, [channel], "earliest");
      assert.deepEqual((await takeEvents(whole, 5)).map(({ data }) => data), [1, 2, 3, 4, 5]);
      await using latest = await open(cluster.readUrl, [channel], "latest");
      await publish(cluster.publishUrl, channel, 6);
      assert.deepEqual((await takeEvents(latest, 1)).map(({ data }) => data), [6]);
    });

    test(`${transport} starts after all events that any server has acknowledged`, async (cluster) => {
      const [channel, other] = [newChannel(), newChannel()];
      await using _follower = await open(cluster.readUrl, [channel]);
      for (let i = 0; i < 5; i++) {
        await publish(cluster.publishUrl, channel, "before both");
        await using alone = await open(cluster.readUrl, [channel], "latest");
        const between = await publish(cluster.publishUrl, channel, "between");
        await using together = await open(cluster.readUrl, [channel, other].sort(), "latest");
        const after = await publish(cluster.publishUrl, channel, "after both");
        assert.equal((await takeEvents(alone, 1))[0]?.offset, between.offset);
        assert.equal((await takeEvents(together, 1))[0]?.offset, after.offset);
      }
    });

    test(`${transport} reads several channels under one cursor`, async (cluster) => {
      const channels = [newChannel(), newChannel(), newChannel()].sort();
      await using reader = await open(cluster.readUrl, channels);
      for (let i = 1; i <= 4; i++) {
        for (const channel of channels) await publish(cluster.publishUrl, channel, i);
      }
      const first = await takeEvents(reader, 7);
      await using next = await open(cluster.readUrl, channels, reader.cursor);
      const all = [...first, ...await takeEvents(next, 5)];
      for (const channel of channels) {
        const own = all.filter((event) => event.channel === channel);
        assert.deepEqual(own.map(({ data }) => data), [1, 2, 3, 4]);
      }
    });

    test(`${transport} delivers an event of 1 MiB, and binary data, unchanged`, async (cluster) => {
      const channel = newChannel();
      await using reader = await open(cluster.readUrl, [channel]);
      const large = "é".repeat(MiB / 2 - 1);
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      await publish(cluster.publishUrl, channel, large);
      await (await post(cluster.publishUrl, channel, bytes, {
        "Content-Type": "application/octet-stream",
      })).body?.cancel();
      await publish(cluster.publishUrl, channel, "last");
      const [first, second, third] = await takeEvents(reader, 3);
      assert.ok(first?.data === large);
      assert.equal(second?.encoding, "base64");
      assert.deepEqual(Uint8Array.fromBase64(String(second?.data)), bytes);
      assert.equal(third?.data, "last");
    });

    test(`${transport} reports a recreated channel as a gap and continues with it`, async (cluster) => {
      const channel = newChannel();
      const acks = await publishNumbers(cluster.publishUrl, channel, 3);
      await remove(cluster.publishUrl, channel);
      const again = await publish(cluster.publishUrl, channel, "again");
      await using reader = await open(cluster.readUrl, [channel], acks[2]?.offset);
      const { gap } = await reader.next();
      assert.deepEqual(gap, {
        channel,
        reason: "recreated",
        requested: acks[2]?.offset,
        firstAvailable: again.offset,
        lost: null,
      });
      assert.equal((await takeEvents(reader, 1))[0]?.offset, again.offset);
    });

    test(`${transport} reports a recreated channel to readers that were connected`, async (cluster) => {
      const channel = newChannel();
      await publish(cluster.publishUrl, channel, 1);
      await using reader = await open(cluster.readUrl, [channel]);
      await publish(cluster.publishUrl, channel, 2);
      await takeEvents(reader, 1);
      await remove(cluster.publishUrl, channel);
      await publish(cluster.publishUrl, channel, "again");
      const { gap } = await reader.next();
      assert.equal(gap?.reason, "recreated");
      assert.equal((await takeEvents(reader, 1))[0]?.data, "again");
    });

    test(`${transport} reports a cursor that is ahead of the log`, async (cluster) => {
      const channel = newChannel();
      const { offset } = await publish(cluster.publishUrl, channel, 1);
      const ahead = offset.replace(/\d{4}$/, "0099");
      await using reader = await open(cluster.readUrl, [channel], ahead);
      const { gap } = await reader.next();
      assert.deepEqual(gap, {
        channel,
        reason: "ahead",
        requested: ahead,
        firstAvailable: offset,
        lost: null,
      });
      assert.equal((await takeEvents(reader, 1))[0]?.data, 1);
    });
  }

  if (switches) switchContract(test);

  test("Last-Event-ID takes precedence over the URL of an SSE stream", async (cluster) => {
    const channel = newChannel();
    const acks = await publishNumbers(cluster.publishUrl, channel, 4);
    const url = readUrl(cluster.readUrl, [channel], { after: "earliest" });
    await using client = await SseClient.open(url, { "Last-Event-ID": acks[2]?.offset ?? "" });
    const { id, data } = await client.next();
    assert.deepEqual({ id, data }, { id: acks[3]?.offset, data: "4" });
  });

  test("a publish over several channels stores all of its events or none", async (cluster) => {
    const channels = [newChannel(), newChannel(), newChannel()];
    const publishAll = (last: unknown) =>
      fetch(`${cluster.publishUrl}/v1/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          events: [...channels.map((channel) => ({ channel, data: channel })), last],
        }),
      });
    const refused = await publishAll({ channel: channels[0], data: 1, type: "weir.gap" });
    assert.equal(refused.status, 400);
    const problem = await refused.json();
    assert.equal(problem.index, 3);
    assert.equal(problem.code, "bad_event_type");
    for (const channel of channels) assert.deepEqual(await page(cluster.readUrl, channel), []);
    const stored = await publishAll({ channel: channels[0], data: "last" });
    assert.equal(stored.status, 201);
    const { events } = await stored.json();
    assert.deepEqual(
      events.map(({ channel }: { channel: string }) => channel),
      [...channels, channels[0]],
    );
    const [first, ...others] = channels;
    assert.deepEqual(await page(cluster.readUrl, first ?? ""), [first, "last"]);
    for (const other of others) assert.deepEqual(await page(cluster.readUrl, other), [other]);
  });

  test("a repeated Idempotency-Key is answered with the stored event", async (cluster) => {
    const channel = newChannel();
    const headers = { "Content-Type": "application/json", "Idempotency-Key": "key 1" };
    const first = await post(cluster.publishUrl, channel, `{"n":1}`, headers);
    const second = await post(cluster.readUrl, channel, `{"n":1}`, headers);
    const other = await post(cluster.readUrl, channel, `{"n":2}`, headers);
    assert.equal(first.status, 201);
    const ack = await first.json();
    assert.equal(second.status, 200);
    assert.deepEqual(await second.json(), { ...ack, duplicate: true });
    assert.equal(other.status, 409);
    assert.equal((await other.json()).code, "idempotency_conflict");
    assert.deepEqual(await page(cluster.readUrl, channel), [{ n: 1 }]);
  });

  test("the same Idempotency-Key from many publishers at once stores one event", async (cluster) => {
    const channel = newChannel();
    const headers = { "Content-Type": "application/json", "Idempotency-Key": "once" };
    const responses = await Promise.all(
      Array.from(
        { length: 20 },
        (_, i) => post(i % 2 === 0 ? cluster.publishUrl : cluster.readUrl, channel, "1", headers),
      ),
    );
    const acks = await Promise.all(responses.map((response) => response.json()));
    assert.equal(responses.filter(({ status }) => status === 201).length, 1);
    assert.equal(new Set(acks.map(({ offset }) => offset)).size, 1);
    assert.deepEqual(await page(cluster.readUrl, channel), [1]);
  });
}

async function page(url: string, channel: string): Promise<readonly unknown[]> {
  const response = await fetch(readUrl(url, [channel]));
  const { events }: { events: readonly { readonly data: unknown }[] } = await response.json();
  return events.map(({ data }) => data);
}

async function remove(url: string, channel: string): Promise<void> {
  const response = await fetch(`${url}/v1/channels/${channel}`, { method: "DELETE" });
  assert.equal(response.status, 204);
}
