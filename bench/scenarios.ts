/** The scenarios, one per line, and their targets. */
import type { LoadOptions, LoadResult } from "./options.ts";

/** The results of one round of a scenario; `compared` has those of its comparisons, by name. */
export interface Measured {
  readonly result: LoadResult;
  readonly compared: Readonly<Record<string, LoadResult>>;
}

/** All rounds of a scenario. */
export interface ScenarioRun {
  readonly rounds: readonly Measured[];
  /** Comparisons that could not run on this machine, and what is missing. */
  readonly missing: Readonly<Record<string, string>>;
}

/** A figure of a scenario and its target. */
export interface Target {
  readonly figure: string;
  /** The comparison that the figure needs. @default none */
  readonly against?: string;
  readonly read: (measured: Measured) => number | null;
  readonly bound: "≥" | "≤";
  readonly value: number;
}

/** A load, and its server. */
export interface ScenarioLoad extends Partial<LoadOptions> {
  /**
   * `weir`: one server on a SQLite file; `parallel`: the same with two isolates; `denokv`: two
   * servers on one `denokv`, publish to one, subscribe to the other. @default "weir"
   */
  readonly servers?: "weir" | "parallel" | "denokv";
  /** How many of the two isolates or servers are published to. @default 1 */
  readonly writers?: 1 | 2;
  /**
   * Whether the server has keys and every request a token; `flood` adds another tenant that publishes
   * without pause, above its limits.
   */
  readonly access?: "open" | "token" | "flood";
  /** What differs in a load that the same server serves first, of which nothing is reported. */
  readonly before?: Partial<LoadOptions>;
  /** How many events a channel keeps, by which the store is watched too. @default the server's */
  readonly keeps?: number;
}

/** A measurement. */
export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly load: ScenarioLoad;
  /**
   * What it is compared with: the options that differ in a further run, on a new server. Their order
   * is that of the runs.
   */
  readonly compare?: Readonly<Record<string, ScenarioLoad>>;
  readonly targets: readonly Target[];
}

/** A figure of one load. */
type Figure = [name: string, read: (result: LoadResult) => number | null];

const deliveries: Figure = ["deliveries/s", (result) => result.deliveriesPerSecond];
const publishes: Figure = ["publishes/s", (result) => result.publishesPerSecond];
const cpu: Figure = ["CPU s/million", (result) => result.cpuPerMillion];
const p50: Figure = ["end-to-end p50 ms", (result) => result.endToEndP50];
const p99: Figure = ["end-to-end p99 ms", (result) => result.endToEndP99];
const publish50: Figure = ["publish p50 ms", (result) => result.publishP50];
const publish99: Figure = ["publish p99 ms", (result) => result.publishP99];
const memory: Figure = ["KB/subscriber", (result) => result.kbPerSubscriber];
const peak: Figure = ["MB at the peak", (result) => result.peakMb];
const memoryGrowth: Figure = ["× memory in the last third", (result) => result.memoryGrowth];
const connects: Figure = ["connects/min", (result) => result.connectsPerMinute];
const joins: Figure = ["joins/s", (result) => result.publishesPerSecond];
const allKnow: Figure = ["s until all know of all", (result) => result.seconds];
const refused: Figure = ["refused publishes", (result) => result.refusedPublishes];
const writersP99: Figure = ["× p99 of the faster writer", (result) => result.writersP99Ratio];
const kept: Figure = ["most events kept", (result) => result.keptEvents];
const growth: Figure = ["× store's size in the last third", (result) => result.storeGrowth];

/** The figures whose ratios to each comparison are reported. */
export const COMPARED_FIGURES: readonly Figure[] = [
  deliveries,
  publishes,
  cpu,
  publish50,
  publish99,
  p50,
  p99,
  memory,
  peak,
];

function atLeast([figure, read]: Figure, value: number): Target {
  return { figure, read: ({ result }) => read(result), bound: "≥", value };
}

function atMost([figure, read]: Figure, value: number): Target {
  return { figure, read: ({ result }) => read(result), bound: "≤", value };
}

/** At least `value` times what a comparison has. */
function atLeastTimes(against: string, [name, read]: Figure, value: number): Target {
  return timesOf(against, name, read, "≥", value);
}

/** At most `value` times what a comparison has. */
function atMostTimes(against: string, [name, read]: Figure, value: number): Target {
  return timesOf(against, name, read, "≤", value);
}

function timesOf(
  against: string,
  name: string,
  read: Figure[1],
  bound: Target["bound"],
  value: number,
): Target {
  const figure = `× ${against}: ${name}`;
  return { figure, against, read: (measured) => ratio(measured, against, read), bound, value };
}

/** Returns a figure as a multiple of that of a comparison; null if either was not measured. */
export function ratio(
  { result, compared }: Measured,
  against: string,
  read: Figure[1],
): number | null {
  const base = compared[against];
  const [value, unit] = [read(result), base === undefined ? null : read(base)];
  return value === null || unit === null || unit === 0 ? null : value / unit;
}

const SSE = { transport: "sse" } as const;
const WS = { transport: "websocket" } as const;
const WT = { transport: "webtransport" } as const;
const THOUSAND = { subscribers: 1000, warmUp: 200 };
const TEN_THOUSAND = { subscribers: 10_000, warmUp: 64, phaseMs: 60_000, settleMs: 2000 };
const STEADY = { inFlight: 20, everyMs: 20, warmUp: 200, phaseMs: 120_000 };
// deno-fmt-ignore
const OWN = { subscribers: 2000, ownChannels: true, messages: 20_000, inFlight: 64, warmUp: 4000, phaseMs: 60_000 };
// 20 MB in 10 s: more than the buffers of a connection hold that nobody reads.
// deno-fmt-ignore
const STALLED = { subscribers: 50, stalled: 25, size: 4000, messages: 5000, inFlight: 4, everyMs: 8, warmUp: 100 };
const NONE_STALLED = { "none stalled": { subscribers: 25, stalled: 0 } };
/** A server that has grown before has room for some of the subscribers. */
const LATER = {
  subscribers: 8000,
  settleMs: 3000,
  before: { subscribers: 1000, messages: 1000, inFlight: 64, settleMs: 500 },
};
const BARE = { wire: "bare" } as const;
const DURABLE = { wire: "durable-streams" } as const;
const CENTRIFUGO = { wire: "centrifugo" } as const;
const BARE_KV = { wire: "bare-kv" } as const;
const ALL_RIVALS = {
  bare: BARE,
  "bare-kv": BARE_KV,
  "durable-streams": DURABLE,
  centrifugo: CENTRIFUGO,
};
const OPEN = { "open mode": { access: "open" } } as const;
const AT_1000 = { "1,000": { ...THOUSAND, messages: 3000 } };
const KEEPING_ALL = { "keeping all": { messages: 30_000, keeps: 1e9 } };
/** The cost of QUIC grows with the bytes, so the bare server gets events as long as Weir's on the wire. */
const BARE_WT = { bare: { ...BARE, size: 265 } };

/** All scenarios, in order. Each has a new server with an empty store. */
// deno-fmt-ignore
export const SCENARIOS: readonly Scenario[] = [
  { name: "sse-64", what: "SSE, 1,000 subscribers, 64 publishers in flight",
    load: { ...SSE, ...THOUSAND, messages: 3000, inFlight: 64 },
    compare: { bare: { ...BARE, messages: 1000 }, "durable-streams": DURABLE, centrifugo: { ...CENTRIFUGO, messages: 1000 } },
    targets: [atLeast(deliveries, 1.5e6), atMost(cpu, 0.6), atLeastTimes("bare", deliveries, 3.8), atMost(p50, 60), atMost(peak, 250)] },
  { name: "sse-4", what: "SSE, 1,000 subscribers, 4 publishers in flight",
    load: { ...SSE, ...THOUSAND, messages: 800, inFlight: 4 }, compare: ALL_RIVALS,
    targets: [atLeast(deliveries, 270e3), atLeastTimes("bare", deliveries, 3), atMost(publish50, 2), atMost(p50, 20)] },
  { name: "ws-64", what: "WebSocket, 1,000 subscribers, 64 publishers in flight",
    load: { ...WS, ...THOUSAND, messages: 3000, inFlight: 64 },
    compare: { bare: { ...BARE, messages: 400 }, centrifugo: { ...CENTRIFUGO, messages: 1000 } },
    targets: [atLeast(deliveries, 2e6), atLeastTimes("bare", deliveries, 25), atMost(p50, 60), atMost(peak, 250)] },
  { name: "ws-4", what: "WebSocket, 1,000 subscribers, 4 publishers in flight",
    load: { ...WS, ...THOUSAND, messages: 800, inFlight: 4 }, compare: { bare: { ...BARE, messages: 400 }, centrifugo: CENTRIFUGO },
    targets: [atLeast(deliveries, 320e3), atLeastTimes("bare", deliveries, 6), atMost(publish50, 2), atMost(p50, 22)] },
  { name: "own-sse", what: "SSE, 2,000 subscribers on channels of their own, 64 publishers in flight",
    load: { ...SSE, ...OWN }, compare: ALL_RIVALS,
    targets: [atMostTimes("durable-streams", cpu, 1.8), atLeastTimes("durable-streams", publishes, 0.7)] },
  // Without a target: the only durable rival has no WebSocket.
  { name: "own-ws", what: "WebSocket, 2,000 subscribers on channels of their own, 64 publishers in flight",
    load: { ...WS, ...OWN }, compare: { bare: BARE, centrifugo: CENTRIFUGO }, targets: [] },
  { name: "publish-1", what: "durable publish, one channel with one subscriber, 64 in flight",
    load: { ...SSE, subscribers: 1, messages: 50_000, inFlight: 64, warmUp: 5000 }, targets: [atLeast(publishes, 20e3)] },
  { name: "publish-64", what: "durable publish, one channel without subscribers, 64 in flight",
    load: { messages: 30_000, inFlight: 64, warmUp: 5000 }, compare: ALL_RIVALS, targets: [atLeastTimes("bare", publishes, 0.6)] },
  { name: "publish-1000", what: "durable publish over 1,000 channels, 64 in flight",
    load: { channels: 1000, messages: 20_000, inFlight: 64, warmUp: 2000 }, compare: ALL_RIVALS,
    targets: [atLeast(publishes, 8e3), atLeastTimes("durable-streams", publishes, 0.8)] },
  { name: "publish-one", what: "durable publish, one in flight",
    load: { messages: 3000, inFlight: 1, warmUp: 500 }, compare: ALL_RIVALS, targets: [atMostTimes("durable-streams", publish50, 1.7)] },
  { name: "ndjson", what: "durable publish, one stream of publishes over one connection",
    load: { ndjson: true, messages: 300_000, inFlight: 1, warmUp: 50_000 }, targets: [atLeast(publishes, 100e3)] },
  { name: "contention-parallel", what: "two isolates of one process publish to one channel, 32 in flight each",
    load: { servers: "parallel", writers: 2, access: "token", messages: 30_000, inFlight: 64, warmUp: 2000 },
    compare: { "one writer": { servers: "weir", writers: 1 } },
    targets: [atMost(refused, 0), atMost(writersP99, 2), atLeastTimes("one writer", publishes, 0.9)] },
  { name: "contention-denokv", what: "two processes on one denokv publish to one channel, 32 in flight each",
    load: { servers: "denokv", writers: 2, messages: 15_000, inFlight: 64, warmUp: 1000 },
    compare: { "one writer": { writers: 1 } },
    targets: [atMost(refused, 0), atMost(writersP99, 2), atLeastTimes("one writer", publishes, 0.9)] },
  { name: "stalled-sse", what: "SSE, 25 subscribers that read 2 MB/s and 25 that read nothing",
    load: { ...SSE, ...STALLED }, compare: NONE_STALLED, targets: [atMostTimes("none stalled", p99, 2), atMost(peak, 250)] },
  { name: "stalled-ws", what: "WebSocket, 25 subscribers that read 2 MB/s and 25 that read nothing",
    load: { ...WS, ...STALLED }, compare: NONE_STALLED, targets: [atMostTimes("none stalled", p99, 2), atMost(peak, 250)] },
  { name: "idle-sse", what: "SSE, one event about each 10 ms, end to end",
    load: { ...SSE, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, targets: [atMost(p50, 1.5)] },
  { name: "idle-ws", what: "WebSocket, one event about each 10 ms, end to end",
    load: { ...WS, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, targets: [atMost(p50, 1.5)] },
  // Without targets: what counts is that they do not get slower from version to version.
  { name: "idle-10", what: "SSE, 10 subscribers, one event about each 10 ms, end to end",
    load: { ...SSE, subscribers: 10, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, compare: { bare: BARE }, targets: [] },
  { name: "idle-100", what: "SSE, 100 subscribers, one event about each 10 ms, end to end",
    load: { ...SSE, subscribers: 100, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, compare: { bare: BARE }, targets: [] },
  { name: "one-by-one", what: "SSE, one publisher, the next when the last is acknowledged",
    load: { ...SSE, subscribers: 1, messages: 2000, inFlight: 1, warmUp: 200 }, targets: [atMost(p50, 1.5)] },
  { name: "denokv-idle", what: "through denokv to another process, one event about each 10 ms",
    load: { servers: "denokv", ...SSE, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 20 },
    targets: [atMost(p50, 4), atMost(p99, 12)] },
  { name: "denokv-publish", what: "through denokv to another process, 64 in flight",
    load: { servers: "denokv", ...SSE, subscribers: 1, messages: 15_000, inFlight: 64, warmUp: 1000 }, targets: [atLeast(publishes, 10e3)] },
  { name: "replay-1", what: "SSE, 50,000 held events to one client, from a restarted server",
    load: { ...SSE, subscribers: 1, held: 50_000 }, targets: [atLeast(deliveries, 500e3)] },
  { name: "replay-1-ws", what: "WebSocket, 90,000 held events to one client, from a restarted server",
    load: { ...WS, subscribers: 1, held: 90_000 }, targets: [atLeast(deliveries, 300e3)] },
  { name: "replay-1000", what: "SSE, 2,000 held events to 1,000 clients, from a restarted server",
    load: { ...SSE, subscribers: 1000, held: 2000 }, targets: [atLeast(deliveries, 1e6)] },
  { name: "replay-1000-ws", what: "WebSocket, 2,000 held events to 1,000 clients, from a restarted server",
    load: { ...WS, subscribers: 1000, held: 2000 }, targets: [atLeast(deliveries, 1e6)] },
  { name: "memory-ws", what: "WebSocket, 10,000 idle subscribers",
    load: { ...WS, subscribers: 10_000, settleMs: 3000 }, compare: { bare: BARE }, targets: [atMost(memory, 25)] },
  { name: "memory-sse", what: "SSE, 10,000 idle subscribers",
    load: { ...SSE, subscribers: 10_000, settleMs: 3000 }, compare: { bare: BARE }, targets: [atMost(memory, 65)] },
  { name: "memory-ws-later", what: "WebSocket, 8,000 idle subscribers of a server that has served a load before",
    load: { ...WS, ...LATER }, compare: { bare: BARE, centrifugo: CENTRIFUGO }, targets: [atMostTimes("bare", memory, 1)] },
  { name: "memory-sse-later", what: "SSE, 8,000 idle subscribers of a server that has served a load before",
    load: { ...SSE, ...LATER }, compare: ALL_RIVALS, targets: [atMostTimes("bare", memory, 1)] },
  { name: "sse-10k", what: "SSE, 10,000 subscribers, 64 in flight, against 1,000",
    load: { ...SSE, ...TEN_THOUSAND, messages: 300, inFlight: 64 }, compare: AT_1000, targets: [atMostTimes("1,000", cpu, 1.3)] },
  { name: "ws-10k", what: "WebSocket, 10,000 subscribers, 64 in flight, against 1,000",
    load: { ...WS, ...TEN_THOUSAND, messages: 300, inFlight: 64 }, compare: AT_1000, targets: [atMostTimes("1,000", cpu, 1.3)] },
  { name: "wt-idle", what: "WebTransport, one event about each 10 ms, against WebSocket",
    load: { ...WT, subscribers: 1, messages: 1000, inFlight: 1, everyMs: 10, warmUp: 100 }, compare: { websocket: WS },
    targets: [atMostTimes("websocket", p50, 1.2)] },
  { name: "wt-64", what: "WebTransport, 100 subscribers, 64 publishers in flight",
    load: { ...WT, subscribers: 100, messages: 30_000, inFlight: 64, warmUp: 2000 }, compare: BARE_WT,
    targets: [atLeastTimes("bare", deliveries, 0.7)] },
  { name: "wt-batches", what: "WebTransport, 100 subscribers, 2 publishers of 64 events at once",
    load: { ...WT, subscribers: 100, messages: 192_000, batch: 64, inFlight: 2, warmUp: 6400 }, compare: BARE_WT,
    targets: [atLeastTimes("bare", deliveries, 0.7)] },
  { name: "wt-steady", what: "WebTransport, 1,000 subscribers, 20 writes/s to each, for 60 s",
    load: { ...WT, subscribers: 1000, messages: 1200, inFlight: 1, everyMs: 50, warmUp: 20, settleMs: 3000, phaseMs: 90_000 },
    compare: { bare: { ...BARE, messages: 100 } }, targets: [atMost(memoryGrowth, 1.05), atMostTimes("bare", memory, 1.2)] },
  { name: "access-publish", what: "durable publish with a token, one channel, 64 in flight, against open mode",
    load: { ...SSE, subscribers: 1, messages: 50_000, inFlight: 64, warmUp: 5000, access: "token" }, compare: OPEN,
    targets: [atLeastTimes("open mode", publishes, 0.9)] },
  { name: "access-sse-64", what: "SSE with tokens, 1,000 subscribers, 64 in flight, against open mode",
    load: { ...SSE, ...THOUSAND, messages: 3000, inFlight: 64, access: "token" }, compare: OPEN,
    targets: [atLeastTimes("open mode", deliveries, 0.9)] },
  { name: "access-tickets", what: "WebSocket, 2,000 subscribers that each get a ticket and connect with it",
    load: { ...WS, subscribers: 2000, access: "token", tickets: true }, targets: [atLeast(connects, 10_000)] },
  { name: "access-flood", what: "4 publishers of one tenant, one event about each 10 ms, while 64 of another flood",
    load: { ...SSE, subscribers: 1, messages: 2000, inFlight: 4, everyMs: 10, warmUp: 100, access: "flood" },
    compare: { "no flood": { access: "token" } },
    targets: [atMostTimes("no flood", publish99, 2), atMostTimes("no flood", p99, 2)] },
  // The store first grows up to the second pass of retention, within 60 s of the 63 s to which the
  // last third is compared. A shorter run would measure that growth.
  { name: "retention", what: "1,000 events/s to a channel that keeps 10,000, for 95 s, against one that keeps all",
    load: { ...STEADY, messages: 95_000, keeps: 10_000 }, compare: KEEPING_ALL,
    targets: [atMost(kept, 55_000), atMost(growth, 1.1), atMost(publish99, 250)] },
  { name: "denokv-retention", what: "the same at two processes on one denokv",
    load: { servers: "denokv", ...STEADY, messages: 95_000, keeps: 10_000 }, compare: KEEPING_ALL,
    targets: [atMost(kept, 55_000), atMost(growth, 1.1), atMost(publish99, 250)] },
  { name: "presence-storm", what: "500 members enter one channel at once, and read who does",
    load: { members: 500 }, targets: [atLeast(joins, 250), atMost(allKnow, 2)] },
  { name: "denokv-presence-storm", what: "500 members enter one channel at once at two processes, and read who does",
    load: { servers: "denokv", members: 500 }, targets: [atLeast(joins, 250), atMost(allKnow, 2)] },
];
