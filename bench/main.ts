// deno-lint-ignore-file no-console
/**
 * `deno task bench [names…] [--json FILE] [--flags="…"]`: measures Weir against the targets of
 * docs/performance.md and prints a table. A name selects the scenarios that start with it. The flags
 * are passed to the `deno run` of Weir, for a profile. Exits with 1 if something could not be
 * measured. A missed target is only reported, because machines differ.
 */
import { parseArgs } from "node:util";
import type { LoadResult } from "./options.ts";
import { endAll } from "./process.ts";
import { runScenario, Skipped } from "./run.ts";
import { type Measured, type Scenario, SCENARIOS, type Target } from "./scenarios.ts";

interface Row {
  readonly scenario: string;
  readonly figure: string;
  readonly measured: number | null;
  readonly target: string;
  readonly met: "yes" | "NO" | "not measured";
}

interface Outcome {
  readonly scenario: string;
  readonly what: string;
  readonly skipped: string;
  readonly result: LoadResult | undefined;
  readonly compared: LoadResult | undefined;
}

/** Formats three significant digits, with a separator for thousands. */
function number(value: number | null): string {
  if (value === null) return "–";
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function judge(scenario: Scenario, target: Target, measured: Measured): Row {
  const value = target.read(measured);
  const kept = value !== null &&
    (target.bound === "≥" ? value >= target.value : value <= target.value);
  const trusted = measured.result.problem === "" && (measured.compared?.problem ?? "") === "";
  return {
    scenario: scenario.name,
    figure: target.figure,
    measured: value,
    target: `${target.bound} ${number(target.value)}`,
    met: value === null || !trusted ? "not measured" : kept ? "yes" : "NO",
  };
}

/** Formats all figures of one load on one line. */
function describe(result: LoadResult): string {
  const parts = [
    result.expected > 0 ? `${result.delivered} of ${result.expected} delivered` : "",
    result.delivered > 0 ? `${number(result.deliveriesPerSecond)} deliveries/s` : "",
    result.publishesPerSecond > 0 ? `${number(result.publishesPerSecond)} publishes/s` : "",
    result.publishP50 !== null
      ? `publish p50 ${number(result.publishP50)} p99 ${number(result.publishP99)} ms`
      : "",
    result.endToEndP50 !== null
      ? `end-to-end p50 ${number(result.endToEndP50)} p99 ${number(result.endToEndP99)} ms`
      : "",
    result.cpuPerMillion !== null ? `CPU ${number(result.cpuPerMillion)} s/million` : "",
    result.kbPerSubscriber !== null ? `${number(result.kbPerSubscriber)} KB/subscriber` : "",
    result.memoryGrowth !== null ? `memory × ${number(result.memoryGrowth)}` : "",
    result.keptEvents !== null
      ? `at most ${number(result.keptEvents)} events kept, store × ${number(result.storeGrowth)}`
      : "",
    `server ${number(result.serverMb)} MB`,
    result.seconds > 0
      ? `generator ${number(result.generatorCore)} and others ${
        number(result.othersCore)
      } of a core`
      : "",
    result.problem === "" ? "" : `PROBLEM: ${result.problem}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function table(rows: readonly Row[]): string {
  const cells = [
    ["scenario", "figure", "measured", "target", "met"],
    ["---", "---", "---:", "---:", "---"],
    ...rows.map((row) => [row.scenario, row.figure, number(row.measured), row.target, row.met]),
  ];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  return cells.map((line) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  ).join("\n");
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

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { json: { type: "string" }, flags: { type: "string", default: "" } },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    endAll();
    Deno.exit(130);
  });
}
const flags = values.flags.split(" ").filter((flag) => flag !== "");
const on = await machine();
console.log(`On ${on}`);
const rows: Row[] = [];
const outcomes: Outcome[] = [];
let unmeasured = false;
for (const scenario of pick(positionals)) {
  const { name, what } = scenario;
  console.log(`\n${name}: ${what}`);
  let measured: Measured | undefined;
  let skipped = "";
  try {
    measured = await runScenario(scenario, { flags });
    console.log(`  ${describe(measured.result)}`);
    if (measured.compared !== undefined) {
      console.log(`  compared with: ${describe(measured.compared)}`);
    }
    const judged = scenario.targets.map((target) => judge(scenario, target, measured as Measured));
    rows.push(...judged);
    unmeasured ||= judged.some((row) => row.met === "not measured");
  } catch (error) {
    skipped = error instanceof Error ? error.message : String(error);
    unmeasured ||= !(error instanceof Skipped);
    console.log(`  ${error instanceof Skipped ? "skipped" : "FAILED"}: ${skipped}`);
  }
  outcomes.push({
    scenario: name,
    what,
    skipped,
    result: measured?.result,
    compared: measured?.compared,
  });
}
console.log(`\n${table(rows)}`);
if (values.json !== undefined) {
  const report = { on, at: new Date().toISOString(), rows, outcomes };
  await Deno.writeTextFile(values.json, JSON.stringify(report, null, 2) + "\n");
}
Deno.exit(unmeasured ? 1 : 0);
