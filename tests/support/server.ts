import { parseConfig } from "../../lib/config.ts";
import { flagsToReport, permissionFlags } from "../../lib/permissions.ts";
import { hasSecret, withoutSecrets } from "../../lib/shared/secrets.ts";
import { freePort } from "./free_port.ts";

const READY = /^Weir listening on (https?):\S+:(\d+)\/$/m;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

export interface WeirServerOptions {
  /** Further settings; every server has a free port and its own store. */
  readonly env?: Readonly<Record<string, string>>;
  /** `run`: one isolate; `serve`: two, with `deno serve --parallel`. @default "run" */
  readonly by?: "run" | "serve";
  /** The largest file that the process may write, in blocks of 512 bytes; simulates a full disk. */
  readonly maxFileBlocks?: number;
  /**
   * Puts the store on a disk of this size, in memory, which only the process and `disk` see. It is
   * lost with the process. Ignore the test if {@link SMALL_DISKS_MISSING}.
   */
  readonly diskBytes?: number;
  /** The start of the command that runs the process. @default [] */
  readonly within?: readonly string[];
  /** The path of a `main.ts`, such as that of another version. @default this version's */
  readonly main?: string;
}

/** Whether this user may not mount a disk for a process. `deno task test:unit` does not ask. */
export const SMALL_DISKS_MISSING = !canMount();

function canMount(): boolean {
  const args = ["-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/tmp"];
  try {
    return new Deno.Command("unshare", { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false; // no such program
  }
}

/** How a process ended, and its output. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stderr: string;
}

/**
 * A server in its own process, which can be killed and restarted on the same store and port. Its
 * SQLite file, if it has one, is deleted with it.
 */
export class WeirServer implements AsyncDisposable {
  readonly #options: WeirServerOptions;
  readonly #directory: string;
  #process: Deno.ChildProcess | undefined;
  #stdout: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #port = freePort();
  #scheme = "http";

  private constructor(directory: string, options: WeirServerOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Starts a server, and resolves once it serves. */
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

  /** Runs a server that is expected to exit by itself. */
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
    const folder = this.#options.diskBytes === undefined ? this.#directory : this.#disk;
    return this.#options.env?.["WEIR_KV"] ?? `${folder}/weir.db`;
  }

  /** The folder of its store, if that is on a disk of its own. */
  get disk(): string {
    return `/proc/${this.pid}/root${this.#disk}`;
  }

  get #disk(): string {
    return `${this.#directory}/disk`;
  }

  /** Starts the process, again on the same store and port. */
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

  /** Sends the signal, and waits for the exit. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<Ended> {
    this.signal(signal);
    return await this.ended();
  }

  /** Sends the signal. */
  signal(signal: Deno.Signal): void {
    if (this.#process === undefined) throw new Error("the server does not run");
    this.#process.kill(signal);
  }

  /** Resolves once the process has exited. */
  async ended(): Promise<Ended> {
    const process = this.#process;
    if (process === undefined) throw new Error("the server does not run");
    const { code, signal } = await process.status;
    this.#process = undefined;
    await (this.#stdout ?? process.stdout.getReader()).cancel();
    this.#stdout = undefined;
    return { code, signal, stderr: await this.stderr() };
  }

  /** Returns the output since the last start. */
  async stderr(): Promise<string> {
    return await Deno.readTextFile(this.#stderrPath);
  }

  /** Checks after every test that the output contains no credential. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.kill();
    const said = await this.stderr().catch(() => ""); // never started
    await Deno.remove(this.#directory, { recursive: true });
    if (hasSecret(said)) throw new Error(`a credential is in the log: ${withoutSecrets(said)}`);
  }

  get #stderrPath(): string {
    return `${this.#directory}/stderr`;
  }

  #spawn(): Deno.ChildProcess {
    const { by = "run", env = {}, maxFileBlocks, diskBytes, within = [], main = MAIN } =
      this.#options;
    const port = String(this.#port);
    const settings: Record<string, string> = {
      WEIR_PORT: port,
      WEIR_DATA: this.#directory,
      WEIR_KV: this.kv,
      // Otherwise each stop takes as long as the default drain. Earlier versions have no drain.
      ...main === MAIN && { WEIR_DRAIN: "0s" },
      ...env,
    };
    const permissions = main === MAIN ? permissionsFor(settings) : ["-A"];
    const args = by === "run"
      ? ["run", ...permissions, main, "--listen"]
      : ["serve", ...permissions, "--parallel", "--host", "127.0.0.1", "--port", port, main];
    const limit = maxFileBlocks === undefined ? "" : `trap "" XFSZ; ulimit -f ${maxFileBlocks}; `;
    const mount = diskBytes === undefined
      ? ""
      : `mkdir -p ${this.#disk}; mount -t tmpfs -o size=${diskBytes} tmpfs ${this.#disk}; `;
    const shell = diskBytes === undefined ? ["/bin/sh"] : ["unshare", "-rm", "/bin/sh"];
    const [program = "", ...before] = [...within, ...shell];
    // The shell only prepares and redirects stderr to a file: `exec` replaces it by Deno.
    const script = `${mount}${limit}exec "$0" "$@" 2>"$WEIR_INTERNAL_STDERR"`;
    this.#process = new Deno.Command(program, {
      args: [...before, "-c", script, Deno.execPath(), ...args],
      env: {
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
        DENO_JOBS: "2", // isolates; the tests may have another setting
        ...settings,
        WEIR_INTERNAL_STDERR: this.#stderrPath,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return this.#process;
  }
}

/** Returns the permissions that `deno task start` gives. Some tests start with wrong settings. */
function permissionsFor(settings: Readonly<Record<string, string>>): readonly string[] {
  try {
    return permissionFlags(parseConfig({ ...Deno.env.toObject(), ...settings }));
  } catch {
    return flagsToReport();
  }
}
