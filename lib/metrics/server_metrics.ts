import process from "node:process";
import { LIMIT_SCOPES } from "../auth/limit_settings.ts";
import { LIMIT_NAMES } from "../auth/limits.ts";
import { type MeterTotals, zeroCounts } from "../figures/meter.ts";
import type { SampleGauges } from "../figures/sampler.ts";
import type { TenantCounts } from "../figures/tenant_meter.ts";
import { CLOSE_CODES } from "../transports/goodbye.ts";
import { VERSION } from "../version.ts";
import { counter, durations, gauge, largest, type Metric, sizes, value, values } from "./metric.ts";

/** What the metrics of an isolate are made of. */
interface MetricSources {
  readonly totals: MeterTotals;
  readonly gauges: SampleGauges;
  /** Members that are present in this isolate. */
  readonly members: number;
}

/** Every reason, so that each has a series before it first happens. */
const NO_GOODBYES = zeroCounts(Object.keys(CLOSE_CODES));
/** Every limit that is a rate, and those of connections. */
const NOT_LIMITED = zeroCounts([
  ...LIMIT_SCOPES.flatMap((scope) => LIMIT_NAMES.map((name) => `${scope}-${name}`)),
  "address-failed-authentications",
  "address-sockets",
  "channel-ephemeral-events",
  "connection-messages",
]);

/** Returns the metrics of this isolate. Their table is in docs/deploy.md. */
export function metricsOf({ totals, gauges, members }: MetricSources): readonly Metric[] {
  return [
    ...clientMetrics(gauges, members),
    ...workMetrics(totals),
    ...readerMetrics(totals),
    ...refusalMetrics(totals),
    ...storeMetrics(totals),
    ...tenantMetrics(totals),
    ...processMetrics(),
  ];
}

function clientMetrics(
  { connections, subscriptions }: SampleGauges,
  members: number,
): readonly Metric[] {
  return [
    gauge(
      "weir_connections",
      "Open connections, and long polls that wait.",
      ...values("transport", {
        sse: connections.sse,
        websocket: connections.websocket,
        webtransport: connections.webtransport ?? 0,
        long_poll: connections.longPoll,
      }),
    ),
    gauge(
      "weir_subscriptions",
      "Subscriptions, each to one channel. One that catches up reads the log.",
      ...values("state", {
        live: subscriptions.live,
        catching_up: subscriptions.catchingUp,
      }),
    ),
    largest(gauge(
      "weir_lag_events",
      "Events that the subscription furthest behind has not received yet.",
      value(subscriptions.lag),
    )),
    gauge(
      "weir_presence_members",
      "Members that are present in a channel by sessions of this process.",
      value(members),
    ),
  ];
}

function workMetrics(totals: MeterTotals): readonly Metric[] {
  const { publishes, deliveries } = totals;
  return [
    counter(
      "weir_publishes_total",
      "Requests, messages and lines that publish, accepted or refused.",
      ...values("result", publishes),
    ),
    counter("weir_events_stored_total", "Events stored, without repeats.", value(totals.events)),
    counter(
      "weir_ephemeral_events_total",
      "Ephemeral events published.",
      value(totals.ephemeral),
    ),
    counter(
      "weir_deliveries_total",
      "Stored events delivered, once for each subscriber: live, or replayed from the log.",
      ...values("path", { live: deliveries.live, replay: deliveries.caughtUp }),
    ),
    counter(
      "weir_ephemeral_deliveries_total",
      "Ephemeral events delivered, or dropped for lack of room, once for each subscriber.",
      ...values("result", totals.ephemeralDeliveries),
    ),
    durations(
      "weir_publish_duration_seconds",
      "From a publish's arrival at the log to its answer.",
      totals.durations.publish,
    ),
    durations(
      "weir_delivery_duration_seconds",
      "From an event's arrival in the isolate to its delivery to all live subscriptions.",
      totals.durations.delivery,
    ),
    durations(
      "weir_event_loop_delay_seconds",
      "How late timers are, measured ten times a second in each isolate.",
      totals.durations.eventLoop,
    ),
  ];
}

function readerMetrics(totals: MeterTotals): readonly Metric[] {
  return [
    counter(
      "weir_resumes_total",
      "Subscriptions that continue after a cursor: nothing missed, events replayed, or a gap.",
      ...values("result", totals.resumes),
    ),
    counter(
      "weir_gaps_total",
      "Gaps, once for each reader.",
      ...values("reason", totals.gaps),
    ),
    counter(
      "weir_goodbyes_total",
      "Connections that Weir has ended.",
      ...values("reason", { ...NO_GOODBYES, ...totals.goodbyes }),
    ),
  ];
}

function refusalMetrics({ refusals, limited }: MeterTotals): readonly Metric[] {
  return [
    counter(
      "weir_refusals_total",
      "Refused requests, messages and lines.",
      ...values("code", refusals),
    ),
    counter(
      "weir_rate_limited_total",
      "Refusals of limits. The scope is whose limit it was.",
      ...Object.entries({ ...NOT_LIMITED, ...limited }).map(([policy, value]) => {
        const at = policy.indexOf("-");
        return { value, labels: { scope: policy.slice(0, at), limit: policy.slice(at + 1) } };
      }),
    ),
  ];
}

function storeMetrics(totals: MeterTotals): readonly Metric[] {
  return [
    counter(
      "weir_commits_total",
      "Commits of events that the store has answered. A conflict is repeated.",
      ...values("result", totals.commits),
    ),
    sizes("weir_commit_batch_events", "Events in each stored commit.", totals.commitEvents),
    durations(
      "weir_commit_duration_seconds",
      "Commits of events to the store.",
      totals.durations.commit,
    ),
    counter(
      "weir_store_errors_total",
      "Reads of the log, and commits, that have failed or took too long.",
      ...values("operation", totals.storeErrors),
    ),
  ];
}

/** Metrics of the tenants that `WEIR_METRICS_TENANTS` names; none without it. */
function tenantMetrics({ tenants }: MeterTotals): readonly Metric[] {
  const counts = Object.entries(tenants);
  if (counts.length === 0) return [];
  const byTenant = (name: keyof TenantCounts) =>
    counts.map(([tenant, { [name]: value }]) => ({ value, labels: { tenant } }));
  return [
    counter(
      "weir_tenant_publishes_total",
      "Accepted publishes.",
      ...byTenant("publishes"),
    ),
    counter(
      "weir_tenant_events_stored_total",
      "Events stored, without repeats.",
      ...byTenant("events"),
    ),
    counter(
      "weir_tenant_deliveries_total",
      "Stored events delivered, once for each subscriber.",
      ...byTenant("deliveries"),
    ),
  ];
}

function processMetrics(): readonly Metric[] {
  const { rss, heapUsed, external } = Deno.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    gauge("weir_isolates", "Isolates whose figures these are.", value(1)),
    gauge("weir_heap_bytes", "Memory that JavaScript objects use.", value(heapUsed)),
    gauge("weir_external_memory_bytes", "Memory of buffers outside of the heap.", value(external)),
    largest(gauge("process_resident_memory_bytes", "Resident memory of the process.", value(rss))),
    largest(counter(
      "process_cpu_seconds_total",
      "User and system CPU time of the process.",
      value((user + system) / 1e6),
    )),
    largest(gauge(
      "process_start_time_seconds",
      "When the process started, in seconds since 1970.",
      value(performance.timeOrigin / 1_000),
    )),
    largest(gauge("weir_build_info", "Versions of Weir and Deno. Its value is 1.", {
      value: 1,
      labels: { version: VERSION, deno: Deno.version.deno },
    })),
  ];
}
