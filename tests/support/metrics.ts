import assert from "node:assert/strict";
import type { WeirServer } from "./server.ts";

/** The samples of `GET /metrics` by name and labels, as they are written. */
export type MetricSamples = ReadonlyMap<string, number>;

/** Parses metrics in Prometheus' text format. */
export function parseMetrics(text: string): MetricSamples {
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

/** Reads the metrics of the server at `url`. */
export async function readMetrics(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<MetricSamples> {
  const response = await fetch(`${url}/metrics`, { headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return parseMetrics(text);
}

/** Asserts that some of the samples have these values. */
export function assertSamples(
  samples: MetricSamples,
  expected: Readonly<Record<string, number>>,
): void {
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, samples.get(name)]));
  assert.deepEqual(found, expected);
}

/** Returns the URL of a server's own listener for metrics, at a free port of 127.0.0.1. */
export async function metricsUrl(server: Pick<WeirServer, "stderr">): Promise<string> {
  const [, port] = /"metrics listening".*"port":(\d+)/.exec(await server.stderr()) ?? [];
  return `http://127.0.0.1:${port}`;
}

/** Returns the names in metrics of Prometheus' text format: those of `# TYPE`. */
export function metricNames(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name));
}
