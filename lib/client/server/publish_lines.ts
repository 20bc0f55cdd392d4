import type { Published } from "../api.ts";
import { badAnswerError, isCredentialError, isRetryable, toRequestError } from "../core/errors.ts";
import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { readRefusal } from "../core/refusal.ts";
import { WeirError } from "../core/weir_error.ts";
import { timeoutError } from "../../shared/async/deadline.ts";
import { delay } from "../../shared/async/delay.ts";
import { LineSplitter } from "../../shared/line_splitter.ts";
import { type ProducerAuth, publishHeaders } from "./credential.ts";
import { ReadAhead } from "./read_ahead.ts";
import { retryDelayMs } from "./retry_delay.ts";

const NDJSON = "application/x-ndjson";
/**
 * Events of one body, and UTF-16 units of their lines. The server reads such a body even if nobody
 * reads its answers before the end, as in browsers, and a slow connection sends it within
 * {@link SILENCE_TIMEOUT_MS}.
 */
const MAX_BODY_EVENTS = 4_000;
const MAX_BODY_CHARS = 256 * 1_024;
/** The server's limit of a line, without its line feed. */
const MAX_LINE_BYTES = 1_052_672;
/** Guards against a server whose answers do not end. */
const MAX_ANSWER_BYTES = 64 * 1_024;
/** How long a request may have no answer. Guards against a connection that is lost without notice. */
const SILENCE_TIMEOUT_MS = 15_000;

/** An event as a line of NDJSON. */
export interface EventLine {
  /** JSON without line feeds, and not blank. */
  readonly text: string;
  /** Whether it can be sent again: it has an id, or the server refuses it each time. */
  readonly isRepeatable: boolean;
}

/** Where an event was stored, or why it was refused, with its index. */
export type PublishOutcome = Published | WeirError;

interface PublishLinesOptions {
  readonly endpoint: URL;
  readonly auth: ProducerAuth | undefined;
  /** Milliseconds without an answer after which it fails. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Publishes lines, and yields what became of each, in their order. Lines that are errors already are
 * not sent.
 *
 * They are sent in requests of a bounded size, one after the other, because browsers read no answer
 * before they have sent a body, and some proxies pass on no body before its end. While a request is
 * under way the next lines are read. What has no answer when a request fails is sent again.
 *
 * @throws {WeirError} what the last try failed with once there was no answer for `timeoutMs`; at
 * once if a line without an answer is not repeatable, or the error is not temporary
 * @throws the reason of `signal`; what `source` throws
 */
export async function* publishLines(
  source: Iterable<EventLine | WeirError> | AsyncIterable<EventLine | WeirError>,
  options: PublishLinesOptions,
): AsyncGenerator<PublishOutcome, void, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const ahead = new ReadAhead(source, {
    sizeOf: (line) => line instanceof WeirError ? 0 : line.text.length,
    maxItems: MAX_BODY_EVENTS,
    maxSize: MAX_BODY_CHARS,
  });
  let index = 0;
  try {
    for (let batch; (batch = await ahead.take(signal)).length > 0;) {
      yield* publishBatch(batch, index, options);
      index += batch.length;
    }
  } finally {
    await ahead.close();
  }
}

/**
 * Publishes lines until each has an answer.
 *
 * @param first index of the first line
 * @throws {WeirError} with the index of the first line without an answer
 */
async function* publishBatch(
  batch: readonly (EventLine | WeirError)[],
  first: number,
  options: PublishLinesOptions,
): AsyncGenerator<PublishOutcome, void, undefined> {
  const { auth, timeoutMs, signal } = options;
  let at = 0;
  let failures = 0;
  let isRenewed = false;
  let end = performance.now() + timeoutMs;
  while (true) {
    for (let line; (line = batch[at]) instanceof WeirError; at++) yield withIndex(line, first + at);
    if (at === batch.length) return;
    const lines = batch.slice(at).filter((line): line is EventLine => !(line instanceof WeirError));
    let answered = 0;
    try {
      const tryMs = Math.min(SILENCE_TIMEOUT_MS, end - performance.now());
      for await (const answers of sendLines(lines, options, tryMs)) {
        for (const answer of answers) {
          if (answered === lines.length) continue; // only why the server ends its answers
          const outcome = outcomeOf(answer, answered);
          for (let line; (line = batch[at]) instanceof WeirError; at++) {
            yield withIndex(line, first + at);
          }
          answered++;
          failures = 0;
          isRenewed = false;
          yield outcome instanceof WeirError ? withIndex(outcome, first + at) : outcome;
          at++;
          end = performance.now() + timeoutMs;
        }
      }
      if (answered < lines.length) {
        throw new WeirError("body_incomplete", "The server ended its answers early.");
      }
    } catch (cause) {
      signal?.throwIfAborted();
      if (!(cause instanceof WeirError)) throw cause;
      const error = withIndex(cause, first + at);
      if (!canSendAgain(cause, lines.slice(answered))) throw error;
      if (isCredentialError(cause) && typeof auth === "function" && !isRenewed) {
        isRenewed = true;
        continue;
      }
      if (!isRetryable(cause) || cause.code === "auth_failed") throw error;
      const delayMs = retryDelayMs(cause, failures);
      if (cause.retryAfter === undefined) failures++;
      if (performance.now() + delayMs >= end) throw error;
      await delay(delayMs, { signal });
    }
  }
}

/** Returns why the server would not take such a line, and no more lines after it. */
export function lineError(text: string): WeirError | undefined {
  // At most three bytes of UTF-8 for each unit.
  if (3 * text.length <= MAX_LINE_BYTES) return undefined;
  const bytes = new TextEncoder().encode(text).length;
  if (bytes <= MAX_LINE_BYTES) return undefined;
  const detail = `The event has ${bytes} bytes as JSON; at most ${MAX_LINE_BYTES} are possible.`;
  return new WeirError("event_too_large", detail);
}

/** Whether lines without an answer can be sent again: by their ids, or as the server took none. */
function canSendAgain(
  { status, index, code }: WeirError,
  lines: readonly EventLine[],
): boolean {
  // A server that says why it takes no more lines has answered all that it took.
  const isOfServer = status !== undefined && index === undefined && code !== "bad_answer";
  return isOfServer || lines.every(({ isRepeatable }) => isRepeatable);
}

/** Sends a request. Yields its answers as they arrive. @throws {WeirError} */
async function* sendLines(
  lines: readonly EventLine[],
  { endpoint, auth, signal }: PublishLinesOptions,
  timeoutMs: number,
): AsyncGenerator<readonly JsonObject[], void, undefined> {
  const controller = new AbortController();
  const removeListener = onAbort(signal, () => controller.abort(signal?.reason));
  // The time in which the application takes the answers does not count.
  const inTime = async <T>(wait: () => Promise<T>): Promise<T> => {
    const timer = setTimeout(() => controller.abort(timeoutError(timeoutMs)), timeoutMs);
    try {
      return await wait();
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    const headers = await publishHeaders(auth, NDJSON);
    const body = lines.map(({ text }) => `${text}\n`).join("");
    const init = { method: "POST", headers, body, signal: controller.signal };
    const response = await inTime(() => fetch(endpoint, init));
    if (!response.ok) throw await inTime(() => readRefusal(response));
    const reader = response.body?.getReader();
    const splitter = new LineSplitter();
    const decoder = new TextDecoder();
    while (reader !== undefined) {
      const { value, done } = await inTime(() => reader.read());
      if (done) return;
      const answers: JsonObject[] = [];
      for (const line of splitter.push(value, MAX_ANSWER_BYTES)) {
        answers.push(parseJsonObject(decoder.decode(line)));
      }
      yield answers;
    }
  } catch (cause) {
    throw toRequestError(endpoint, cause);
  } finally {
    removeListener();
    controller.abort(); // ends the request if not all answers were taken
  }
}

/**
 * Returns what became of the line at `index` of a body.
 *
 * @throws {WeirError} if the line has to be sent again, or the server takes no more lines
 */
function outcomeOf(answer: JsonObject, index: number): PublishOutcome {
  const { channel, offset = "", id = "", code, detail, status, retryAfter } = answer;
  if (typeof code === "string") {
    const error = new WeirError(code, String(detail), {
      status: numberOf(status),
      retryAfter: numberOf(retryAfter),
      index: numberOf(answer["index"]),
    });
    const isOfLine: boolean = error.index !== undefined && !isCredentialError(error) &&
      !isRetryable(error);
    if (!isOfLine) throw error;
    if (error.index === index) return error;
  } else if (
    answer["index"] === index && typeof channel === "string" && typeof offset === "string" &&
    typeof id === "string"
  ) {
    return { channel, offset, id, duplicate: answer["duplicate"] === true };
  }
  throw badAnswerError("The answer has no acknowledgement.");
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function withIndex(
  { code, detail, status, retryAfter, cause }: WeirError,
  index: number,
): WeirError {
  return new WeirError(code, detail, { status, retryAfter, index, cause });
}
