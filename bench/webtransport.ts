// deno-lint-ignore-file no-console
/**
 * `deno run -A bench/webtransport.ts`: what lib/quic costs. Compares its sessions with bare QUIC
 * connections, by turns: idle memory, then deliveries of 100-byte events, 64 in each write.
 */
import { Http3Client } from "../tests/support/http3_client.ts";
import { cpuSeconds, quantile, residentKb } from "./usage.ts";

const SESSIONS = 100;
const EVENT_BYTES = 100;
const EVENTS_PER_WRITE = 64;
const RUNS = 5;
const WARM_UP_MS = 1_000;
const MEASURED_MS = 4_000;

type Kind = "bare" | "layer";

interface Figures {
  readonly deliveriesPerSecond: number;
  readonly cpuPerMillion: number;
  readonly kbPerSession: number;
}

const found: Record<Kind, Figures[]> = { bare: [], layer: [] };
for (let run = 0; run < RUNS; run++) {
  for (const kind of run % 2 === 0 ? ["bare", "layer"] as const : ["layer", "bare"] as const) {
    const figures = await measure(kind);
    found[kind].push(figures);
    console.log(kind.padEnd(5), describe(figures));
  }
}
const middle = (kind: Kind, read: (figures: Figures) => number) =>
  quantile(found[kind].map(read), 0.5) ?? NaN;
for (const kind of ["bare", "layer"] as const) {
  console.log(
    `${kind}, median:`,
    describe({
      deliveriesPerSecond: middle(kind, (figures) => figures.deliveriesPerSecond),
      cpuPerMillion: middle(kind, (figures) => figures.cpuPerMillion),
      kbPerSession: middle(kind, (figures) => figures.kbPerSession),
    }),
  );
}
const speed = (kind: Kind) => middle(kind, (figures) => figures.deliveriesPerSecond);
console.log(`× bare deliveries/s: ${(speed("layer") / speed("bare")).toFixed(2)} (target ≥ 0.9)`);

async function measure(kind: Kind): Promise<Figures> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "bench/webtransport_server.ts", kind, String(EVENTS_PER_WRITE)],
    stdout: "piped",
  }).spawn();
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await lines.read()).value);
  const clients: Http3Client[] = [];
  let bytes = 0;
  try {
    const addr: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
    const idleKb = residentKb([server.pid]);
    for (let i = 0; i < SESSIONS; i++) {
      const client = await Http3Client.connect({ addr }, (count) => bytes += count);
      clients.push(client);
      if (kind === "layer") await client.open();
    }
    await pause(500);
    const kbPerSession = (residentKb([server.pid]) - idleKb) / SESSIONS;
    for (const { conn } of clients) await conn.sendDatagram(Uint8Array.of(0));
    await pause(WARM_UP_MS);
    const before = { bytes, cpu: cpuSeconds([server.pid]), at: performance.now() };
    await pause(MEASURED_MS);
    const seconds = (performance.now() - before.at) / 1_000;
    const events = (bytes - before.bytes) / EVENT_BYTES;
    return {
      deliveriesPerSecond: events / seconds,
      cpuPerMillion: (cpuSeconds([server.pid]) - before.cpu) / (events / 1e6),
      kbPerSession,
    };
  } finally {
    server.kill("SIGKILL");
    await server.status;
    await lines.cancel();
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
}

function describe({ deliveriesPerSecond, cpuPerMillion, kbPerSession }: Figures): string {
  const rate = Math.round(deliveriesPerSecond / 1_000).toLocaleString("en");
  return `${rate} k deliveries/s, CPU ${cpuPerMillion.toFixed(2)} s/million, ${
    kbPerSession.toFixed(0)
  } KB/session`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
