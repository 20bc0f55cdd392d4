import {
  AggregatorRegistry,
  openMetricsContentType,
  prometheusContentType,
  type RegistryContentType,
} from "prom-client";
import type { Metric } from "./metric.ts";

/** The media types in which metrics are written. */
export const EXPOSITION_TYPES = {
  prometheus: prometheusContentType,
  openMetrics: openMetricsContentType,
} as const;
export type ExpositionType = keyof typeof EXPOSITION_TYPES;

/**
 * Writes the metrics of several isolates as those of one process, in Prometheus' text format 0.0.4
 * or OpenMetrics 1.0.0.
 */
export async function exposition(
  isolates: readonly (readonly Metric[])[],
  type: ExpositionType,
): Promise<string> {
  const isOpenMetrics = type === "openMetrics";
  const named = isOpenMetrics ? isolates.map((metrics) => metrics.map(familyOf)) : isolates;
  const registry = AggregatorRegistry.aggregate<RegistryContentType>([...named]);
  registry.setContentType(EXPOSITION_TYPES[type]);
  return await registry.metrics();
}

/** OpenMetrics has `_total` in the name of a counter's sample, and not in that of its family. */
function familyOf(metric: Metric): Metric {
  return metric.type === "counter"
    ? { ...metric, name: metric.name.replace(/_total$/, "") }
    : metric;
}
