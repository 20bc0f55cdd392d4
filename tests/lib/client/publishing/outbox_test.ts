import assert from "node:assert/strict";
import fc from "fast-check";
import type { Published } from "../../../../lib/client/api.ts";
import type { Call, Publication } from "../../../../lib/client/core/link.ts";
import type { JsonObject } from "../../../../lib/client/core/json_object.ts";
import {
  MAX_PENDING_BYTES,
  MAX_PENDING_EVENTS,
  Outbox,
} from "../../../../lib/client/publishing/outbox.ts";
import { sendBatch } from "../../../../lib/client/publishing/batch.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { until } from "../../../support/until.ts";

type Publish = Extract<Call, { op: "publish" }>;

/** How a call may end. */
const FATES = ["well", "not sent", "answer lost", "unknown", "refused for now", "lost"] as const;
type Fate = typeof FATES[number];

const offsetOf = (n: number) => formatOffset(epochAt(0), n);

/** A model of the server: a log per channel, each id stored once, batches all or nothing. */
class Model {
  readonly logs = new Map<string, Publication[]>();
  readonly #inFlight = new Set<string>();
  readonly #fates: Fate[];
  link = new FakeLink((call) => this.answer(call as Publish));

  constructor(fates: readonly Fate[] = []) {
    this.#fates = [...fates];
  }

  async answer({ channel, events }: Publish): Promise<JsonObject> {
    assert.ok(!this.#inFlight.has(channel), "two calls of one channel are in flight");
    assert.ok(events.length >= 1 && events.length <= 100);
    this.#inFlight.add(channel);
    const fate = this.#fates.shift() ?? "well";
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#inFlight.delete(channel);
    if (fate === "lost") {
      this.link.lose();
      setTimeout(() => this.link.reconnect(), 0);
    }
    if (fate === "not sent" || fate === "lost") throw new WeirError("unreachable", "Cut.");
    if (fate === "refused for now") {
      throw new WeirError("rate_limited", "Slow down.", { status: 429, retryAfter: 1 });
    }
    const index = events.findIndex(({ data }) => data === "bad");
    if (index >= 0) throw new WeirError("event_too_large", "Refused.", { status: 413, index });
    if (fate === "unknown" && this.#fates.length % 2 === 0) throw unknown();
    const answer = { events: events.map((event) => this.#store(channel, event)) };
    if (fate === "answer lost") throw new WeirError("unreachable", "Cut.");
    if (fate === "unknown") throw unknown();
    return answer;
  }

  data(channel: string): readonly unknown[] {
    return (this.logs.get(channel) ?? []).map(({ data }) => data);
  }

  #store(channel: string, event: Publication): Omit<Published, "duplicate"> {
    const log = this.logs.get(channel) ?? [];
    this.logs.set(channel, log);
    const at = log.findIndex(({ id }) => id === event.id);
    if (at < 0) log.push(event);
    return { channel, offset: offsetOf(at < 0 ? log.length : at + 1), id: event.id };
  }
}

function unknown(): WeirError {
  return new WeirError("commit_unknown", "Nobody knows.", { status: 503 });
}

const NO_WAIT = { random: () => 0 };

Deno.test("each publish is stored once and in the order of its channel, despite failures", async () => {
  const step = fc.record({
    channel: fc.constantFrom("a", "b"),
    isBad: fc.boolean(),
    count: fc.integer({ min: 1, max: 120 }),
    turns: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 6 }),
      fc.array(fc.constantFrom(...FATES), { maxLength: 20 }),
      async (steps, fates) => {
        const model = new Model(fates);
        const outbox = new Outbox(model.link, sendBatch, NO_WAIT);
        const expected = new Map<string, unknown[]>([["a", []], ["b", []]]);
        const outcomes: Promise<unknown>[] = [];
        let n = 0;
        for (const { channel, isBad, count, turns } of steps) {
          for (let i = 0; i < count; i++) {
            const data = isBad && i === count >> 1 ? "bad" : n++;
            const published = outbox.publish(channel, data);
            if (data !== "bad") expected.get(channel)?.push(data);
            outcomes.push(
              data === "bad" ? assert.rejects(published, { code: "event_too_large" }) : published,
            );
          }
          for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
        }
        await Promise.all(outcomes);
        for (const [channel, data] of expected) assert.deepEqual(model.data(channel), data);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("publishes of synchronous code form one batch, and later ones the next", async () => {
  const model = new Model();
  const outbox = new Outbox(model.link, sendBatch);
  const first = [1, 2, 3].map((n) => outbox.publish("a", n));
  await until("the first call is made", () => model.link.calls.length === 1);
  const next = [4, 5].map((n) => outbox.publish("a", n));
  const published = await Promise.all([...first, ...next]);
  assert.deepEqual(sizes(model.link), [3, 2]);
  assert.deepEqual(published.map(({ offset }) => offset), [1, 2, 3, 4, 5].map(offsetOf));
});

Deno.test("the outbox holds as much by default as docs/client.md says", async () => {
  assert.equal(MAX_PENDING_EVENTS, 1_000);
  assert.equal(MAX_PENDING_BYTES, 4 * 1024 ** 2);
  const page = await Deno.readTextFile(new URL("../../../../docs/client.md", import.meta.url));
  assert.ok(page.includes("The outbox holds 1,000 events and 4 MiB of JSON"));
});

Deno.test("a batch has at most 100 events and 1 MiB of JSON", async () => {
  const model = new Model();
  const outbox = new Outbox(model.link, sendBatch);
  const large = "x".repeat(400_000);
  await Promise.all([
    ...Array.from({ length: 150 }, (_, i) => outbox.publish("small", i)),
    ...Array.from({ length: 5 }, () => outbox.publish("large", large)),
    outbox.publish("alone", "x".repeat(2_000_000)),
  ]);
  const of = (channel: string) =>
    sizes({ calls: model.link.calls.filter((call) => (call as Publish).channel === channel) });
  assert.deepEqual(of("small"), [100, 50]);
  assert.deepEqual(of("large"), [2, 2, 1]);
  assert.deepEqual(of("alone"), [1]);
});

Deno.test("without a connection nothing is sent, and everything once it is back", async () => {
  const model = new Model();
  model.link.lose();
  const outbox = new Outbox(model.link, sendBatch);
  const data = { n: 1 };
  const published = outbox.publish("a", data, { id: "first", type: "created" });
  data.n = 2; // the application changes its object
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(model.link.calls.length, 0);
  model.link.reconnect();
  assert.equal((await published).id, "first");
  assert.deepEqual(model.logs.get("a"), [{ data: { n: 1 }, id: "first", type: "created" }]);
});

Deno.test("a failed batch is sent again as soon as the link is open", async () => {
  let failures = 1;
  const link = new FakeLink(() => {
    if (failures-- > 0) throw new WeirError("unreachable", "Cut.");
    return { events: [{ channel: "a", offset: offsetOf(1), id: "x" }] };
  });
  // The wait after a failure would exceed the test's timeout.
  const outbox = new Outbox(link, sendBatch, { random: () => 1e6 });
  const published = outbox.publish("a", 1);
  await until("it has failed", () => failures === 0);
  await new Promise((resolve) => setTimeout(resolve, 0));
  link.reconnect();
  assert.equal((await published).offset, offsetOf(1));
});

Deno.test("a full outbox rejects immediately, and accepts events again once there is room", async () => {
  const model = new Model();
  model.link.lose();
  const outbox = new Outbox(model.link, sendBatch);
  const waiting = Array.from({ length: MAX_PENDING_EVENTS }, (_, i) => outbox.publish("a", i));
  await assert.rejects(outbox.publish("b", 1), { code: "outbox_full" });
  model.link.reconnect();
  await Promise.all(waiting);
  await outbox.publish("b", 1);

  model.link.lose();
  const half = "x".repeat(MAX_PENDING_BYTES / 2 - 100);
  const large = [outbox.publish("a", half), outbox.publish("a", half)];
  await assert.rejects(outbox.publish("a", "x".repeat(300)), { code: "outbox_full" });
  model.link.reconnect();
  await Promise.all(large);
});

Deno.test("a signal removes a waiting event, but not one in flight", async () => {
  const gate = Promise.withResolvers<void>();
  const link = new FakeLink(async (call) => {
    await gate.promise;
    return {
      events: (call as Publish).events.map(({ id }) => ({ channel: "a", offset: offsetOf(1), id })),
    };
  });
  const outbox = new Outbox(link, sendBatch);
  const controller = new AbortController();
  const { signal } = controller;
  const inFlight = outbox.publish("a", 1, { id: "one", signal });
  await until("it is on its way", () => link.calls.length === 1);
  const waiting = outbox.publish("a", 2, { id: "two", signal });
  const kept = outbox.publish("a", 3, { id: "three" });
  controller.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  gate.resolve();
  assert.equal((await inFlight).id, "one");
  assert.equal((await kept).id, "three");
  assert.deepEqual(sizes(link), [1, 1]);
  await assert.rejects(outbox.publish("a", 4, { signal }), { name: "AbortError" });
});

Deno.test("closing rejects pending events, also those that wait after a refusal", async () => {
  const model = new Model(["refused for now"]);
  const limited = new FakeLink(() => {
    throw new WeirError("rate_limited", "Slow down.", { retryAfter: 1e6 });
  });
  const waits = new Outbox(limited, sendBatch).publish("a", 1);
  await until("it was refused", () => limited.calls.length === 1);
  model.link.lose();
  const offline = new Outbox(model.link, sendBatch).publish("a", 1);
  await limited.close();
  await model.link.close();
  await assert.rejects(waits, { code: "closed" });
  await assert.rejects(offline, { code: "closed" });
});

Deno.test("an ephemeral event is tried once and does not wait", async () => {
  const link = new FakeLink(() => {
    throw new WeirError("unreachable", "Cut.");
  });
  const outbox = new Outbox(link, sendBatch);
  await assert.rejects(outbox.publish("a", 1, { ephemeral: true, type: "typing" }), {
    code: "unreachable",
  });
  assert.deepEqual(link.calls, [{ op: "ephemeral", channel: "a", data: 1, type: "typing" }]);
});

Deno.test("data that is not JSON is rejected before anything is sent", async () => {
  const link = new FakeLink();
  const outbox = new Outbox(link, sendBatch);
  const circle: unknown[] = [];
  circle.push(circle);
  for (const data of [undefined, () => {}, 1n, circle]) {
    await assert.rejects(outbox.publish("a", data), { code: "bad_data" });
  }
  assert.equal(link.calls.length, 0);
});

function sizes({ calls }: { readonly calls: readonly Call[] }): readonly number[] {
  return calls.map((call) => (call as Publish).events.length);
}
