import assert from "node:assert/strict";
import fc from "fast-check";
import { ALL, FaultProxy, READS } from "./fault_proxy.ts";
import type { RequestKind } from "./proxied_connection.ts";
import { newChannel, publish } from "./publishing.ts";
import { readAll } from "./readers.ts";
import { RestartableServer } from "./restartable_server.ts";
import { until } from "./until.ts";

const RUNS = 15;
/** For all runs, in ms: a slow machine makes fewer. */
const TIME_LIMIT = 25_000;
/** The server's heartbeat in ms. */
const HEARTBEAT = 1_000;

/** A client in a browser or another process, which reads a channel from its first event. */
export interface RemoteClient extends AsyncDisposable {
  /** The data of the events that it received, in order. */
  readonly data: readonly string[];
  /** Publishes, and resolves when all events are acknowledged. */
  publish(...data: readonly string[]): Promise<void>;
}

type OpenClient = (url: string, channel: string) => Promise<RemoteClient>;

const kinds = fc.constantFrom<readonly RequestKind[]>(
  READS,
  ALL,
  ["webtransport"],
  ["webtransport", "websocket"],
  ["websocket"],
  ["sse"],
  ["long-poll"],
  ["publish"],
  ["websocket", "sse"],
  ["websocket", "sse", "long-poll"],
);
const count = fc.integer({ min: 1, max: 30 });

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("publish"), count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("own"), count: fc.constantFrom(1, 3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cut"), kinds }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("cut next"),
      kinds,
      way: fc.constantFrom("up" as const, "down" as const),
      after: fc.nat(1_500),
    }),
  },
  // Makes the client switch to another transport and back.
  { weight: 2, arbitrary: fc.record({ do: fc.constant("refuse"), kinds }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("allow") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart") }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.nat(150) }) },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/**
 * Checks that the client receives each event once and in order, and that its own events are stored
 * once and in order, under random cuts, refusals and restarts.
 */
export async function checkRandomFaults(
  open: OpenClient,
  { hasWebTransport = false }: { readonly hasWebTransport?: boolean } = {},
): Promise<void> {
  const start = performance.now();
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 20 }),
    // The limit of fast-check would abandon a run in the middle.
    async (steps) => {
      if (performance.now() - start < TIME_LIMIT) await run(open, steps, hasWebTransport);
    },
  );
  await fc.assert(property, { numRuns: RUNS });
}

async function run(
  open: OpenClient,
  steps: readonly Step[],
  hasWebTransport: boolean,
): Promise<void> {
  await using server = await RestartableServer.start({ heartbeat: HEARTBEAT, hasWebTransport });
  await using proxy = hasWebTransport
    ? FaultProxy.withUdp(server.port)
    : new FaultProxy(server.port);
  const channel = newChannel();
  await using client = await open(proxy.url, channel);
  let sent = 0;
  const own: string[] = [];
  const acknowledged: Promise<void>[] = [];
  for (const step of steps) {
    switch (step.do) {
      case "publish":
        for (let i = 0; i < step.count; i++) await publish(server.url, channel, `event ${sent++}`);
        break;
      case "own": {
        const data = Array.from({ length: step.count }, (_, i) => `own ${own.length + i}`);
        own.push(...data);
        acknowledged.push(client.publish(...data));
        break;
      }
      case "cut":
        proxy.cut(step.kinds);
        break;
      case "cut next":
        proxy.next(step.kinds, { act: "cut", way: step.way, after: step.after });
        break;
      case "refuse":
        proxy.on(step.kinds, { act: "refuse" });
        break;
      case "allow":
        proxy.off();
        break;
      case "restart":
        await server.stop();
        await server.start();
        proxy.target = server.port;
        break;
      case "pass":
        // The time until the next fault is part of the case.
        await new Promise((resolve) => setTimeout(resolve, step.ms));
    }
  }
  proxy.off();
  await Promise.all(acknowledged);
  await publish(server.url, channel, "last");
  await until("all is read", () => client.data.includes("last"));
  const log = (await readAll(server.url, channel)).map(({ data }) => String(data));
  assert.deepEqual(client.data, log);
  assert.deepEqual(log.filter((data) => data.startsWith("own")), own);
}
