// deno-lint-ignore-file no-console
/**
 * The load generator: `deno run -A bench/load.ts '{"publishAt":"127.0.0.1:8000",…}'` runs the load
 * that its options describe and prints one line of JSON, a `LoadResult`. It runs in its own process,
 * so that the server has the other core.
 */
import { Tally } from "./counter.ts";
import { LOAD_DEFAULTS, type LoadOptions, type LoadResult } from "./options.ts";
import { MemoryWatch } from "./memory_watch.ts";
import { NdjsonPublisher } from "./ndjson_publisher.ts";
import { PeakMemory } from "./peak_memory.ts";
import { PROTOCOLS } from "./rivals.ts";
import { type Publisher, Publishers, type PublishReport } from "./publisher.ts";
import { StoreWatch } from "./store_watch.ts";
import { Subscriber } from "./subscriber.ts";
import { cpuSeconds, machineSeconds, quantile, residentKb } from "./usage.ts";
import { WebTransportSubscriber } from "./webtransport_subscriber.ts";
import { channelCount, channelName } from "./wire.ts";

/** How many connections are opened at the same time. */
const CONNECTING = 64;
/** How often WebSockets send a pong, which is before any server's idle timeout. */
const PONG_MS = 10_000;

const NOTHING: PublishReport = {
  published: 0,
  failed: 0,
  refused: 0,
  failure: "",
  seconds: 0,
  latencies: [],
};

/** A live subscription, over whichever transport. */
type AnySubscriber = Pick<Subscriber, "close" | "ended" | "pong">;

interface Crowd {
  readonly subscribers: readonly AnySubscriber[];
  readonly failed: number;
  readonly failure: string;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function openSubscriber(
  options: LoadOptions,
  tally: Tally,
  index: number,
): Promise<AnySubscriber> {
  const { transport } = options;
  return transport === "webtransport"
    ? WebTransportSubscriber.open(options, tally, index)
    : Subscriber.open({ ...options, transport }, tally, index);
}

/** Creates all channels, where publishing does not. */
async function createChannels(options: LoadOptions): Promise<void> {
  const { create } = PROTOCOLS[options.wire];
  if (create === undefined) return;
  const count = channelCount(options);
  let next = 0;
  await Promise.all(Array.from({ length: CONNECTING }, async () => {
    while (next < count) {
      const { path, init } = create(channelName(next++));
      const response = await fetch(`http://${options.publishAt}${path}`, init);
      await response.body?.cancel();
      if (!response.ok) throw new Error(`Creating a channel answered ${response.status}`);
    }
  }));
}

/** Returns how many deliveries follow from so many published events. */
function deliveriesOf(published: number, options: LoadOptions): number {
  const { subscribers, stalled, ownChannels, channels } = options;
  if (ownChannels) return published;
  return channels > 1 ? 0 : (subscribers - stalled) * published;
}

/** Opens all subscribers. */
async function gather(options: LoadOptions, tally: Tally): Promise<Crowd> {
  const subscribers: AnySubscriber[] = [];
  let next = 0;
  let failed = 0;
  let failure = "";
  const giveUpAt = performance.now() + options.phaseMs;
  const work = async () => {
    while (next < options.subscribers && performance.now() < giveUpAt) {
      try {
        subscribers.push(await openSubscriber(options, tally, next++));
      } catch (error) {
        failed++;
        failure ||= String(error);
      }
    }
  };
  // A connect that never ends is abandoned; the process exits at the end anyway.
  await Promise.race([
    Promise.all(Array.from({ length: CONNECTING }, work)),
    pause(options.phaseMs),
  ]);
  failed = options.subscribers - subscribers.length;
  if (failed > 0) failure ||= `connecting took longer than ${options.phaseMs} ms`;
  return { subscribers, failed, failure };
}

/** Publishes the warm-up and waits until every subscriber has it. */
async function warmUp(publishers: Publisher, options: LoadOptions, tally: Tally): Promise<void> {
  if (options.warmUp === 0) return;
  await publishers.publish(options.warmUp);
  await tally.reach(deliveriesOf(options.warmUp, options), options.phaseMs);
  await pause(200);
  tally.reset();
}

/** Starts the publishers of another tenant, which continue until closed. Their answers are ignored. */
async function startFlood(options: LoadOptions): Promise<Publishers | undefined> {
  const { floodToken, floodInFlight } = options;
  if (floodToken === "") return undefined;
  const flood = await Publishers.open({
    ...options,
    token: floodToken,
    inFlight: floodInFlight,
    everyMs: 0,
  });
  void flood.publish(Number.MAX_SAFE_INTEGER);
  await pause(1_000); // reaches the limits of the tenant
  return flood;
}

/** Returns the p99 of the slower of two writers as a multiple of the other's. */
function writersP99Ratio(latencies: PublishReport["latencies"]): number | null {
  if (latencies.length !== 2) return null;
  const p99s = latencies.map((each) => quantile(each, 0.99) ?? Infinity);
  return Math.max(...p99s) / Math.min(...p99s);
}

/** Runs the load and measures it. */
async function run(options: LoadOptions): Promise<LoadResult> {
  const tally = new Tally();
  const replay = options.held > 0;
  const restingKb = residentKb(options.pids);
  await createChannels(options);
  const publishers = options.messages === 0
    ? undefined
    : options.ndjson
    ? new NdjsonPublisher(options)
    : await Publishers.open(options);
  using peak = new PeakMemory(options.pids);
  peak.start();

  let cpu = cpuSeconds(options.pids);
  let ownCpu = cpuSeconds([Deno.pid]);
  let machine = machineSeconds();
  let begin = performance.now();
  const crowd = await gather(options, tally);
  const connectMinutes = (performance.now() - begin) / 60_000;
  const pongs = setInterval(() => {
    if (options.transport === "websocket") crowd.subscribers.forEach((each) => each.pong());
  }, PONG_MS);

  let kbPerSubscriber: number | null = null;
  let report = NOTHING;
  let memoryGrowth: number | null = null;
  const watch = new StoreWatch(options);
  const memory = new MemoryWatch(options.pids);
  if (!replay) {
    if (options.subscribers > 0) {
      await pause(options.settleMs);
      const held = Math.max(1, crowd.subscribers.length);
      kbPerSubscriber = (residentKb(options.pids) - restingKb) / held;
    }
    if (publishers !== undefined) {
      await warmUp(publishers, options, tally);
      peak.start();
      cpu = cpuSeconds(options.pids);
      ownCpu = cpuSeconds([Deno.pid]);
      machine = machineSeconds();
      const flood = await startFlood(options);
      watch.start();
      memory.start();
      begin = performance.now();
      report = await publishers.publish(options.messages);
      memoryGrowth = memory.stop();
      flood?.close();
    }
  }
  const expected = deliveriesOf(replay ? options.held : report.published, options);
  const complete = await tally.reach(expected, options.phaseMs);
  const seconds = expected > 0 ? (tally.lastAt - begin) / 1000 : report.seconds;
  const work = expected > 0 ? tally.delivered : report.published;
  const cpuUsed = cpuSeconds(options.pids) - cpu;
  const ownUsed = cpuSeconds([Deno.pid]) - ownCpu;
  const others = machineSeconds() - machine - cpuUsed - ownUsed;
  const othersUsed = Math.max(0, Math.round(others * 100) / 100);
  if (expected > 0) await pause(100); // a surplus event would arrive now
  clearInterval(pongs);

  const store = await watch.stop();
  const latencies = report.latencies.flat();
  const hasTimes = !replay && !options.ndjson;
  const ended = crowd.subscribers.find((subscriber) => subscriber.ended !== "")?.ended ?? "";
  const result: LoadResult = {
    problem: [
      crowd.failure,
      report.failure,
      complete ? "" : `incomplete after ${options.phaseMs} ms`,
      report.failed === 0 && tally.delivered > expected && expected > 0
        ? "more delivered than published"
        : "",
      ended,
    ].filter((problem) => problem !== "").join("; "),
    delivered: tally.delivered,
    expected,
    seconds,
    deliveriesPerSecond: seconds > 0 ? tally.delivered / seconds : 0,
    publishesPerSecond: report.seconds > 0 ? report.published / report.seconds : 0,
    failedPublishes: report.failed,
    refusedPublishes: report.refused,
    writersP99Ratio: writersP99Ratio(report.latencies),
    failedConnects: crowd.failed,
    connectsPerMinute: crowd.subscribers.length / connectMinutes,
    publishP50: quantile(latencies, 0.5),
    publishP99: quantile(latencies, 0.99),
    endToEndP50: hasTimes ? quantile(tally.latencies, 0.5) : null,
    endToEndP99: hasTimes ? quantile(tally.latencies, 0.99) : null,
    cpuPerMillion: work > 0 ? cpuUsed / (work / 1e6) : null,
    kbPerSubscriber,
    memoryGrowth,
    ...store,
    serverMb: residentKb(options.pids) / 1024,
    peakMb: peak.read() / 1024,
    generatorCore: seconds > 0 ? ownUsed / seconds : 0,
    othersCore: seconds > 0 ? othersUsed / seconds : 0,
  };
  publishers?.close();
  crowd.subscribers.forEach((subscriber) => subscriber.close());
  return result;
}

if (import.meta.main) {
  const given: Partial<LoadOptions> = JSON.parse(Deno.args[0] ?? "{}");
  const { publishAt, subscribeAt = publishAt } = given;
  if (publishAt === undefined || subscribeAt === undefined) {
    console.error(`Usage: deno run -A bench/load.ts '{"publishAt":"127.0.0.1:PORT", …}'`);
    Deno.exit(2);
  }
  console.log(JSON.stringify(await run({ ...LOAD_DEFAULTS, ...given, publishAt, subscribeAt })));
  Deno.exit(0);
}
