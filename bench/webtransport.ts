// deno-lint-ignore-file no-console
/**
 * `deno run -A bench/webtransport.ts`: what lib/quic costs. Compares its sessions with bare QUIC
 * connections, by turns: deliveries of 100-byte events, 64 in each write, and idle memory.
 */
import { Http3Client } from "../tests/support/http3_client.ts";
import { cpuSeconds, quantile, residentKb } from "./usage.ts";

const KINDS = ["bare", "layer"] as const;
type Kind = typeof KINDS[number];

const SESSIONS = 100;
const EVENT_BYTES = 100;
const EVENTS_PER_WRITE = 64;
const RUNS = 5;
const WARM_UP_MS = 1_000;
const MEASURED_MS = 4_000;
/** Memory is measured between these numbers of sessions: the first ones compile the code. */
const IDLE_SESSIONS = [200, 600] as const;
const SETTLE_MS = 1_500;
/** Handshakes at a time. */
const CONNECTING = 20;

interface Speed {
  readonly deliveriesPerSecond: number;
  readonly cpuPerMillion: number;
}

async function measureSpeed(kind: Kind): Promise<Speed> {
  await using load = await Load.start(kind);
  await load.open(SESSIONS);
  await load.startWrites();
  await pause(WARM_UP_MS);
  const before = { bytes: load.bytes, cpu: cpuSeconds([load.pid]), at: performance.now() };
  await pause(MEASURED_MS);
  const seconds = (performance.now() - before.at) / 1_000;
  const events = (load.bytes - before.bytes) / EVENT_BYTES;
  const cpu = cpuSeconds([load.pid]) - before.cpu;
  return { deliveriesPerSecond: events / seconds, cpuPerMillion: cpu / (events / 1e6) };
}

async function measureMemory(kind: Kind): Promise<number> {
  await using load = await Load.start(kind);
  const [few, many] = IDLE_SESSIONS;
  await load.open(few);
  await pause(SETTLE_MS);
  const before = residentKb([load.pid]);
  await load.open(many);
  await pause(SETTLE_MS);
  return (residentKb([load.pid]) - before) / (many - few);
}

/** A server in a process of its own, and its clients in this one. */
class Load implements AsyncDisposable {
  /** Bytes that have come on streams of the server. */
  bytes = 0;
  readonly #kind: Kind;
  readonly #server: Deno.ChildProcess;
  readonly #addr: Deno.NetAddr;
  readonly #clients: Http3Client[] = [];

  private constructor(kind: Kind, server: Deno.ChildProcess, port: number) {
    this.#kind = kind;
    this.#server = server;
    this.#addr = { transport: "udp", hostname: "127.0.0.1", port };
  }

  static async start(kind: Kind): Promise<Load> {
    const server = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "bench/webtransport_server.ts", kind, String(EVENTS_PER_WRITE)],
      stdout: "piped",
    }).spawn();
    const output = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await output.read();
    await output.cancel();
    return new Load(kind, server, Number(value));
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** Opens sessions until there are `count`. */
  async open(count: number): Promise<void> {
    const open = async () => {
      const client = await Http3Client.connect({ addr: this.#addr }, (n) => this.bytes += n);
      this.#clients.push(client);
      if (this.#kind === "layer") await client.open();
    };
    while (this.#clients.length < count) {
      const missing = Math.min(CONNECTING, count - this.#clients.length);
      await Promise.all(Array.from({ length: missing }, open));
    }
  }

  async startWrites(): Promise<void> {
    for (const { conn } of this.#clients) await conn.sendDatagram(Uint8Array.of(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill("SIGKILL");
    await this.#server.status;
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const ratios: { readonly speed: number; readonly cpu: number }[] = [];
for (let run = 0; run < RUNS; run++) {
  const found: Partial<Record<Kind, Speed>> = {};
  // The other one is first in each second run.
  for (const kind of run % 2 === 0 ? KINDS : KINDS.toReversed()) {
    const speed = found[kind] = await measureSpeed(kind);
    const rate = Math.round(speed.deliveriesPerSecond / 1_000);
    console.log(`${kind}: ${rate} k deliveries/s, CPU ${speed.cpuPerMillion.toFixed(2)} s/million`);
  }
  const { bare, layer } = found;
  if (bare === undefined || layer === undefined) continue;
  ratios.push({
    speed: layer.deliveriesPerSecond / bare.deliveriesPerSecond,
    cpu: layer.cpuPerMillion / bare.cpuPerMillion,
  });
}
const median = (values: readonly number[]) => quantile(values, 0.5)?.toFixed(2);
console.log(`× bare deliveries/s: ${median(ratios.map(({ speed }) => speed))} (target ≥ 0.9)`);
console.log(`× bare CPU: ${median(ratios.map(({ cpu }) => cpu))}`);
for (const kind of KINDS) {
  console.log(`${kind}: ${(await measureMemory(kind)).toFixed(0)} KB for an idle session`);
}
