import type { TransportName } from "../../lib/client/api.ts";
import type { Sample } from "../../lib/shared/figures.ts";
import { Denokv } from "../support/denokv.ts";
import { freePort } from "../support/free_port.ts";
import { type ProxyName, startProxy } from "../support/proxies.ts";
import { readAll } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import type {
  ClientsReport,
  ClientsStart,
  Command,
  PublisherReport,
  PublisherStart,
} from "./rolling_messages.ts";

export interface RollingOptions {
  readonly proxy: ProxyName;
  /** How many clients use each transport. */
  readonly clients: Readonly<Partial<Record<TransportName, number>>>;
  /** The path of `main.ts` of the version that is replaced. @default this version's */
  readonly from?: string;
}

/** 2,000 clients. WebTransport is UDP, which these proxies do not pass on. */
export const CLIENTS = { "websocket": 900, "sse": 600, "long-poll": 300, "short-poll": 200 };

/** `WEIR_DRAIN` of the servers. */
export const DRAIN_SECONDS = 9;

/** The processes of {@link RollingOptions.clients}. */
const CLIENT_PROCESSES = 2;
const CHANNELS = Array.from({ length: 20 }, (_, i) => `rolling:${i}`);
/** Each channel has an event in this time, so there are ten events a second. */
const INTERVAL_MS = 2_000;
/** Events of each channel that are published before the first server stops. */
const STEADY_EVENTS = 2;
/** How long a condition may take on a machine that is busy with other tests, in ms. */
const PATIENCE_MS = 140_000;
/** Milliseconds between two looks at a condition. */
const LOOK_INTERVAL_MS = 100;
/** All clients have one IP address here. */
const LIMITS = ["address", "credential", "tenant"].flatMap((scope) =>
  ["publishes", "bytes", "subscribes", "connections"].map((name) => `${scope}.${name}=1000000000`)
).join(" ");

/** What happened while both servers were replaced. */
export interface RollingFigures {
  readonly faults: readonly string[];
  readonly failures: readonly string[];
  readonly published: number;
  /** Milliseconds from publish to delivery, by phase and transport. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
  /** Milliseconds of each publish. */
  readonly publishes: readonly number[];
  /** The exit codes of the processes that were replaced. */
  readonly exitCodes: readonly number[];
  /** Streams and sockets that one server took over from the other, for each replacement. */
  readonly moves: readonly Move[];
}

/** Connections at the server that takes them over, second by second. */
export interface Move {
  /** Seconds from SIGTERM to the end of the process. */
  readonly seconds: number;
  /** Streams and sockets that the server took over. */
  readonly moved: number;
  readonly samples: readonly { readonly at: number; readonly connections: number }[];
}

/**
 * Returns the most connections per second that a server got, over each `windowSeconds` of `samples`.
 */
export function maxRate(samples: Move["samples"], windowSeconds: number): number {
  const rates = samples.map((from) => {
    const to = samples.find(({ at }) => at - from.at >= windowSeconds);
    return to === undefined ? 0 : (to.connections - from.connections) / (to.at - from.at);
  });
  return Math.max(0, ...rates);
}

/**
 * Runs two servers on one denokv behind a proxy, with clients and a producer, and replaces one
 * server after the other by a new process. Resolves once every client has every event, and the new
 * processes have all streams and sockets.
 */
export async function rollingRestart(options: RollingOptions): Promise<RollingFigures> {
  await using world = await RollingWorld.start(options);
  await world.publishes(1);
  await world.clientsHave({});
  await world.beginPhase("steady");
  await world.publishes(1 + STEADY_EVENTS);
  await world.beginPhase("roll");
  const replaced = [await world.replace(0), await world.replace(1)];
  await world.beginPhase("after");
  const { published, failures, durations } = await world.stopPublishing();
  await world.clientsHave(published);
  await world.newProcessesHaveAll(replaced[0]?.endedAt ?? 0);
  return {
    faults: await world.faults(published),
    failures,
    published: Object.values(published).reduce((sum, count) => sum + count, 0),
    latencies: world.latencies,
    publishes: durations,
    exitCodes: replaced.map(({ code }) => code),
    moves: await world.moves(replaced),
  };
}

/** A process that was replaced. */
interface Replaced {
  readonly code: number;
  /** When it got SIGTERM and when it ended, in milliseconds since 1970. */
  readonly stoppedAt: number;
  readonly endedAt: number;
}

interface RollingParts {
  readonly options: RollingOptions;
  readonly env: Readonly<Record<string, string>>;
  readonly servers: WeirServer[];
  readonly clients: readonly Program<ClientsReport>[];
  readonly publisher: Program<PublisherReport>;
  readonly resources: AsyncDisposableStack;
}

class RollingWorld implements AsyncDisposable {
  readonly latencies: Record<string, readonly number[]> = {};
  readonly #parts: RollingParts;

  private constructor(parts: RollingParts) {
    this.#parts = parts;
  }

  /** Starts everything. Resolves once all clients are open and events are published. */
  static async start(options: RollingOptions): Promise<RollingWorld> {
    await using stack = new AsyncDisposableStack();
    const denokv = stack.use(await Denokv.start());
    const port = freePort();
    const env = {
      WEIR_DRAIN: `${DRAIN_SECONDS}s`,
      WEIR_KV: denokv.url,
      WEIR_LIMITS: LIMITS,
      WEIR_PUBLIC_URL: `https://127.0.0.1:${port}`,
      WEIR_TRUSTED_PROXIES: "127.0.0.1",
      WEIR_QUIC: "off",
    };
    const { from } = options;
    // The other version may not have the setting.
    const { WEIR_DRAIN: _, ...others } = env;
    const start = from === undefined ? { env } : { env: others, main: from };
    const startServer = async () => stack.use(await WeirServer.start(start));
    const servers = await Promise.all([startServer(), startServer()]);
    const ports = servers.map(({ port }) => port);
    const proxy = stack.use(await startProxy(options.proxy, ports, port));
    const cert = await Deno.makeTempFile({ prefix: "weir_rolling_", suffix: ".pem" });
    stack.defer(() => Deno.remove(cert));
    await Deno.writeTextFile(cert, proxy.certificate.cert);
    const { url } = proxy;
    const transports = Object.fromEntries(
      Object.entries(options.clients).map(([name, count]) => [name, count / CLIENT_PROCESSES]),
    );
    const clientsStart: ClientsStart = { url, cert, channels: CHANNELS, transports };
    const clients = Array.from(
      { length: CLIENT_PROCESSES },
      () => stack.use(new Program<ClientsReport>("rolling_clients.ts", cert, clientsStart)),
    );
    await allOpen(clients);
    const publisherStart: PublisherStart = { url, channels: CHANNELS, intervalMs: INTERVAL_MS };
    const publisher = stack.use(
      new Program<PublisherReport>("rolling_publisher.ts", cert, publisherStart),
    );
    const parts = { options, env, servers, clients, publisher };
    const world = new RollingWorld({ ...parts, resources: stack.move() });
    await world.#figures(); // from the first read on there are figures
    return world;
  }

  /** Resolves once each channel has `count` events. */
  async publishes(count: number): Promise<void> {
    await untilMet("events are published", async () => {
      const { published } = await this.#parts.publisher.ask({});
      return CHANNELS.every((channel) => (published[channel] ?? 0) >= count);
    });
  }

  async stopPublishing(): Promise<PublisherReport> {
    return await this.#parts.publisher.ask({ stop: true });
  }

  /** Resolves once every client has the events up to `targets`, or any event. */
  async clientsHave(targets: Readonly<Record<string, number>>): Promise<void> {
    await untilMet("every client has every event", async () => {
      const reports = await this.#ask({ targets });
      return reports.every(({ behind }) => behind === 0);
    });
  }

  /** Returns what clients have received too often, too late or not at all. */
  async faults(targets: Readonly<Record<string, number>>): Promise<readonly string[]> {
    return (await this.#ask({ targets })).flatMap(({ faults, ahead }) => [
      ...faults,
      ...ahead > 0 ? [`${ahead} clients have too many events`] : [],
    ]);
  }

  /** Collects the latencies of the phase before. */
  async beginPhase(phase: string): Promise<void> {
    for (const { latencies } of await this.#ask({ latencies: true })) {
      for (const [name, values] of Object.entries(latencies)) {
        this.latencies[name] = [...this.latencies[name] ?? [], ...values];
      }
    }
    await this.#ask({ phase });
  }

  /**
   * Stops a server by SIGTERM, and starts a new process on its port. Resolves once the proxy passes
   * requests on to it, and all clients are open.
   */
  async replace(index: number): Promise<Replaced> {
    const { servers, env, clients, resources } = this.#parts;
    const server = servers[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    const stoppedAt = Date.now();
    const { code } = await server.kill("SIGTERM");
    const endedAt = Date.now();
    const own = { ...env, WEIR_PORT: String(server.port) };
    servers[index] = resources.use(await WeirServer.start({ env: own }));
    await untilMet("the proxy passes requests on to the new process", async () => {
      const samples = startedAfter(endedAt, await this.#figures());
      return samples.some(({ connections, publishes }) =>
        connections.sse + connections.websocket + connections.longPoll + publishes.accepted > 0
      );
    });
    await allOpen(clients);
    return { code, stoppedAt, endedAt };
  }

  /** Resolves once processes that started after `time` have all streams and sockets. */
  async newProcessesHaveAll(time: number): Promise<void> {
    const { sse = 0, websocket = 0 } = this.#parts.options.clients;
    await untilMet("the new processes have all streams and sockets", async () => {
      const samples = startedAfter(time, await this.#figures());
      const last = [...new Map(samples.map((sample) => [sample.isolate, sample])).values()];
      const sum = (name: "sse" | "websocket") =>
        last.reduce((sum, { connections }) => sum + connections[name], 0);
      return sum("sse") === sse && sum("websocket") === websocket;
    });
  }

  async moves(replaced: readonly Replaced[]): Promise<readonly Move[]> {
    const samples = await this.#figures();
    return replaced.map(({ stoppedAt, endedAt }) => moveOf(samples, stoppedAt, endedAt));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.resources.disposeAsync();
  }

  #ask(command: Command): Promise<readonly ClientsReport[]> {
    return Promise.all(this.#parts.clients.map((client) => client.ask(command)));
  }

  /** Reads the figures of all processes so far. */
  async #figures(): Promise<readonly Sample[]> {
    const [server] = this.#parts.servers;
    const events = await readAll(server?.url ?? "", "$figures");
    return events.map(({ data }) => data as Sample);
  }
}

/** Looks less often than tests do, since each look takes time of what is measured. */
function untilMet(what: string, isMet: () => Promise<boolean>): Promise<void> {
  return until(what, isMet, PATIENCE_MS, LOOK_INTERVAL_MS);
}

async function allOpen(clients: readonly Program<ClientsReport>[]): Promise<void> {
  await untilMet("all clients are open", async () => {
    const reports = await Promise.all(clients.map((client) => client.ask({})));
    return reports.every(({ open, clients }) => open === clients);
  });
}

function startedAfter(time: number, samples: readonly Sample[]): readonly Sample[] {
  return samples.filter(({ started }) => Date.parse(started) >= time);
}

/** Returns the connections of the isolate that ran before `from` and after `to`. */
function moveOf(samples: readonly Sample[], from: number, to: number): Move {
  const others = [...Map.groupBy(samples, ({ isolate }) => isolate).values()].filter((own) => {
    const times = own.map(({ at }) => Date.parse(at));
    return times.some((at) => at < from) && times.some((at) => at > to);
  });
  const [own = []] = others;
  const later = own.map(({ at, connections: { sse, websocket } }) => ({
    at: (Date.parse(at) - from) / 1_000,
    connections: sse + websocket,
  })).filter(({ at }) => at > -1.5);
  const most = Math.max(...later.map(({ connections }) => connections));
  return {
    seconds: (to - from) / 1_000,
    moved: most - (later[0]?.connections ?? 0),
    // Later the server may be the one that stops.
    samples: later.slice(0, later.findIndex(({ connections }) => connections === most) + 1),
  };
}

/** One of the programs next to this file. */
class Program<Report> implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  #rest = "";

  constructor(file: string, cert: string, start: unknown) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        `--cert=${cert}`,
        new URL(file, import.meta.url).pathname,
        JSON.stringify(start),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(this.#process.stderr).text();
  }

  /** Sends a command, and returns the report that answers it. */
  async ask(command: Command): Promise<Report> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`the program has ended: ${await this.#errors}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause; // it has ended
    }
    await this.#input.close().catch(() => {}); // the other end is gone
    await this.#output.cancel();
    await this.#process.status;
    await this.#errors;
  }
}
