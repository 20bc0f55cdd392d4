import assert from "node:assert/strict";
import type { LoadResult } from "../../bench/options.ts";
import { RIVALS } from "../../bench/rivals.ts";
import { findProgram } from "../../bench/process.ts";
import { runScenario } from "../../bench/run.ts";
import {
  type Measured,
  type ScenarioLoad,
  type ScenarioRun,
  SCENARIOS,
} from "../../bench/scenarios.ts";
import { DENOKV_MISSING } from "../support/denokv.ts";

/** Loads that are over in a moment. What they measure is not judged. */
const SMALL = { messages: 40, warmUp: 20, inFlight: 4, settleMs: 0 };
const OWN = { ...SMALL, subscribers: 20, ownChannels: true };
const ROUNDS = 2;

const DURABLE_STREAMS = await findProgram(RIVALS["durable-streams"].program?.name ?? "");
if (DURABLE_STREAMS === undefined) {
  const hint = `durable-streams-server is missing: ${RIVALS["durable-streams"].program?.install}`;
  if (Deno.env.get("CI") === "true") throw new Error(hint);
  // deno-lint-ignore no-console
  console.warn(`${hint}; its test is ignored.`);
}

/** Runs a small load as a scenario. */
async function measure(
  load: ScenarioLoad,
  compare: Readonly<Record<string, ScenarioLoad>> = {},
  rounds = 1,
): Promise<ScenarioRun> {
  const scenario = { name: "test", what: "a test", load, compare, targets: [] };
  return await runScenario(scenario, { flags: [], rounds, programs: {} });
}

/** Returns the only load of a run, which had no problem. */
function only({ rounds: [round] }: ScenarioRun): LoadResult {
  return noProblem(round?.result);
}

function noProblem(result: LoadResult | undefined): LoadResult {
  assert.ok(result !== undefined);
  assert.equal(result.problem, "");
  assert.ok(result.peakMb > 1, `${result.peakMb} MB at the peak`);
  return result;
}

Deno.test("the names of scenarios are unique, and so are their comparisons in targets", () => {
  const names = SCENARIOS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  for (const { name, compare = {}, targets } of SCENARIOS) {
    for (const { against } of targets) {
      assert.ok(against === undefined || against in compare, `${name}: nothing is ${against}`);
    }
  }
});

for (const transport of ["sse", "websocket"] as const) {
  Deno.test(`${transport}: each event reaches the subscriber of its channel only`, async () => {
    const { rounds } = await measure({ ...OWN, transport }, {
      bare: { wire: "bare" },
      "bare-kv": { wire: "bare-kv" },
    });
    const [round] = rounds;
    for (const result of [round?.result, round?.compared["bare"], round?.compared["bare-kv"]]) {
      const { delivered, expected, publishP50, endToEndP50, cpuPerMillion } = noProblem(result);
      assert.deepEqual([delivered, expected], [SMALL.messages, SMALL.messages]);
      assert.ok(publishP50 !== null && endToEndP50 !== null && cpuPerMillion !== null);
    }
  });
}

Deno.test("subscribers that read nothing are not expected to receive anything", async () => {
  const load = { ...SMALL, subscribers: 5, stalled: 3 };
  const { delivered, expected, endToEndP99 } = only(await measure(load));
  assert.deepEqual([delivered, expected], [2 * SMALL.messages, 2 * SMALL.messages]);
  assert.ok(endToEndP99 !== null);
});

Deno.test("a stream of publishes counts its answers, and subscribers get its events", async () => {
  const load = { ...SMALL, ndjson: true, inFlight: 2, messages: 1201, subscribers: 1 };
  const { publishesPerSecond, failedPublishes, delivered, publishP50 } = only(await measure(load));
  assert.ok(publishesPerSecond > 0);
  assert.deepEqual([failedPublishes, delivered, publishP50], [0, 1201, null]);
});

Deno.test("two isolates of one process publish to one channel", async () => {
  const load = { ...SMALL, servers: "parallel", writers: 2, access: "token" } as const;
  const { writersP99Ratio, publishesPerSecond } = only(await measure(load));
  assert.ok(writersP99Ratio !== null && writersP99Ratio >= 1);
  assert.ok(publishesPerSecond > 0);
});

Deno.test("one isolate is not measured as two", async () => {
  const load = { ...SMALL, writers: 2, access: "token" } as const;
  await assert.rejects(measure(load), /2,0 are at each isolate/);
});

Deno.test("two processes on one denokv publish to one channel", {
  ignore: DENOKV_MISSING,
}, async () => {
  const load = { ...SMALL, servers: "denokv", writers: 2 } as const;
  const { rounds } = await measure(load, { "one writer": { writers: 1 } });
  const { writersP99Ratio, refusedPublishes } = noProblem(rounds[0]?.result);
  assert.ok(writersP99Ratio !== null && writersP99Ratio >= 1);
  assert.ok(refusedPublishes < SMALL.messages);
  assert.equal(noProblem(rounds[0]?.compared["one writer"]).writersP99Ratio, null);
});

Deno.test("a scenario and its comparison run by turns, each on a new server", async () => {
  const { rounds, missing } = await measure(
    { ...SMALL, subscribers: 2 },
    { bare: { wire: "bare", messages: 20 } },
    ROUNDS,
  );
  const delivered = rounds.map(({ result, compared }: Measured) => {
    return [noProblem(result).delivered, noProblem(compared["bare"]).delivered];
  });
  assert.deepEqual(delivered, Array(ROUNDS).fill([2 * SMALL.messages, 40]));
  assert.deepEqual(missing, {});
});

Deno.test("a server may serve another load before the one that is measured", async () => {
  const load = { ...SMALL, subscribers: 3, before: { messages: 7, subscribers: 1 } };
  assert.equal(only(await measure(load)).delivered, 3 * SMALL.messages);
  const broken = { ...load, before: { phaseMs: 1, subscribers: 1 } };
  await assert.rejects(measure(broken), /The load before has failed/);
});

Deno.test("a comparison that cannot run is left out, with its reason", async () => {
  const { rounds, missing } = await measure(
    { ...SMALL, transport: "websocket", subscribers: 1 },
    { "durable-streams": { wire: "durable-streams" } },
  );
  assert.equal(noProblem(rounds[0]?.result).delivered, SMALL.messages);
  assert.deepEqual(rounds[0]?.compared, {});
  assert.deepEqual(missing, { "durable-streams": "durable-streams has no websocket" });
});

Deno.test("Durable Streams is a rival", { ignore: DURABLE_STREAMS === undefined }, async () => {
  const wire = "durable-streams";
  assert.equal(only(await measure({ ...OWN, wire })).delivered, SMALL.messages);
  const load = { ...SMALL, wire, subscribers: 3, batch: 2 } as const;
  assert.equal(only(await measure(load)).delivered, 3 * SMALL.messages);
});

// Building Centrifugo takes minutes, so it is tested only where it is there.
if (await findProgram(RIVALS.centrifugo.program?.name ?? "") !== undefined) {
  for (const transport of ["sse", "websocket"] as const) {
    Deno.test(`Centrifugo is a rival over ${transport}`, async () => {
      const load = { wire: "centrifugo", transport } as const;
      assert.equal(only(await measure({ ...OWN, ...load })).delivered, SMALL.messages);
      const shared = { ...SMALL, ...load, subscribers: 3 };
      assert.equal(only(await measure(shared)).delivered, 3 * SMALL.messages);
    });
  }
}
