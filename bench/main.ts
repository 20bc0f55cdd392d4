// deno-lint-ignore-file no-console
/**
 * `deno task bench [names…]`: measures Weir against the targets of docs/performance.md and prints a
 * table. A name selects the scenarios that start with it. Exits with 1 if something could not be
 * measured. A missed target is only reported, because machines differ.
 *
 * - `--rounds N` runs each load N times, by turns with what it is compared with, and judges medians.
 * - `--json FILE` writes everything, each round included.
 * - `--flags="…"` passes flags to the `deno run` of Weir, for a profile.
 * - `--durable-streams FILE`, `--centrifugo FILE` name the programs of rivals that are not on the PATH.
 */
import { parseArgs } from "node:util";
import { endAll } from "./process.ts";
import {
  describe,
  describeRatios,
  judge,
  type Ratios,
  ratiosOf,
  type Row,
  table,
} from "./report.ts";
import { type RunOptions, runScenario, Skipped } from "./run.ts";
import { type Scenario, type ScenarioRun, SCENARIOS } from "./scenarios.ts";

interface Outcome extends Partial<ScenarioRun> {
  readonly scenario: string;
  readonly what: string;
  readonly skipped: string;
  readonly ratios?: Ratios;
}

/** Returns the scenarios that the names select; all without a name. */
function pick(names: readonly string[]): readonly Scenario[] {
  for (const name of names) {
    if (!SCENARIOS.some((scenario) => scenario.name.startsWith(name))) {
      const known = SCENARIOS.map((scenario) => scenario.name).join(", ");
      console.error(`No scenario is called "${name}". There are: ${known}`);
      Deno.exit(2);
    }
  }
  if (names.length === 0) return SCENARIOS;
  const exact = new Set(
    SCENARIOS.map((scenario) => scenario.name).filter((name) => names.includes(name)),
  );
  return SCENARIOS.filter(({ name }) =>
    exact.has(name) || names.some((prefix) => !exact.has(prefix) && name.startsWith(prefix))
  );
}

/** Describes the machine, from /proc. */
async function machine(): Promise<string> {
  const text = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const model = /^model name\s*:\s*(.+)$/m.exec(text)?.[1] ?? "unknown processor";
  const load = Deno.loadavg().map((value) => value.toFixed(1)).join(" ");
  return `${navigator.hardwareConcurrency} × ${model}, Deno ${Deno.version.deno}, load ${load}`;
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  console.error(`Cannot use "${text}" as --rounds: it must be a positive whole number.`);
  Deno.exit(2);
}

function print({ rounds, missing }: ScenarioRun, ratios: Ratios): void {
  for (const [index, { result, compared }] of rounds.entries()) {
    if (rounds.length > 1) console.log(`  round ${index + 1}`);
    console.log(`  ${describe(result)}`);
    for (const [name, other] of Object.entries(compared)) {
      console.log(`  ${name}: ${describe(other)}`);
    }
  }
  for (const [name, reason] of Object.entries(missing)) {
    console.log(`  ${name}: skipped: ${reason}`);
  }
  for (const line of describeRatios(ratios)) console.log(`  ${line}`);
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "1" },
    json: { type: "string" },
    flags: { type: "string", default: "" },
    "durable-streams": { type: "string" },
    centrifugo: { type: "string" },
  },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    endAll();
    Deno.exit(130);
  });
}
const { "durable-streams": durableStreams, centrifugo } = values;
const options: RunOptions = {
  flags: values.flags.split(" ").filter((flag) => flag !== ""),
  rounds: parseRounds(values.rounds),
  programs: {
    ...durableStreams === undefined ? {} : { "durable-streams": durableStreams },
    ...centrifugo === undefined ? {} : { centrifugo },
  },
};
const on = await machine();
console.log(`On ${on}`);
const rows: Row[] = [];
const outcomes: Outcome[] = [];
let unmeasured = false;
for (const scenario of pick(positionals)) {
  const { name, what } = scenario;
  console.log(`\n${name}: ${what}`);
  try {
    const run = await runScenario(scenario, options);
    const ratios = ratiosOf(run.rounds);
    print(run, ratios);
    const judged = scenario.targets.map((target) => judge(scenario, target, run));
    rows.push(...judged);
    unmeasured ||= judged.some((row) => row.met === "not measured");
    outcomes.push({ scenario: name, what, skipped: "", ...run, ratios });
  } catch (error) {
    const skipped = error instanceof Error ? error.message : String(error);
    unmeasured ||= !(error instanceof Skipped);
    console.log(`  ${error instanceof Skipped ? "skipped" : "FAILED"}: ${skipped}`);
    outcomes.push({ scenario: name, what, skipped });
  }
}
console.log(`\n${table(rows)}`);
if (values.json !== undefined) {
  const report = { on, at: new Date().toISOString(), rows, outcomes };
  await Deno.writeTextFile(values.json, JSON.stringify(report, null, 2) + "\n");
}
Deno.exit(unmeasured ? 1 : 0);
