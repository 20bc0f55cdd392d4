/** What a run prints: figures, ratios, and whether targets are met. */
import type { LoadResult } from "./options.ts";
import {
  COMPARED_FIGURES,
  type Measured,
  ratio,
  type Scenario,
  type ScenarioRun,
  type Target,
} from "./scenarios.ts";
import { median } from "./usage.ts";

/** From this share of a core on, the generator may be what limits the rates. */
const GENERATOR_LIMIT = 0.9;

/** A target and the median of its rounds. */
export interface Row {
  readonly scenario: string;
  readonly figure: string;
  readonly measured: number | null;
  readonly target: string;
  readonly met: "yes" | "NO" | "not measured" | "skipped";
}

/** The medians of the ratios of a scenario to each comparison, by the names of the figures. */
export type Ratios = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Formats three significant digits, with a separator for thousands. */
function number(value: number | null): string {
  if (value === null) return "–";
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** Judges the median of all rounds. Nothing is judged if any load of any round had a problem. */
export function judge(scenario: Scenario, target: Target, { rounds, missing }: ScenarioRun): Row {
  const value = median(rounds.map((round) => target.read(round)));
  const kept = value !== null &&
    (target.bound === "≥" ? value >= target.value : value <= target.value);
  const isMissing = target.against !== undefined && target.against in missing;
  const trusted = rounds.every(({ result, compared }) =>
    [result, ...Object.values(compared)].every(({ problem }) => problem === "")
  );
  return {
    scenario: scenario.name,
    figure: target.figure,
    measured: value,
    target: `${target.bound} ${number(target.value)}`,
    met: isMissing ? "skipped" : value === null || !trusted ? "not measured" : kept ? "yes" : "NO",
  };
}

/** Returns the medians over all rounds. Ratios are of two loads of the same round. */
export function ratiosOf(rounds: readonly Measured[]): Ratios {
  const ratios: Record<string, Record<string, number>> = {};
  for (const against of Object.keys(rounds[0]?.compared ?? {})) {
    const each: Record<string, number> = ratios[against] = {};
    for (const [figure, read] of COMPARED_FIGURES) {
      const value = median(rounds.map((round) => ratio(round, against, read)));
      if (value !== null && value > 0) each[figure] = value;
    }
  }
  return ratios;
}

/** Formats the ratios to each comparison, one per line. */
export function describeRatios(ratios: Ratios): readonly string[] {
  return Object.entries(ratios).map(([against, figures]) => {
    const parts = Object.entries(figures).map(([figure, value]) => `${figure} ${number(value)}`);
    return `× ${against}: ${parts.join(", ")}`;
  });
}

/** Formats all figures of one load on one line. */
export function describe(result: LoadResult): string {
  const parts = [
    result.expected > 0 ? `${result.delivered} of ${result.expected} delivered` : "",
    result.delivered > 0 ? `${number(result.deliveriesPerSecond)} deliveries/s` : "",
    result.publishesPerSecond > 0 ? `${number(result.publishesPerSecond)} publishes/s` : "",
    result.publishP50 !== null
      ? `publish p50 ${number(result.publishP50)} p99 ${number(result.publishP99)} ms`
      : "",
    result.writersP99Ratio !== null
      ? `${result.refusedPublishes} refused, slower writer's p99 × ${
        number(result.writersP99Ratio)
      }`
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
    `server ${number(result.serverMb)} MB, ${number(result.peakMb)} at its peak`,
    result.seconds > 0
      ? `generator ${number(result.generatorCore)} and others ${
        number(result.othersCore)
      } of a core`
      : "",
    result.generatorCore >= GENERATOR_LIMIT ? "THE GENERATOR MAY BE THE LIMIT" : "",
    result.problem === "" ? "" : `PROBLEM: ${result.problem}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** Formats rows as a table of Markdown. */
export function table(rows: readonly Row[]): string {
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
