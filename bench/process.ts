/** Starts and stops the measured servers, each in its own process. */
import { fileURLToPath } from "node:url";
import type { LoadOptions, LoadResult, Transport } from "./options.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HOST = "127.0.0.1";
const START_MS = 20_000;
/** Weir promises to stop within 5 s. */
const STOP_MS = 7_000;
/** How many lines of a server's output an error message contains. */
const KEPT_LINES = 30;

/** Running processes that we started. */
const running = new Set<Deno.ChildProcess>();

/** Kills all processes without waiting, for when the benchmark itself is interrupted. */
export function endAll(): void {
  for (const child of running) kill(child, "SIGTERM");
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has already exited.
  }
}

/** A server that we started. */
export class Server implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: string[] = [];
  #ended = "runs";

  private constructor(readonly name: string, child: Deno.ChildProcess) {
    this.#child = child;
    running.add(child);
    child.status.then(({ code, signal }) => this.#ended = `ended with ${signal ?? code}`);
  }

  /** `127.0.0.1:PORT` of the server. */
  host = "";

  get pid(): number {
    return this.#child.pid;
  }

  /** Returns how it ended, if it has, and its last output. */
  get account(): string {
    return [`${this.name} (process ${this.pid}) ${this.#ended}:`, ...this.#output].join("\n");
  }

  /**
   * Starts `command` and resolves when its host is known: read from the line
   * `… listening on http://127.0.0.1:PORT/`, or for a given `port`, when it takes connections.
   *
   * @throws {Error} With the last output, if that takes longer than 20 s or the process ends.
   */
  static async start(
    name: string,
    command: string,
    args: readonly string[],
    options: { env?: Readonly<Record<string, string>> | undefined; port?: number } = {},
  ): Promise<Server> {
    const child = new Deno.Command(command, {
      args: [...args],
      cwd: ROOT,
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const server = new Server(name, child);
    const printed = Promise.withResolvers<string>();
    const drains = [child.stdout, child.stderr].map((stream) => server.#drain(stream, printed));
    const ended = Promise.all([child.status, ...drains]).then(([status]) => {
      throw new Error(`${name} ended with ${status.code} before it was ready:\n${server.account}`);
    });
    ended.catch(() => {}); // may settle long after the start
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new Error(`${name} was not ready after ${START_MS} ms:\n${server.account}`));
    }, START_MS);
    const ready = options.port === undefined ? printed.promise : answers(options.port);
    try {
      server.host = await Promise.race([ready, ended, late.promise]);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return server;
  }

  /** Sends SIGTERM, and SIGKILL if it still runs after 7 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGTERM");
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), STOP_MS);
    await this.#child.status;
    running.delete(this.#child);
    clearTimeout(timer);
  }

  async #drain(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    ready: PromiseWithResolvers<string>,
  ): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        this.#output.push(line);
        const host = /listening on http:\/\/([\d.]+:\d+)\//.exec(line)?.[1];
        if (host !== undefined) ready.resolve(host);
      }
      this.#output.splice(0, this.#output.length - KEPT_LINES);
    }
  }
}

/** Resolves with the host and port once `port` accepts connections; gives up after 20 s. */
async function answers(port: number): Promise<string> {
  for (let waited = 0; waited < START_MS; waited += 50) {
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return `${HOST}:${port}`;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`Nothing answers on port ${port}`);
}

/**
 * Starts Weir on the store `kv`: a file, or the URL of a KV Connect server with its token. With
 * `isParallel`, by `deno serve --parallel` with two isolates.
 */
export function startWeir(
  kv: string,
  options: {
    token?: string;
    isParallel?: boolean;
    flags?: readonly string[];
    settings?: Readonly<Record<string, string>>;
  } = {},
): Promise<Server> {
  const env: Record<string, string> = {
    WEIR_PORT: "0",
    WEIR_KV: kv,
    WEIR_DRAIN: "0s",
    ...options.settings,
  };
  if (options.token !== undefined) env.DENO_KV_ACCESS_TOKEN = options.token;
  const main = `${ROOT}main.ts`;
  const flags = ["-A", ...options.flags ?? []];
  if (options.isParallel !== true) {
    return Server.start("Weir", Deno.execPath(), ["run", ...flags, main, "--listen"], { env });
  }
  env.DENO_JOBS = "2";
  const args = ["serve", ...flags, "--parallel", "--host", HOST, "--port", "0", main];
  return Server.start("Weir", Deno.execPath(), args, { env });
}

/** Starts the bare server of a transport, in memory or with the file `store` on Deno KV. */
export function startBare(transport: Transport, store?: string): Promise<Server> {
  const file = transport === "webtransport" ? "bare_webtransport.ts" : "bare.ts";
  const args = store === undefined ? [] : [store];
  return Server.start("Bare", Deno.execPath(), ["run", "-A", `${ROOT}bench/${file}`, ...args]);
}

/** Returns the path of a program on the PATH or in ~/.cargo/bin or ~/go/bin, or undefined. */
export async function findProgram(name: string): Promise<string | undefined> {
  const home = Deno.env.get("HOME") ?? "";
  const path = (Deno.env.get("PATH") ?? "").split(":");
  for (const folder of [...path, `${home}/.cargo/bin`, `${home}/go/bin`]) {
    try {
      if ((await Deno.stat(`${folder}/${name}`)).isFile) return `${folder}/${name}`;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Returns a port on which nothing listens. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

/** Starts a `denokv` server with the SQLite file `path` on a free port. */
export function startDenokv(binary: string, path: string, token: string): Promise<Server> {
  const port = freePort();
  const serve = ["serve", "--access-token", token, "--addr", `${HOST}:${port}`];
  return Server.start("denokv", binary, ["--sqlite-path", path, ...serve], { port });
}

/**
 * Runs one load in its own process.
 *
 * @throws {Error} If the generator fails or runs longer than four phases may.
 */
export async function runLoad(
  options: Partial<LoadOptions> & Pick<LoadOptions, "publishAt" | "phaseMs">,
): Promise<LoadResult> {
  const generator = (options.members ?? 0) > 0 ? "storm.ts" : "load.ts";
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}bench/${generator}`, JSON.stringify(options)],
    cwd: ROOT,
    env: { DENO_LOG: "error" }, // with "off" it could not say why it failed
    stdin: "null",
    signal: AbortSignal.timeout(4 * options.phaseMs + 10_000),
  }).output();
  const text = new TextDecoder().decode(output.stdout).trim();
  if (!output.success || text === "") {
    const reason = new TextDecoder().decode(output.stderr);
    throw new Error(`The load generator ended with ${output.code}: ${reason}`);
  }
  return JSON.parse(text) as LoadResult;
}
