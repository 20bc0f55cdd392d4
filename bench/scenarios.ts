/** The scenarios, one per line, and their targets. */
import type { LoadOptions, LoadResult } from "./options.ts";

/** The result of a scenario; `compared` is that of its comparison, if it has one. */
export interface Measured {
  readonly result: LoadResult;
  readonly compared: LoadResult | undefined;
}

/** A figure of a scenario and its target. */
export interface Target {
  readonly figure: string;
  readonly read: (measured: Measured) => number | null;
  readonly bound: "≥" | "≤";
  readonly value: number;
}

/** A load, and the settings of its server. */
export interface ScenarioLoad extends Partial<LoadOptions> {
  /**
   * Whether the server has keys and every request a token; `flood` adds another tenant that publishes
   * without pause, above its limits.
   */
  readonly access?: "open" | "token" | "flood";
  /** How many events a channel keeps, by which the store is watched too. @default the server's */
  readonly keeps?: number;
}

/** A measurement. */
export interface Scenario {
  readonly name: string;
  readonly what: string;
  /** One server on a SQLite file, or two on one `denokv`: publish to one, subscribe to the other. */
  readonly servers: "weir" | "denokv";
  readonly load: ScenarioLoad;
  /** Options that differ in a second run, on a new server, to compare with. */
  readonly compare?: ScenarioLoad;
  readonly targets: readonly Target[];
}

type Reading = [figure: string, read: Target["read"]];

const deliveries: Reading = ["deliveries/s", ({ result }) => result.deliveriesPerSecond];
const publishes: Reading = ["publishes/s", ({ result }) => result.publishesPerSecond];
const cpu: Reading = ["CPU s/million", ({ result }) => result.cpuPerMillion];
const p50: Reading = ["end-to-end p50 ms", ({ result }) => result.endToEndP50];
const p99: Reading = ["end-to-end p99 ms", ({ result }) => result.endToEndP99];
const memory: Reading = ["KB/subscriber", ({ result }) => result.kbPerSubscriber];
const timesBare: Reading = ["× bare deliveries/s", ratio((result) => result.deliveriesPerSecond)];
const publishP99: Reading = ["× publish p99 without", ratio((result) => result.publishP99)];
const endToEnd99: Reading = ["× end-to-end p99 without", ratio((result) => result.endToEndP99)];
const timesMemory: Reading = ["× bare KB/subscriber", ratio((result) => result.kbPerSubscriber)];
const memoryGrowth: Reading = [
  "× memory in the last third",
  ({ result }) => result.memoryGrowth,
];
const timesP50: Reading = ["× p50 of WebSocket", ratio((result) => result.endToEndP50)];
const connects: Reading = ["connects/min", ({ result }) => result.connectsPerMinute];
const joins: Reading = ["joins/s", ({ result }) => result.publishesPerSecond];
const allKnow: Reading = ["s until all know of all", ({ result }) => result.seconds];
const timesOpenPublishes: Reading = [
  "× open publishes/s",
  ratio((result) => result.publishesPerSecond),
];
const timesOpen: Reading = ["× open deliveries/s", ratio((result) => result.deliveriesPerSecond)];
const cost: Reading = ["× CPU at 1,000", ratio((result) => result.cpuPerMillion)];

const publish99: Reading = ["publish p99 ms", ({ result }) => result.publishP99];
const kept: Reading = ["most events kept", ({ result }) => result.keptEvents];
const growth: Reading = ["× store's size in the last third", ({ result }) => result.storeGrowth];

function ratio(read: (result: LoadResult) => number | null): Target["read"] {
  return ({ result, compared }) => {
    const [value, base] = [read(result), compared === undefined ? null : read(compared)];
    return value === null || base === null || base === 0 ? null : value / base;
  };
}

function atLeast([figure, read]: Reading, value: number): Target {
  return { figure, read, bound: "≥", value };
}

function atMost([figure, read]: Reading, value: number): Target {
  return { figure, read, bound: "≤", value };
}

const SSE = { transport: "sse" } as const;
const WS = { transport: "websocket" } as const;
const WT = { transport: "webtransport" } as const;
const THOUSAND = { subscribers: 1000, warmUp: 200 };
const TEN_THOUSAND = { subscribers: 10_000, warmUp: 64, phaseMs: 60_000, settleMs: 2000 };
const STEADY = { inFlight: 20, everyMs: 20, warmUp: 200, phaseMs: 120_000 };
const BARE = { wire: "bare" } as const;

/** All scenarios, in order. Each has a new server with an empty store. */
// deno-fmt-ignore
export const SCENARIOS: readonly Scenario[] = [
  { name: "sse-64", what: "SSE, 1,000 subscribers, 64 publishers in flight", servers: "weir",
    load: { ...SSE, ...THOUSAND, messages: 3000, inFlight: 64 }, compare: { ...BARE, messages: 1000 },
    targets: [atLeast(deliveries, 1.5e6), atMost(cpu, 0.6), atLeast(timesBare, 1.8)] },
  { name: "sse-4", what: "SSE, 1,000 subscribers, 4 publishers in flight", servers: "weir",
    load: { ...SSE, ...THOUSAND, messages: 800, inFlight: 4 }, targets: [atLeast(deliveries, 270e3)] },
  { name: "ws-64", what: "WebSocket, 1,000 subscribers, 64 publishers in flight", servers: "weir",
    load: { ...WS, ...THOUSAND, messages: 3000, inFlight: 64 }, compare: { ...BARE, messages: 400 },
    targets: [atLeast(deliveries, 2e6)] },
  { name: "ws-4", what: "WebSocket, 1,000 subscribers, 4 publishers in flight", servers: "weir",
    load: { ...WS, ...THOUSAND, messages: 800, inFlight: 4 }, targets: [atLeast(deliveries, 320e3)] },
  { name: "publish-1", what: "durable publish, one channel with one subscriber, 64 in flight", servers: "weir",
    load: { ...SSE, subscribers: 1, messages: 50_000, inFlight: 64, warmUp: 5000 }, targets: [atLeast(publishes, 20e3)] },
  { name: "publish-1000", what: "durable publish over 1,000 channels, 64 in flight", servers: "weir",
    load: { channels: 1000, messages: 20_000, inFlight: 64, warmUp: 2000 }, targets: [atLeast(publishes, 8e3)] },
  { name: "idle-sse", what: "SSE, one event about each 10 ms, end to end", servers: "weir",
    load: { ...SSE, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, targets: [atMost(p50, 1.5)] },
  { name: "idle-ws", what: "WebSocket, one event about each 10 ms, end to end", servers: "weir",
    load: { ...WS, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 100 }, targets: [atMost(p50, 1.5)] },
  { name: "one-by-one", what: "SSE, one publisher, the next when the last is acknowledged", servers: "weir",
    load: { ...SSE, subscribers: 1, messages: 2000, inFlight: 1, warmUp: 200 }, targets: [atMost(p50, 1.5)] },
  { name: "denokv-idle", what: "through denokv to another process, one event about each 10 ms", servers: "denokv",
    load: { ...SSE, subscribers: 1, messages: 300, inFlight: 1, everyMs: 10, warmUp: 20 }, targets: [atMost(p50, 10), atMost(p99, 60)] },
  { name: "denokv-publish", what: "through denokv to another process, 64 in flight", servers: "denokv",
    load: { ...SSE, subscribers: 1, messages: 15_000, inFlight: 64, warmUp: 1000 }, targets: [atLeast(publishes, 5e3)] },
  { name: "replay-1", what: "SSE, 90,000 held events to one client, from a restarted server", servers: "weir",
    load: { ...SSE, subscribers: 1, held: 90_000 }, targets: [atLeast(deliveries, 300e3)] },
  { name: "replay-1-ws", what: "WebSocket, 90,000 held events to one client, from a restarted server", servers: "weir",
    load: { ...WS, subscribers: 1, held: 90_000 }, targets: [atLeast(deliveries, 300e3)] },
  { name: "replay-1000", what: "SSE, 2,000 held events to 1,000 clients, from a restarted server", servers: "weir",
    load: { ...SSE, subscribers: 1000, held: 2000 }, targets: [atLeast(deliveries, 1e6)] },
  { name: "replay-1000-ws", what: "WebSocket, 2,000 held events to 1,000 clients, from a restarted server", servers: "weir",
    load: { ...WS, subscribers: 1000, held: 2000 }, targets: [atLeast(deliveries, 1e6)] },
  { name: "memory-ws", what: "WebSocket, 10,000 idle subscribers", servers: "weir",
    load: { ...WS, subscribers: 10_000, settleMs: 3000 }, compare: BARE, targets: [atMost(memory, 25)] },
  { name: "memory-sse", what: "SSE, 10,000 idle subscribers", servers: "weir",
    load: { ...SSE, subscribers: 10_000, settleMs: 3000 }, compare: BARE, targets: [atMost(memory, 65)] },
  { name: "sse-10k", what: "SSE, 10,000 subscribers, 64 in flight, against 1,000", servers: "weir",
    load: { ...SSE, ...TEN_THOUSAND, messages: 300, inFlight: 64 }, compare: { ...THOUSAND, messages: 3000 },
    targets: [atMost(cost, 1.3)] },
  { name: "ws-10k", what: "WebSocket, 10,000 subscribers, 64 in flight, against 1,000", servers: "weir",
    load: { ...WS, ...TEN_THOUSAND, messages: 300, inFlight: 64 }, compare: { ...THOUSAND, messages: 3000 },
    targets: [atMost(cost, 1.3)] },
  { name: "wt-idle", what: "WebTransport, one event about each 10 ms, against WebSocket", servers: "weir",
    load: { ...WT, subscribers: 1, messages: 1000, inFlight: 1, everyMs: 10, warmUp: 100 }, compare: WS,
    targets: [atMost(timesP50, 1.2)] },
  // The cost of QUIC grows with the bytes, so the bare server gets events as long as Weir's on the wire.
  { name: "wt-64", what: "WebTransport, 100 subscribers, 64 publishers in flight", servers: "weir",
    load: { ...WT, subscribers: 100, messages: 30_000, inFlight: 64, warmUp: 2000 }, compare: { ...BARE, size: 265 },
    targets: [atLeast(timesBare, 0.7)] },
  { name: "wt-batches", what: "WebTransport, 100 subscribers, 2 publishers of 64 events at once", servers: "weir",
    load: { ...WT, subscribers: 100, messages: 192_000, batch: 64, inFlight: 2, warmUp: 6400 }, compare: { ...BARE, size: 265 },
    targets: [atLeast(timesBare, 0.7)] },
  { name: "wt-steady", what: "WebTransport, 1,000 subscribers, 20 writes/s to each, for 60 s", servers: "weir",
    load: { ...WT, subscribers: 1000, messages: 1200, inFlight: 1, everyMs: 50, warmUp: 20, settleMs: 3000, phaseMs: 90_000 },
    compare: { ...BARE, messages: 100 }, targets: [atMost(memoryGrowth, 1.05), atMost(timesMemory, 1.2)] },
  { name: "access-publish", what: "durable publish with a token, one channel, 64 in flight, against open mode", servers: "weir",
    load: { ...SSE, subscribers: 1, messages: 50_000, inFlight: 64, warmUp: 5000, access: "token" }, compare: { access: "open" },
    targets: [atLeast(timesOpenPublishes, 0.9)] },
  { name: "access-sse-64", what: "SSE with tokens, 1,000 subscribers, 64 in flight, against open mode", servers: "weir",
    load: { ...SSE, ...THOUSAND, messages: 3000, inFlight: 64, access: "token" }, compare: { access: "open" },
    targets: [atLeast(timesOpen, 0.9)] },
  { name: "access-tickets", what: "WebSocket, 2,000 subscribers that each get a ticket and connect with it", servers: "weir",
    load: { ...WS, subscribers: 2000, access: "token", tickets: true }, targets: [atLeast(connects, 10_000)] },
  { name: "access-flood", what: "4 publishers of one tenant, one event about each 10 ms, while 64 of another flood", servers: "weir",
    load: { ...SSE, subscribers: 1, messages: 2000, inFlight: 4, everyMs: 10, warmUp: 100, access: "flood" }, compare: { access: "token" },
    targets: [atMost(publishP99, 2), atMost(endToEnd99, 2)] },
  // The store first grows up to the second pass of retention, within 60 s of the 63 s to which the
  // last third is compared. A shorter run would measure that growth.
  { name: "retention", what: "1,000 events/s to a channel that keeps 10,000, for 95 s, against one that keeps all", servers: "weir",
    load: { ...STEADY, messages: 95_000, keeps: 10_000 }, compare: { messages: 30_000, keeps: 1e9 },
    targets: [atMost(kept, 55_000), atMost(growth, 1.1), atMost(publish99, 250)] },
  { name: "denokv-retention", what: "the same at two processes on one denokv", servers: "denokv",
    load: { ...STEADY, messages: 95_000, keeps: 10_000 }, compare: { messages: 30_000, keeps: 1e9 },
    targets: [atMost(kept, 55_000), atMost(growth, 1.1), atMost(publish99, 250)] },
  { name: "presence-storm", what: "500 members enter one channel at once, and read who does", servers: "weir",
    load: { members: 500 }, targets: [atLeast(joins, 250), atMost(allKnow, 2)] },
  { name: "denokv-presence-storm", what: "500 members enter one channel at once at two processes, and read who does",
    servers: "denokv", load: { members: 500 }, targets: [atLeast(joins, 250), atMost(allKnow, 2)] },
];
