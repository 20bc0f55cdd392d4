import fc from "fast-check";
import { type TransportName, TRANSPORTS } from "../../../lib/client/api.ts";
import { connect } from "../../../lib/client/client.ts";
import { ClientWorld } from "../../support/client_world.ts";
import { EVERY_TRANSPORT, withTransport } from "../../support/every_transport.ts";
import { ALL, answerOf, READS } from "../../support/fault_proxy.ts";
import { LocalServer } from "../../support/local_server.ts";
import type { Fault, RequestKind } from "../../support/proxied_connection.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { until } from "../../support/until.ts";

const RUNS = 25;
/** Time for all runs, in ms. A slow machine makes fewer runs. */
const TIME_LIMIT = 25_000;
/** The same over WebTransport: UDP ends in silence, which takes a while to be noticed. */
const QUIC_RUNS = 10;
const QUIC_TIME_LIMIT = 15_000;

const channel = fc.constantFrom("a", "b", "c");

const kinds = fc.oneof(
  { weight: 3, arbitrary: fc.constant(READS) },
  { weight: 2, arbitrary: fc.constant(ALL) },
  {
    weight: 5,
    arbitrary: fc.constantFrom<readonly RequestKind[]>(
      ["webtransport"],
      ["websocket"],
      ["webtransport", "websocket"],
      ["sse"],
      ["long-poll"],
      ["short-poll"],
      ["publish"],
      ["websocket", "sse"],
      ["websocket", "sse", "long-poll"],
    ),
  },
);

const cut = fc.record({
  act: fc.constantFrom("cut" as const, "hush" as const),
  way: fc.constantFrom("up" as const, "down" as const),
  after: fc.oneof(fc.nat(400), fc.nat(4_000)),
});

const block = fc.constantFrom<Fault>(
  { act: "refuse" },
  { act: "stall" },
  { act: "buffer" },
  { act: "delay", ms: 30 },
  { act: "answer", text: answerOf("502 Bad Gateway", "text/html", "<h1>Bad gateway</h1>") },
  { act: "answer", text: answerOf("403 Forbidden", "text/plain", "no") },
  { act: "answer", text: answerOf("200 OK", "text/html", "<h1>Welcome to this hotel</h1>") },
  { act: "answer", text: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConte" },
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish"),
      channel,
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("own"),
      channel,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read"),
      channel,
      start: fc.oneof(
        fc.constantFrom("earliest" as const, "latest" as const),
        fc.record({ behind: fc.nat() }),
      ),
      style: fc.constantFrom("iterate" as const, "listen" as const, "hold" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end"), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hand over") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cut"), kinds }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hush"), kinds }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("next"), kinds, fault: cut }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("block"), kinds, fault: block }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("unblock") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart"), isAbrupt: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke") }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("page"),
      isOnline: fc.boolean(),
      isHidden: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hold"), isHeld: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("disturb"),
      lossRate: fc.constantFrom(0, 0.05, 0.3),
      jitterMs: fc.constantFrom(0, 5, 30),
    }),
  },
  // More events than fit into the queue before the feed is paused.
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("publish"), channel, count: fc.constant(1_100) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.nat(120) }) },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function run(
  steps: readonly Step[],
  transports: readonly TransportName[] = TRANSPORTS,
): Promise<void> {
  await using world = await ClientWorld.start(transports);
  world.read("a", "earliest", "listen");
  world.read("a", "latest", "iterate");
  for (const step of steps) await doStep(world, step);
  await world.check();
}

async function doStep(world: ClientWorld, step: Step): Promise<void> {
  switch (step.do) {
    case "publish":
      return await world.publish(step.channel, step.count);
    case "own":
      return world.publishOwn(step.channel, step.count);
    case "read":
      return world.read(step.channel, step.start, step.style);
    case "end":
      return await world.endReading(step.which);
    case "hand over":
      return await world.handOver();
    case "cut":
      return world.proxy.cut(step.kinds);
    case "hush":
      return world.proxy.hush(step.kinds);
    case "next":
      return world.proxy.next(step.kinds, step.fault);
    case "block":
      return world.proxy.on(step.kinds, step.fault);
    case "unblock":
      return world.proxy.off();
    case "restart":
      return await world.restart(step.isAbrupt);
    case "revoke":
      return await world.revoke();
    case "page":
      return world.setPage(step);
    case "disturb":
      return world.proxy.udp?.disturb(step);
    case "hold":
      return world.hold(step.isHeld);
    case "pass":
      // The progress before the next fault is part of the case.
      return await new Promise((resolve) => setTimeout(resolve, step.ms));
  }
}

async function checkRandomSteps(transports: readonly TransportName[]): Promise<void> {
  const isOverQuic = transports.includes("webtransport");
  const timeLimit = isOverQuic ? QUIC_TIME_LIMIT : TIME_LIMIT;
  const start = performance.now();
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 40 }),
    // fast-check's own limit would leave a run unfinished.
    async (steps) => {
      if (performance.now() - start < timeLimit) await run(steps, transports);
    },
  );
  await fc.assert(property, { numRuns: isOverQuic ? QUIC_RUNS : RUNS });
}

Deno.test("events are read and stored once and in order, despite random faults", () => {
  return checkRandomSteps(TRANSPORTS);
});

for (const transports of [["webtransport"], ["webtransport", ...TRANSPORTS]] as const) {
  Deno.test({
    name: `the same holds over ${transports.join(", ")}`,
    sanitizeResources: false, // Deno keeps the streams of a connection that is refused
    fn: () => checkRandomSteps(transports),
  });
}

Deno.test("readers of one channel can begin at different positions at the same time", async () => {
  await run([
    { do: "read", channel: "b", start: "latest", style: "listen" },
    { do: "read", channel: "b", start: "earliest", style: "listen" },
    { do: "read", channel: "b", start: "latest", style: "iterate" },
    { do: "pass", ms: 100 },
    { do: "read", channel: "b", start: "earliest", style: "iterate" },
    { do: "read", channel: "b", start: "latest", style: "iterate" },
  ]);
});

for (const transport of EVERY_TRANSPORT) {
  Deno.test(`${transport}: a reader that joins while the first one leaves is served`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using weir = connect(server.url, { transports: [transport] });
    const channel = newChannel();
    const listen = (after: string, seen: unknown[]) =>
      weir.listen(channel, { after, onEvent: ({ data }) => seen.push(data), onGap: "throw" });
    const first = listen("earliest", []);
    await until("it has begun", () => first.cursor !== undefined);
    const seen: unknown[] = [];
    const second = listen("latest", seen);
    first.close();
    await until("the other has begun", () => second.cursor !== undefined);
    await publish(server.url, channel, 1);
    await until("it is reported", () => seen.length === 1);
  });
}
