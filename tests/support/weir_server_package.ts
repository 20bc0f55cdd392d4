import { packServer } from "../../package/server/pack.ts";
import { isMissing } from "./programs.ts";
import { until } from "./until.ts";

/** Whether tests of the package `weir-server` are ignored. */
export const PACKAGE_MISSING = isMissing(
  ["npx", "--version"],
  "npx is missing: it runs the package weir-server",
);

/** An otherwise empty folder with the package `weir-server` installed. */
export class ServerInstallation implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the package and installs its tarball, without scripts. Packages come from npm's cache. */
  static async make(): Promise<ServerInstallation> {
    const installation = new ServerInstallation(
      await Deno.makeTempDir({ prefix: "weir_server_package_" }),
    );
    try {
      const tarball = await packServer(new URL(`file://${installation.path("package/")}`));
      const { code, stderr } = await installation.run("npm", [
        "install",
        "--prefer-offline",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        tarball.pathname,
      ]);
      if (code !== 0) throw new Error(stderr);
      return installation;
    } catch (cause) {
      await installation[Symbol.asyncDispose]();
      throw cause;
    }
  }

  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** Runs a program in the folder to its end. */
  async run(program: string, args: readonly string[]): Promise<Ran> {
    const { code, stdout, stderr } = await this.#command(program, args, "null").output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Starts a program in the folder. */
  start(program: string, args: readonly string[]): Started {
    return new Started(this.#command(program, args, "piped").spawn());
  }

  #command(program: string, args: readonly string[], stdin: "null" | "piped"): Deno.Command {
    return new Deno.Command(program, {
      args: [...args],
      cwd: this.#folder,
      env: { NO_COLOR: "1", DENO_DIR: this.path("deno_dir"), WEIR_DRAIN: "0s" },
      stdin,
      stdout: "piped",
      stderr: "piped",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program and what it has printed. */
export class Started implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  stdout = "";
  stderr = "";

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reading = Promise.all([
      read(process.stdout, (text) => this.stdout += text),
      read(process.stderr, (text) => this.stderr += text),
    ]);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Returns the URL of the server once it listens. */
  async url(): Promise<string> {
    const ended = this.#process.status.then(() => true);
    await until("the server listens", async () => {
      if (/listening on http/.test(this.stdout)) return true;
      const hasEnded = await Promise.race([ended, new Promise((r) => setTimeout(r, 1))]);
      if (hasEnded === true) throw new Error(`it has ended: ${this.stdout}${this.stderr}`);
      return false;
    });
    const url = /http:\/\/[\d.]+:\d+/.exec(this.stdout)?.[0] ?? "";
    // A server that answers handles signals too.
    await (await fetch(`${url}/healthz`)).body?.cancel();
    return url;
  }

  /** Types on its terminal. */
  async type(text: string): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Resolves with the exit code once it has ended, and all that it started has. */
  async exitCode(): Promise<number> {
    const { code } = await this.#process.status;
    await this.#reading; // its output ends with the last process that has it
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause; // it has ended
    }
    await this.exitCode();
    await this.#process.stdin.close().catch(() => {}); // the pipe has broken
  }
}

async function read(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onText: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}
