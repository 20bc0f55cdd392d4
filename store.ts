import { parseArgs } from "node:util";
import { ConfigError, parseConfig } from "./lib/config.ts";
import { CliError, UsageError } from "./lib/keys_cli/cli_error.ts";
import { backupStore } from "./lib/store_cli/backup_store.ts";
import { restoreStore } from "./lib/store_cli/restore_store.ts";
import { TASK_COMMAND } from "./lib/shared/task_command.ts";
import { formatBytes, formatNumber } from "./lib/terminal/progress.ts";
import { print, StatusLine } from "./lib/terminal/status_line.ts";

interface Command {
  readonly help: string;
  /** Returns the exit code. @throws {CliError} @throws {ConfigError} */
  readonly run: (args: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  backup: {
    run: backup,
    help: `Copies the store to a file, also while servers use it.

Usage: ${TASK_COMMAND} backup FILE

  FILE   Where to put the backup. An earlier backup there is replaced when the new one is complete.

The backup is the store as it is at one moment. The store is the file that WEIR_KV names, by default
weir.db in WEIR_DATA. For denokv, set WEIR_KV to the file of its --sqlite-path.

An interrupted backup leaves an earlier one as it is; start it again. The exit code is 0 if the backup
is complete and on the disk, 1 if not, and 2 if the command was called with wrong arguments.
`,
  },
  restore: {
    run: restore,
    help: `Puts a backup in the place of the store. No server may run on that store.

Usage: ${TASK_COMMAND} restore [--force] FILE

  --force   Replace a store that is there. Its events are lost.
  FILE      The backup, of ${TASK_COMMAND} backup. It is not changed.

Every channel begins a new epoch, with the same events and sequences: readers with cursors from before
the backup continue where they were, and readers that have received later events get a gap. Keys and
revocations are those of the backup, so revoke again what was revoked since.

The store is the file that WEIR_KV names, by default weir.db in WEIR_DATA. An interrupted restore
leaves what was there before; start it again. The exit code is 0 if the store is complete and on the
disk, 1 if not, and 2 if the command was called with wrong arguments.
`,
  },
};

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const status = new StatusLine();

Deno.exit(await main(Deno.args));

async function main([name = "", ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    status.say(`Commands: ${Object.keys(COMMANDS).join(", ")}.`);
    return 2;
  }
  if (args.includes("--help")) {
    print(command.help);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (cause) {
    const isExpected = cause instanceof CliError || cause instanceof ConfigError;
    // The task turns off the runtime's own message.
    status.say(isExpected ? cause.message : `The command failed. ${cause}`);
    return cause instanceof UsageError ? 2 : 1;
  }
}

async function backup(args: readonly string[]): Promise<number> {
  const { positionals } = parse("backup", args, {});
  const file = onlyFile("backup", positionals);
  const { kv } = parseConfig(Deno.env.toObject());
  const start = performance.now();
  const bytes = await backupStore(kv, { file, onProgress: showBytes(start) });
  status.clear();
  print(`Backed up the store to ${file} (${formatBytes(bytes)}) in ${secondsSince(start)} s.\n`);
  return 0;
}

async function restore(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse("restore", args, { force: flag });
  const file = onlyFile("restore", positionals);
  const { kv } = parseConfig(Deno.env.toObject());
  const start = performance.now();
  let events = 0;
  await restoreStore(kv, {
    file,
    isForced: values.force === true,
    now: Date.now(),
    onCopied: showBytes(start),
    onEvents: (count) => {
      events = count;
      const elapsedMs = performance.now() - start;
      status.show({ events, bytes: undefined, totalBytes: undefined, elapsedMs });
    },
    onWarning: (message) => status.say(message),
  });
  status.clear();
  print(`Restored ${formatNumber(events)} events to ${kv} in ${secondsSince(start)} s.\n`);
  return 0;
}

function showBytes(start: number): (share: number, bytes: number) => void {
  return (share, totalBytes) => {
    const elapsedMs = performance.now() - start;
    status.show({ events: undefined, bytes: share * totalBytes, totalBytes, elapsedMs });
  };
}

/** @throws {UsageError} */
function parse<O extends Readonly<Record<string, typeof text | typeof flag>>>(
  name: string,
  args: readonly string[],
  options: O,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new UsageError(`${cause.message}. See ${TASK_COMMAND} ${name} --help.`);
  }
}

/** @throws {UsageError} unless there is exactly one. */
function onlyFile(name: string, [file, ...others]: readonly string[]): string {
  if (file !== undefined && file !== "" && others.length === 0) return file;
  throw new UsageError(`Name one file. See ${TASK_COMMAND} ${name} --help.`);
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1_000).toFixed(1);
}
