// deno-lint-ignore-file no-console
/**
 * A burst of joins: `deno run -A bench/storm.ts '{"publishAt":"127.0.0.1:8000","members":500,…}'`
 * lets members join one channel at the same time. Each has its own WebSocket, which also reads the
 * changes; each server gets half of them. Prints one line of JSON, a `LoadResult`, in which joins
 * count as publishes and changes as deliveries.
 */
import { LOAD_DEFAULTS, type LoadOptions, type LoadResult } from "./options.ts";
import { PeakMemory } from "./peak_memory.ts";
import { cpuSeconds, machineSeconds, quantile, residentKb } from "./usage.ts";
import { channelName } from "./wire.ts";

const CONNECTING = 64;

/** Counts what all members have seen. */
class Storm {
  readonly #members: number;
  readonly #begins: number[] = [];
  readonly #done = Promise.withResolvers<void>();
  readonly latencies: number[] = [];
  changes = 0;
  lastAnswer = 0;
  lastChange = 0;
  problem = "";

  constructor(members: number) {
    this.#members = members;
  }

  begin(index: number): void {
    this.#begins[index] = performance.now();
  }

  take(index: number, op: unknown, line: string): void {
    const now = performance.now();
    if (op === "event") {
      this.changes++;
      this.lastChange = now;
    } else if (op === "entered") {
      this.latencies.push(now - (this.#begins[index] ?? now));
      this.lastAnswer = now;
    } else {
      this.problem ||= line;
    }
    const isDone = this.latencies.length === this.#members &&
      this.changes === this.#members * this.#members;
    if (isDone || this.problem !== "") this.#done.resolve();
  }

  /** Resolves once all members have joined and know each other. */
  async end(ms: number): Promise<void> {
    const timer = setTimeout(() => {
      this.problem ||= `incomplete after ${ms} ms`;
      this.#done.resolve();
    }, ms);
    await this.#done.promise;
    clearTimeout(timer);
  }
}

/** Opens a member's socket, which is subscribed to the changes. */
async function connect(options: LoadOptions, index: number, storm: Storm): Promise<WebSocket> {
  const at = index % 2 === 0 ? options.publishAt : options.subscribeAt;
  const socket = new WebSocket(`ws://${at}/v1/socket`, "weir.v1");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => {
    const channel = `$presence:${channelName(0)}`;
    socket.send(JSON.stringify({ op: "subscribe", ref: 0, channel }));
  };
  socket.onclose = () => reject(new Error("the server closed a WebSocket"));
  socket.onmessage = ({ data }) => {
    for (const line of String(data).split("\n")) {
      const { op } = JSON.parse(line);
      if (op === "subscribed") resolve();
      else if (op !== "welcome") storm.take(index, op, line);
    }
  };
  await promise;
  socket.onclose = () => storm.take(index, "close", "the server closed a WebSocket");
  return socket;
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const { members, pids, phaseMs } = options;
  const storm = new Storm(members);
  const sockets: WebSocket[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: CONNECTING }, async () => {
    while (next < members) {
      const index = next++;
      sockets[index] = await connect(options, index, storm);
    }
  }));
  await new Promise((resolve) => setTimeout(resolve, options.settleMs));
  const [cpu, own, machine] = [cpuSeconds(pids), cpuSeconds([Deno.pid]), machineSeconds()];
  using peak = new PeakMemory(pids);
  peak.start();
  const begin = performance.now();
  for (const [index, socket] of sockets.entries()) {
    storm.begin(index);
    const [channel, member] = [channelName(0), `member ${index}`];
    socket.send(JSON.stringify({ op: "enter", ref: 1, channel, member, data: { index } }));
  }
  await storm.end(phaseMs);
  const seconds = (Math.max(storm.lastAnswer, storm.lastChange) - begin) / 1_000;
  const [cpuUsed, ownUsed] = [cpuSeconds(pids) - cpu, cpuSeconds([Deno.pid]) - own];
  const others = Math.max(0, machineSeconds() - machine - cpuUsed - ownUsed);
  return {
    problem: storm.problem,
    delivered: storm.changes,
    expected: members * members,
    seconds,
    deliveriesPerSecond: storm.changes / seconds,
    publishesPerSecond: storm.latencies.length / ((storm.lastAnswer - begin) / 1_000),
    failedPublishes: members - storm.latencies.length,
    refusedPublishes: 0,
    writersP99Ratio: null,
    failedConnects: 0,
    connectsPerMinute: 0,
    publishP50: quantile(storm.latencies, 0.5),
    publishP99: quantile(storm.latencies, 0.99),
    endToEndP50: null,
    endToEndP99: null,
    cpuPerMillion: cpuUsed / (storm.changes / 1e6),
    kbPerSubscriber: null,
    memoryGrowth: null,
    keptEvents: null,
    storeGrowth: null,
    serverMb: residentKb(pids) / 1_024,
    peakMb: peak.read() / 1_024,
    generatorCore: ownUsed / seconds,
    othersCore: others / seconds,
  };
}

if (import.meta.main) {
  const given: Partial<LoadOptions> = JSON.parse(Deno.args[0] ?? "{}");
  const { publishAt, subscribeAt = publishAt } = given;
  if (publishAt === undefined || subscribeAt === undefined) {
    console.error(`Usage: deno run -A bench/storm.ts '{"publishAt":"127.0.0.1:PORT", …}'`);
    Deno.exit(2);
  }
  console.log(JSON.stringify(await run({ ...LOAD_DEFAULTS, ...given, publishAt, subscribeAt })));
  Deno.exit(0);
}
