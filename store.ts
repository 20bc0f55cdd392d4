import { parseArgs } from "node:util";
import { ConfigError, parseConfig } from "./lib/config.ts";
import { parseTenant } from "./lib/keys_cli/arguments.ts";
import { CliError, UsageError } from "./lib/keys_cli/cli_error.ts";
import { serverUrlOf } from "./lib/keys_cli/server_url.ts";
import { openInput } from "./lib/publish_cli/input_file.ts";
import { DEFAULT_TENANT } from "./lib/shared/channel.ts";
import { backupStore } from "./lib/store_cli/backup_store.ts";
import { exportChannels } from "./lib/store_cli/export_channels.ts";
import { importChannels } from "./lib/store_cli/import_channels.ts";
import { openImportStore } from "./lib/store_cli/import_store.ts";
import { restoreStore } from "./lib/store_cli/restore_store.ts";
import { TASK_COMMAND } from "./lib/shared/task_command.ts";
import { countOf, formatBytes, wasOrWere } from "./lib/terminal/progress.ts";
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
  export: {
    run: exportTo,
    help: `Writes the channels of a running server to a file, one event per line, as JSON (NDJSON).

Usage: ${TASK_COMMAND} export [--url URL] [--channel NAME]... [FILE]

  --url URL       The server. The default is the one that the settings WEIR_HOST and WEIR_PORT name.
  --channel NAME  A channel, repeated as needed. The default is all that the credential may read,
                  except for those whose names start with $.
  FILE            Where to write. The default, and -, is standard output.

A channel has a first line with its first and last offset and its retention, a line for each event,
and a last line with their number. Each channel is exported up to the end that it has when its turn
comes. An interrupted export to a file is continued when it is started again; until it is complete,
the name of the file ends with .part.

The exit code is 0 if all channels were exported, 1 if not, 2 if the command was called with wrong
arguments, and 130 after Ctrl+C. The credential is the token or API key in the variable WEIR_TOKEN,
if there is one. It needs the right to subscribe to the channels.
`,
  },
  import: {
    run: importFrom,
    help: `Stores the channels of an export, with their offsets, ids, times and publishers.

Usage: ${TASK_COMMAND} import [--tenant NAME] [FILE]

  --tenant NAME   Where to store them. The default is "${DEFAULT_TENANT}".
  FILE            The export. The default, and -, is standard input.

The store is the one that WEIR_KV names, by default weir.db in WEIR_DATA. No server may run on a
file, but servers may use a KV server meanwhile. A channel appears when all its events are stored.
One that exists already is left as it is and reported, and so is one that was deleted within the last
24 hours. An interrupted import is continued when it is started again with the same file within an
hour; later it begins again. Only one import of a channel may run at a time.

The exit code is 0 if the store has all channels of the file, 1 if not, 2 if the command was called
with wrong arguments, and 130 after Ctrl+C.
`,
  },
};

const text = { type: "string" } as const;
const texts = { type: "string", multiple: true } as const;
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
  print(`Restored ${countOf(events, "event")} to ${kv} in ${secondsSince(start)} s.\n`);
  return 0;
}

async function exportTo(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse("export", args, { url: text, channel: texts });
  const file = fileOrPipe("export", positionals);
  const url = serverUrlOf(values.url);
  const stop = stopOnSignal();
  const start = performance.now();
  const report = await exportChannels({
    url,
    token: Deno.env.get("WEIR_TOKEN"),
    channels: values.channel,
    file,
    stop,
    onProgress: ({ events, totalEvents }) => {
      const elapsedMs = performance.now() - start;
      status.show({ events, bytes: undefined, totalBytes: undefined, totalEvents, elapsedMs });
    },
  });
  status.clear();
  if (stop.aborted) return stopped("export");
  const { channels, events } = report;
  status.say(`Exported ${countOf(events, "event")} of ${countOf(channels, "channel")}.`);
  return 0;
}

async function importFrom(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse("import", args, { tenant: text });
  const file = fileOrPipe("import", positionals);
  const tenant = parseTenant(values.tenant) ?? DEFAULT_TENANT;
  const { kv, retention } = parseConfig(Deno.env.toObject());
  const { input, totalBytes } = await openInput(file);
  const stop = stopOnSignal();
  const start = performance.now();
  await using store = await openImportStore(kv);
  const report = await importChannels({
    store,
    input,
    tenant,
    retention,
    now: Date.now,
    stop,
    onProgress: ({ readEvents: events, readBytes: bytes }) => {
      status.show({ events, bytes, totalBytes, elapsedMs: performance.now() - start });
    },
    onWaiting: (channel) => {
      const why = "another import of it was killed or is still running";
      status.say(`Waiting up to 10 s for ${channel}: ${why}.`);
    },
    onRefused: (channel, why) => status.say(`${channel} was not imported: ${why}.`),
  });
  status.clear();
  if (stop.aborted) return stopped("import");
  const { channels, continued, known, refused, events } = report;
  const imported = `${countOf(channels, "channel")} of ${countOf(events, "event")}`;
  const sentences = [`Imported ${channels > 0 ? imported : "nothing"}.`];
  const add = (count: number, what: string) => {
    if (count > 0) sentences.push(`${countOf(count, "channel")} ${what}.`);
  };
  add(continued, `of an interrupted import ${wasOrWere(continued)} continued`);
  add(known, "had been imported before");
  add(refused, `${wasOrWere(refused)} refused`);
  print(`${sentences.join(" ")}\n`);
  return refused > 0 ? 1 : 0;
}

/** Aborts at the first Ctrl+C. At the second one the command ends at once. */
function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (stop.signal.aborted) Deno.exit(130);
      stop.abort();
    });
  }
  return stop.signal;
}

function stopped(name: string): number {
  status.say(`Stopped. Start ${TASK_COMMAND} ${name} again to continue.`);
  return 130;
}

function showBytes(start: number): (share: number, bytes: number) => void {
  return (share, totalBytes) => {
    const elapsedMs = performance.now() - start;
    status.show({ events: undefined, bytes: share * totalBytes, totalBytes, elapsedMs });
  };
}

/** @throws {UsageError} */
function parse<O extends Readonly<Record<string, typeof text | typeof texts | typeof flag>>>(
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

/** Returns undefined for a pipe. @throws {UsageError} */
function fileOrPipe(name: string, files: readonly string[]): string | undefined {
  if (files.length === 0) return undefined;
  const file = onlyFile(name, files);
  return file === "-" ? undefined : file;
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1_000).toFixed(1);
}
