import assert from "node:assert/strict";

const COMMANDS = new URL("../../store.ts", import.meta.url).pathname;

export interface Said {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `deno task backup`, `restore`, `export` or `import`. */
export class StoreCommand implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  #hasEnded = false;

  /**
   * @param args the name of the command, and its arguments.
   * @param permissions flags of the runtime. @default those of the task
   */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    permissions = permissionsOf(args[0]),
  ) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", ...permissions, COMMANDS, ...args],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_LOG: "off", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    void this.#process.status.then(() => this.#hasEnded = true);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Sends a signal, unless it has ended. */
  kill(signal: Deno.Signal): void {
    if (!this.#hasEnded) this.#process.kill(signal);
  }

  async said(): Promise<Said> {
    const { code, signal, stdout, stderr } = await this.#process.output();
    const decoder = new TextDecoder();
    return { code, signal, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#process.status;
    // Unless they were read by said().
    await this.#process.stdout.cancel().catch(() => {});
    await this.#process.stderr.cancel().catch(() => {});
  }
}

/** Runs a command to its end. */
export async function runStoreCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  permissions?: readonly string[],
): Promise<Said> {
  await using command = new StoreCommand(args, env, permissions);
  return await command.said();
}

const TASKS: Readonly<Record<string, { readonly command: string }>> = JSON.parse(
  Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
).tasks;

/** Returns the permissions that the task has. */
function permissionsOf(name = ""): readonly string[] {
  return TASKS[name]?.command.match(/--(?:allow|ignore|no)-\S+/g) ?? [];
}

/** Runs a command that is expected to fail with such a message. */
export async function refused(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  message: RegExp,
  permissions?: readonly string[],
): Promise<void> {
  const { code, stderr } = await runStoreCommand(args, env, permissions);
  assert.equal(code, 1, `${args.join(" ")}: ${stderr}`);
  assert.match(stderr, message);
}
