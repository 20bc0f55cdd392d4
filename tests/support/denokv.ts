import { freePort } from "./free_port.ts";

/** At least 12 characters. One for all servers, because the environment belongs to the process. */
const TOKEN = "weir-test-token";

const PROGRAM = findProgram();

/** `deno task test:unit` runs tests without the permission to start programs. */
const MAY_RUN = Deno.permissions.querySync({ name: "run" }).state === "granted";

/** Tests that need denokv are ignored where this is true. */
export const DENOKV_MISSING = PROGRAM === undefined || !MAY_RUN;

if (PROGRAM === undefined && MAY_RUN) {
  const hint = "denokv is not installed: run `cargo install denokv --locked`";
  if (Deno.env.get("CI") === "true") throw new Error(hint);
  // deno-lint-ignore no-console
  console.warn(`${hint}; tests that need it are ignored.`);
}

/** A denokv server on a new file, which can be killed and restarted. */
export class Denokv implements AsyncDisposable {
  readonly url: string;
  readonly #port: number;
  readonly #directory: string;
  #process: Deno.ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Denokv> {
    Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
    const directory = await Deno.makeTempDir({ prefix: "weir_denokv_" });
    for (let tries = 0;; tries++) {
      const server = new Denokv(directory, freePort());
      try {
        await server.start();
        return server;
      } catch (cause) {
        // Another program may have taken the port in the meantime.
        if (tries === 4) throw cause;
      }
    }
  }

  /** Its SQLite file. */
  get path(): string {
    return `${this.#directory}/kv.sqlite`;
  }

  openKv(): Promise<Deno.Kv> {
    return Deno.openKv(this.url);
  }

  /** Starts the server, again on the same file and port. Resolves when it accepts connections. */
  async start(): Promise<void> {
    if (PROGRAM === undefined) throw new Error("denokv is not installed");
    const process = new Deno.Command(PROGRAM, {
      args: [
        "--sqlite-path",
        this.path,
        "serve",
        "--access-token",
        TOKEN,
        "--addr",
        `127.0.0.1:${this.#port}`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = process;
    let ended = false;
    void process.status.then(() => ended = true);
    while (!await accepts(this.#port)) {
      if (ended) throw new Error(`denokv did not start on port ${this.#port}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (ended) throw new Error(`port ${this.#port} belongs to another program`);
  }

  /** Kills the server with SIGKILL, like a crash. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    try {
      process.kill("SIGKILL");
    } catch {
      // It has already exited.
    }
    await process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

function findProgram(): string | undefined {
  const path = Deno.env.get("PATH")?.split(":") ?? [];
  const home = Deno.env.get("HOME");
  if (home !== undefined) path.push(`${home}/.cargo/bin`);
  return path.map((directory) => `${directory}/denokv`).find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
