import { WeirError } from "../client/core/weir_error.ts";
import { publishEndpoint } from "../client/server/publish_endpoint.ts";
import { publishLines } from "../client/server/publish_lines.ts";
import { randomId } from "../shared/random_id.ts";
import { eventLine } from "./event_line.ts";
import { readLines } from "./input_lines.ts";

/** More than the server takes of an event, with its data and its other members. */
const MAX_LINE_BYTES = 2 ** 21;
/** Milliseconds without an answer after which publishing fails. */
const TIMEOUT_MS = 60_000;

interface PublishInputOptions {
  readonly input: ReadableStream<Uint8Array>;
  /** The server's URL, which may have a path. */
  readonly url: URL;
  readonly token: string | undefined;
  /** The channel of all events, whose data the lines are. @default each line is an event */
  readonly channel: string | undefined;
  /** Whether events without an id get one. */
  readonly hasIds: boolean;
  /** Ends the input. Resolves once all lines that were read have an answer. */
  readonly stop: AbortSignal;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
  /** Called for each answer. */
  readonly onProgress: (report: PublishReport) => void;
  /** Called for each line that is refused. */
  readonly onRefused: (line: number, error: WeirError) => void;
}

/** What has become of the input so far. */
export interface PublishReport {
  /** Lines with an answer. */
  readonly lines: number;
  /** The number of the last of them. */
  readonly lastLine: number;
  /** Bytes of the input up to its end. */
  readonly bytes: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Why it ended before the input, unless it was stopped. */
  readonly failure: unknown;
  /** The number of the first line without an answer, if it failed. */
  readonly failedLine: number | undefined;
}

/** Publishes the lines of `input`. Never rejects: see {@link PublishReport.failure}. */
export async function publishInput(options: PublishInputOptions): Promise<PublishReport> {
  const { input, url, token, channel, hasIds, stop, signal, onProgress, onRefused } = options;
  const prefix = randomId();
  let ids = 0;
  const newId = () => hasIds ? `${prefix}-${ids++}` : undefined;
  /** Of the lines without an answer: as many as the client reads ahead. */
  const places: { readonly number: number; readonly endBytes: number }[] = [];
  async function* lines() {
    for await (const line of readLines(input, { maxBytes: MAX_LINE_BYTES, stop })) {
      const event = eventLine(line, { channel, newId });
      places.push({ number: line.number, endBytes: line.endBytes });
      yield event;
    }
  }
  let report: PublishReport = {
    lines: 0,
    lastLine: 0,
    bytes: 0,
    duplicates: 0,
    refused: 0,
    failure: undefined,
    failedLine: undefined,
  };
  const endpoint = publishEndpoint(url);
  try {
    const sending = { endpoint, auth: token, timeoutMs: TIMEOUT_MS, signal };
    for await (const outcome of publishLines(lines(), sending)) {
      const { number = 0, endBytes = 0 } = places.shift() ?? {};
      const isRefused = outcome instanceof WeirError;
      report = {
        ...report,
        lines: report.lines + 1,
        lastLine: number,
        bytes: endBytes,
        duplicates: report.duplicates + (!isRefused && outcome.duplicate ? 1 : 0),
        refused: report.refused + (isRefused ? 1 : 0),
      };
      if (isRefused) onRefused(number, outcome);
      onProgress(report);
    }
  } catch (failure) {
    return { ...report, failure, failedLine: places[0]?.number };
  }
  return report;
}
