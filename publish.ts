import { parseArgs } from "node:util";
import { ConfigError } from "./lib/config.ts";
import { CliError, UsageError } from "./lib/keys_cli/cli_error.ts";
import { failureReason } from "./lib/keys_cli/failure_reason.ts";
import { serverUrlOf } from "./lib/keys_cli/server_url.ts";
import { openInput } from "./lib/publish_cli/input_file.ts";
import { publishInput, type PublishReport } from "./lib/publish_cli/publish_input.ts";
import { TASK_COMMAND } from "./lib/shared/task_command.ts";
import { countOf, formatBytes, formatNumber, rateOf, wasOrWere } from "./lib/terminal/progress.ts";
import { print, StatusLine } from "./lib/terminal/status_line.ts";

const HELP = `Publishes events from a file or from standard input: one per line, as JSON (NDJSON).

Usage: ${TASK_COMMAND} publish [--url URL] [--channel NAME] [--no-ids] [FILE]

  --url URL       The server. The default is the one that the settings WEIR_HOST and WEIR_PORT name.
  --channel NAME  Each line is the data of an event in this channel. Without it each line is an
                  event: {"channel":"a","data":1}, with type, id, key, ttl and ephemeral as needed.
  --no-ids        Do not give ids to events that have none. This is faster, but publishing fails
                  if a connection breaks. With ids what has no answer is sent again, and each event
                  is stored once.
  FILE            Its lines. The default, and -, is standard input.

Blank lines are skipped. A line that is refused is reported with its number, and the others are
published all the same. The exit code is 0 if all lines were stored, 1 if not, and 2 if the command
was called with wrong arguments. Ctrl+C ends the input and waits for the lines that were sent;
pressed twice, it does not wait. The exit code is 130 then.

The credential is the token or API key in the variable WEIR_TOKEN, if there is one.
`;

const status = new StatusLine();

// A terminal that is read keeps the process running.
Deno.exit(await main(Deno.args));

interface Arguments {
  readonly url: URL;
  readonly token: string | undefined;
  readonly channel: string | undefined;
  readonly hasIds: boolean;
  readonly file: string | undefined;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    print(HELP);
    return 0;
  }
  try {
    return await publish(parse(args));
  } catch (cause) {
    const isExpected = cause instanceof CliError || cause instanceof ConfigError;
    // The task turns off the runtime's own message.
    status.say(isExpected ? cause.message : `The command failed. ${cause}`);
    return cause instanceof UsageError ? 2 : 1;
  }
}

/** @throws {CliError} @throws {ConfigError} */
function parse(args: readonly string[]): Arguments {
  const text = { type: "string" } as const;
  const options = { url: text, channel: text, "no-ids": { type: "boolean" } } as const;
  const { values, positionals } = (() => {
    try {
      return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      throw new UsageError(`${cause.message}. See ${TASK_COMMAND} publish --help.`);
    }
  })();
  const [file, ...others] = positionals;
  if (others.length > 0) throw new UsageError(`Name one file. See ${TASK_COMMAND} publish --help.`);
  if (values.channel === "") throw new UsageError("--channel must not be empty.");
  const url = serverUrlOf(values.url);
  return {
    url,
    token: Deno.env.get("WEIR_TOKEN"),
    channel: values.channel,
    hasIds: values["no-ids"] !== true,
    file: file === "-" ? undefined : file,
  };
}

async function publish({ file, ...how }: Arguments): Promise<number> {
  const { input, totalBytes } = await openInput(file);
  const stop = new AbortController();
  const abort = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) abort.abort();
    else if (status.isTerminal) {
      status.say("Waiting for the answers. Press Ctrl+C again to end at once.");
    }
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  const start = performance.now();
  const show = ({ lines, refused, bytes }: PublishReport) => {
    status.show({
      events: lines,
      refused,
      bytes,
      totalBytes,
      elapsedMs: performance.now() - start,
    });
  };
  const report = await publishInput({
    ...how,
    input,
    stop: stop.signal,
    signal: abort.signal,
    onProgress: show,
    onRefused: (line, { code, detail }) => status.say(`line ${line}: ${code}: ${detail}`),
  });
  status.clear();
  print(summary(report, performance.now() - start));
  if (stop.signal.aborted) {
    status.say(`Stopped after line ${report.lastLine}. ${outcomeOf(report)}`);
    return 130;
  }
  if (report.failure === undefined) return report.refused > 0 ? 1 : 0;
  const { failure, failedLine } = report;
  const at = failedLine === undefined ? "" : ` at line ${failedLine}`;
  // The message of an answer is whole; that of a failed connection has its reason in the cause.
  const isUnreachable = failure instanceof Error && failure.cause instanceof Error;
  const why = isUnreachable ? ` (${failureReason(failure)})` : "";
  status.say(
    `Publishing failed${at}: ${failure instanceof Error ? failure.message : failure}${why}`,
  );
  status.say(outcomeOf(report));
  return 1;
}

/** Says which lines are stored. */
function outcomeOf({ lastLine, failedLine, failure }: PublishReport): string {
  const before = "All lines up to it are stored, except for those reported as refused.";
  if (failure === undefined) return `${before} None after it is.`;
  return failedLine === undefined
    ? `No line without an answer was sent.`
    : `The last line with an answer is ${lastLine}. ${before} Some after it may be stored.`;
}

function summary({ lines, bytes, refused, duplicates }: PublishReport, elapsedMs: number): string {
  const stored = lines - refused;
  const seconds = (elapsedMs / 1_000).toFixed(1);
  const rate = formatNumber(rateOf(stored, elapsedMs));
  const text = [
    `Published ${countOf(stored, "event")} (${
      formatBytes(bytes)
    }) in ${seconds} s, ${rate} per second.`,
  ];
  if (duplicates > 0) {
    text.push(`${formatNumber(duplicates)} of them ${wasOrWere(duplicates)} stored before.`);
  }
  if (refused > 0) text.push(`Refused: ${formatNumber(refused)}.`);
  return `${text.join("\n")}\n`;
}
