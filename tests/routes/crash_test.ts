import assert from "node:assert/strict";
import type { WireEvent } from "../../lib/shared/event.ts";
import { parseOffset } from "../../lib/shared/offset.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readAll, readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const CRASHES = 20;
const PUBLISHERS = 8;
/** The minimum of acknowledged events in a round before the server is killed. */
const ROUND = 40;

Deno.test("20 crashes under load neither lose nor repeat an event", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  const acknowledged = new Map<number, string>();
  let next = 0;
  await publishOne();
  const subscriber = new ReturningSubscriber(server, channel);
  const seeing = subscriber.run();

  for (let crash = 0; crash < CRASHES; crash++) {
    const enough = acknowledged.size + ROUND;
    const publishers = Array.from({ length: PUBLISHERS }, async () => {
      try {
        while (true) await publishOne();
      } catch {
        // The crash. Events without an answer may or may not be stored.
      }
    });
    await until("the server is under load", () => acknowledged.size >= enough);
    await server.kill("SIGKILL");
    await Promise.all(publishers);
    await server.start();
  }
  await publishOne();

  const stored = await readAll(server.url, channel);
  const positions = stored.map(({ offset }) => parseOffset(offset));
  assert.deepEqual(positions.map(({ sequence }) => sequence), stored.map((_, i) => i + 1));
  assert.equal(new Set(positions.map(({ epoch }) => epoch)).size, 1);
  assert.equal(new Set(stored.map(({ data }) => data)).size, stored.length);
  const offsets = new Map(stored.map(({ data, offset }) => [data, offset]));
  for (const [data, offset] of acknowledged) assert.equal(offsets.get(data), offset);
  await subscriber.seenAll(stored.length);
  await seeing;
  assert.deepEqual(
    subscriber.seen.map(({ offset }) => offset),
    stored.map(({ offset }) => offset),
  );

  async function publishOne(): Promise<void> {
    const data = next++;
    const { offset } = await publish(server.url, channel, data);
    acknowledged.set(data, offset);
  }
});

/** Reconnects with its Last-Event-ID whenever the server has gone, as browsers do. */
class ReturningSubscriber {
  readonly seen: WireEvent[] = [];
  readonly #server: WeirServer;
  readonly #channel: string;
  #expected = Infinity;
  #client: SseClient | undefined;

  constructor(server: WeirServer, channel: string) {
    this.#server = server;
    this.#channel = channel;
  }

  async run(): Promise<void> {
    let last = "";
    while (this.seen.length < this.#expected) {
      const url = readUrl(this.#server.url, [this.#channel], { after: "earliest", envelope: "1" });
      try {
        await using client = await SseClient.open(
          url,
          last === "" ? {} : { "Last-Event-ID": last },
        );
        this.#client = client;
        while (this.seen.length < this.#expected) {
          const { id, event, data } = await client.next();
          assert.notEqual(event, "weir.gap");
          last = id ?? "";
          this.seen.push(JSON.parse(data));
        }
      } catch (cause) {
        if (cause instanceof assert.AssertionError) throw cause;
        // The server is down: retry at once until it is back.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Resolves once `count` events have arrived, and ends the reader. */
  async seenAll(count: number): Promise<void> {
    this.#expected = count;
    await until("all events have arrived", () => this.seen.length >= count);
    await this.#client?.[Symbol.asyncDispose]();
  }
}
