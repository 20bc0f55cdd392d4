import { hasSecret, withoutSecrets } from "../../lib/shared/secrets.ts";

const READY = /^Weir listening on (https?):\S+:(\d+)\/$/m;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

export interface WeirServerOptions {
  /** Beside what every server here has: a free port and a store of its own. */
  readonly env?: Readonly<Record<string, string>>;
  /** `run`: one isolate; `serve`: two, by `deno serve --parallel`. @default "run" */
  readonly by?: "run" | "serve";
  /** The largest file that the process may write, in blocks of 512 bytes: a disk that is full. */
  readonly maxFileBlocks?: number;
}

/** How a process ended and what it said. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stderr: string;
}

/**
 * A Weir in a process of its own, which can be killed and started again on the same store and
 * port. Its SQLite file, where it has one, goes with it.
 */
export class WeirServer implements AsyncDisposable {
  readonly #options: WeirServerOptions;
  readonly #directory: string;
  #process: Deno.ChildProcess | undefined;
  #stdout: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #port = 0;
  #scheme = "http";

  private constructor(directory: string, options: WeirServerOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Answers once the server serves. */
  static async start(options: WeirServerOptions = {}): Promise<WeirServer> {
    const server = await WeirServer.#make(options);
    try {
      await server.start();
      return server;
    } catch (cause) {
      await server[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Runs a server that is expected to end by itself. */
  static async refused(options: WeirServerOptions): Promise<Ended> {
    await using server = await WeirServer.#make(options);
    server.#spawn();
    return await server.ended();
  }

  static async #make(options: WeirServerOptions): Promise<WeirServer> {
    return new WeirServer(await Deno.makeTempDir({ prefix: "weir_server_" }), options);
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error("the server does not run");
    return this.#process.pid;
  }

  /** Its SQLite file. */
  get kv(): string {
    return this.#options.env?.["WEIR_KV"] ?? `${this.#directory}/weir.db`;
  }

  /** Starts it (again), on the store and port that it had. */
  async start(): Promise<void> {
    const process = this.#spawn();
    const reader = process.stdout.getReader();
    this.#stdout = reader;
    let text = "";
    for (const decoder = new TextDecoder(); !READY.test(text);) {
      const { value, done } = await reader.read();
      if (done) {
        const { code, stderr } = await this.ended();
        throw new Error(`the server ended with ${code} instead of listening: ${stderr}`);
      }
      text += decoder.decode(value, { stream: true });
    }
    const [, scheme = "", port] = READY.exec(text) ?? [];
    this.#scheme = scheme;
    this.#port = Number(port);
  }

  /** Sends the signal, and waits for the end. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<Ended> {
    this.signal(signal);
    return await this.ended();
  }

  /** Sends the signal. */
  signal(signal: Deno.Signal): void {
    if (this.#process === undefined) throw new Error("the server does not run");
    this.#process.kill(signal);
  }

  /** Once the process has ended. */
  async ended(): Promise<Ended> {
    const process = this.#process;
    if (process === undefined) throw new Error("the server does not run");
    const { code, signal } = await process.status;
    this.#process = undefined;
    await (this.#stdout ?? process.stdout.getReader()).cancel();
    this.#stdout = undefined;
    return { code, signal, stderr: await this.stderr() };
  }

  /** What the server has said since it was last started. */
  async stderr(): Promise<string> {
    return await Deno.readTextFile(this.#stderrPath);
  }

  /** Whatever the test was about: no credential may stand in what the server has said. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.kill();
    const said = await this.stderr().catch(() => ""); // it was never started
    await Deno.remove(this.#directory, { recursive: true });
    if (hasSecret(said)) throw new Error(`a credential is in the log: ${withoutSecrets(said)}`);
  }

  get #stderrPath(): string {
    return `${this.#directory}/stderr`;
  }

  #spawn(): Deno.ChildProcess {
    const { by = "run", env = {}, maxFileBlocks } = this.#options;
    const args = by === "run"
      ? ["run", "-A", MAIN, "--listen"]
      : ["serve", "-A", "--parallel", "--host", "127.0.0.1", "--port", String(this.#port), MAIN];
    const limit = maxFileBlocks === undefined ? "" : `trap "" XFSZ; ulimit -f ${maxFileBlocks}; `;
    // The shell only turns stderr into a file: `exec` leaves its place to Deno.
    this.#process = new Deno.Command("/bin/sh", {
      args: ["-c", `${limit}exec "$0" "$@" 2>"$WEIR_INTERNAL_STDERR"`, Deno.execPath(), ...args],
      env: {
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
        DENO_JOBS: "2", // isolates, whatever the tests themselves may take
        WEIR_PORT: String(this.#port),
        WEIR_KV: `${this.#directory}/weir.db`,
        ...env,
        WEIR_INTERNAL_STDERR: this.#stderrPath,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return this.#process;
  }
}
