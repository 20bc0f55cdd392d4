// Measures `GET /metrics` of a running server with 10,000 open streams, and what scrapes cost its
// publishers: rounds with 10 scrapes a second and without take turns.
//
//   WEIR_KV=:memory: deno task start
//   deno run --allow-net bench/metrics.ts [URL]
// deno-lint-ignore-file no-console

const CONNECTIONS = 10_000;
const CHANNELS = 100;
/** Streams that are being opened at the same time. */
const OPENING = 100;
const SCRAPES = 100;
const ROUNDS = 4;
const ROUND_MS = 3_000;
const SCRAPE_INTERVAL_MS = 100;

const url = new URL(Deno.args[0] ?? "http://127.0.0.1:8000/");

const connections = await openStreams();
console.log(`${connections.length} streams`);
print("GET /metrics, idle", await times(SCRAPES, () => get("/metrics")));
for (let round = 0; round < ROUNDS; round++) {
  for (const isScraped of [false, true]) {
    const { published, scrapes } = await publishFor(ROUND_MS, isScraped);
    print(isScraped ? "publish, scraped" : "publish", published);
    if (isScraped) print("GET /metrics, during publishes", scrapes);
  }
}
for (const connection of connections) connection.close();

async function openStreams(): Promise<readonly Deno.TcpConn[]> {
  const opened: Deno.TcpConn[] = [];
  await Promise.all(Array.from({ length: OPENING }, async () => {
    while (opened.length < CONNECTIONS) {
      const connection = await Deno.connect({ hostname: url.hostname, port: Number(url.port) });
      const channel = `c${opened.push(connection) % CHANNELS}`;
      const request = `GET /v1/channels/${channel}/events HTTP/1.1\r\nHost: ${url.host}\r\n` +
        "Accept: text/event-stream\r\n\r\n";
      await connection.write(new TextEncoder().encode(request));
      await connection.read(new Uint8Array(4_096));
    }
  }));
  return opened;
}

/** Publishes one event after the other to a channel that nobody reads. */
async function publishFor(
  durationMs: number,
  isScraped: boolean,
): Promise<{ readonly published: readonly number[]; readonly scrapes: readonly number[] }> {
  const end = performance.now() + durationMs;
  const published: number[] = [];
  const scrapes: number[] = [];
  const publishing = (async () => {
    while (performance.now() < end) {
      published.push(
        await timeOf(() => get("/v1/channels/bench/events", { method: "POST", body: "1" })),
      );
    }
  })();
  while (isScraped && performance.now() < end) {
    scrapes.push(await timeOf(() => get("/metrics")));
    await new Promise((resolve) => setTimeout(resolve, SCRAPE_INTERVAL_MS));
  }
  await publishing;
  return { published, scrapes };
}

async function get(path: string, init: RequestInit = {}): Promise<void> {
  const response = await fetch(new URL(path, url), init);
  await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function times(count: number, work: () => Promise<void>): Promise<readonly number[]> {
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push(await timeOf(work));
  return all;
}

function print(what: string, milliseconds: readonly number[]): void {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (quantile: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? NaN).toFixed(2);
  console.log(`${what}: ${sorted.length} times, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}
