import assert from "node:assert/strict";

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

/** Returns the names in metrics of Prometheus' text format: those of `# TYPE`. */
export function metricNames(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name));
}
