// The command `weir-server`. Node runs it: it starts Deno, which the package `deno` brings, with one of
// the package's programs and the permissions that this program needs.
// deno-lint-ignore-file no-console
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Config, ConfigError, parseConfig, storeFolder } from "../../lib/config.ts";
import { flagsToReport, permissionFlags, TOOL_FLAGS } from "../../lib/permissions.ts";
import { VERSION } from "../../lib/version.ts";
import { type Command, HELP, parseCommandLine, type Request } from "./arguments.ts";

type Run = Extract<Request, { readonly kind: "run" }>;

/** Those of `deno.json`. The package's folder may be read-only, and has no lock file. */
const RUNTIME_FLAGS = [
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--unstable-kv",
  "--unstable-net",
  "--unstable-no-legacy-abort",
];

/** Between two checks whether the shell of npx still runs. */
const PARENT_CHECK_MS = 500;

const request = parseCommandLine(process.argv.slice(2));
if (request.kind === "help") process.stdout.write(HELP);
else if (request.kind === "version") console.log(VERSION);
else if (request.kind === "run") run(request);
else {
  console.error(request.reason);
  process.exitCode = 2;
}

function run({ command, args, env }: Run): void {
  const settings = { ...process.env, ...env };
  const config = configOf(settings);
  if (command === undefined && config !== undefined) console.log(welcome(config));
  const [file, ...firstArgs] = programOf(command);
  const child = spawn(denoPath(), [
    "run",
    ...RUNTIME_FLAGS,
    ...permissionsOf(command, config),
    fileURLToPath(new URL(file, import.meta.url)),
    ...firstArgs,
    ...args,
  ], {
    // DENO_LOG=off hides the runtime's own log; Weir has its own. Another package.json is not ours.
    env: { DENO_LOG: "off", ...settings, DENO_NO_PACKAGE_JSON: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdio: "inherit",
  });
  const npxWatch = process.env["npm_command"] === "exec" ? stopWithNpx(child) : undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      clearInterval(npxWatch);
      // Ctrl+C on a terminal has reached the child already.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (cause) => fail(`Cannot run Deno: ${cause.message}`));
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
  });
}

/**
 * Stops the child once the shell between npx and this process has ended: the shell passes no signal
 * on, so that a SIGTERM to npx ends only the shell.
 */
function stopWithNpx(child: ChildProcess): ReturnType<typeof setInterval> {
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    child.kill("SIGTERM");
  }, PARENT_CHECK_MS);
  return timer;
}

function welcome({ kv, dataFolder }: Config): string {
  const where = kv === ":memory:"
    ? "Events are kept in memory only."
    : storeFolder(kv) === undefined
    ? "Events are stored on the KV server that WEIR_KV names."
    : `Events are stored in ${resolve(kv ?? dataFolder)}.`;
  return `Weir ${VERSION}. ${where}${process.stdin.isTTY ? " Press Ctrl+C to stop." : ""}`;
}

/** Returns the path of the runtime that was installed with this package. */
function denoPath(): string {
  try {
    // The package's own way to find the binary for this machine. Its install script may not have run.
    return createRequire(import.meta.url)("deno/install_api.cjs").runInstall();
  } catch (cause) {
    return fail(
      `Cannot find Deno for this machine: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
}

/** Returns undefined if a setting is invalid, which the program reports. */
function configOf(settings: NodeJS.ProcessEnv): Config | undefined {
  const variables = Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  );
  try {
    return parseConfig(Object.fromEntries(variables));
  } catch (cause) {
    if (cause instanceof ConfigError) return undefined;
    throw cause;
  }
}

/** Returns the file of a command's program, and the arguments with which it begins. */
function programOf(command: Command | undefined): readonly [file: string, ...args: string[]] {
  if (command === undefined) return ["main.js", "--listen"];
  if (command === "keys" || command === "publish") return [`${command}.js`];
  return ["store.js", command];
}

function permissionsOf(
  command: Command | undefined,
  config: Config | undefined,
): readonly string[] {
  if (command !== undefined && command !== "keys") return TOOL_FLAGS[command];
  return config === undefined ? flagsToReport() : permissionFlags(config, command ?? "server");
}

function fail(reason: string): never {
  console.error(reason);
  process.exit(1);
}
