/** Publishes over raw keep-alive sockets, one request in flight on each, and checks every answer. */
import { microseconds } from "./counter.ts";
import type { LoadOptions } from "./options.ts";
import { connectOptions, writeAll } from "./subscriber.ts";
import { PublishRequest } from "./wire.ts";

/** The result of a round of publishes. */
export interface PublishReport {
  readonly published: number;
  readonly failed: number;
  /** The first failure, or "". */
  readonly failure: string;
  readonly seconds: number;
  /** How long each answer took, ms. */
  readonly latencies: readonly number[];
}

interface Round {
  left: number;
  next: number;
  published: number;
  failed: number;
  failure: string;
  readonly latencies: number[];
}

const decoder = new TextDecoder();

/** The publishers of a run, connected once for the warm-up and the timed part. */
export class Publishers {
  readonly #options: LoadOptions;
  readonly #connections: Deno.TcpConn[] = [];
  readonly #channels: number;

  private constructor(options: LoadOptions) {
    this.#options = options;
    this.#channels = Math.max(1, options.channels);
  }

  /** Connects `options.inFlight` publishers. */
  static async open(options: LoadOptions): Promise<Publishers> {
    const publishers = new Publishers(options);
    for (let i = 0; i < options.inFlight; i++) {
      const connection = await Deno.connect(connectOptions(options.publishAt));
      connection.setNoDelay(true);
      publishers.#connections.push(connection);
    }
    return publishers;
  }

  /** Publishes `messages` over all connections. Stops with a failure after `options.phaseMs`. */
  async publish(messages: number): Promise<PublishReport> {
    const round: Round = {
      left: messages,
      next: 0,
      published: 0,
      failed: 0,
      failure: "",
      latencies: [],
    };
    const begin = performance.now();
    const timer = setTimeout(() => {
      round.left = 0;
      round.failure ||= `publishing took longer than ${this.#options.phaseMs} ms`;
      this.close(); // ends the requests that have no answer
    }, this.#options.phaseMs);
    try {
      await Promise.all(this.#connections.map((connection) => this.#work(connection, round)));
    } finally {
      clearTimeout(timer);
    }
    const { published, failed, failure, latencies } = round;
    return { published, failed, failure, latencies, seconds: (performance.now() - begin) / 1000 };
  }

  /** Closes the connections. */
  close(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
  }

  async #work(connection: Deno.TcpConn, round: Round): Promise<void> {
    const requests: PublishRequest[] = [];
    const buffer = new Uint8Array(16_384);
    let due = performance.now();
    const { batch } = this.#options;
    try {
      while (round.left > 0) {
        round.left -= batch;
        if (this.#options.everyMs > 0) {
          due += this.#options.everyMs;
          await new Promise((wake) => setTimeout(wake, Math.max(0, due - performance.now())));
        }
        const channel = round.next++ % this.#channels;
        const request = requests[channel] ??= new PublishRequest(this.#options, channel);
        const begin = performance.now();
        request.stamp(microseconds());
        await writeAll(connection, request.bytes);
        const problem = checkAnswer(await readAnswer(connection, buffer), this.#options);
        round.latencies.push(performance.now() - begin);
        if (problem === "") round.published += batch;
        else fail(round, problem);
      }
    } catch (error) {
      fail(round, String(error));
    }
  }
}

function fail(round: Round, reason: string): void {
  round.failed++;
  round.failure ||= reason;
}

/** A complete response. */
interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Reads one HTTP/1.1 response, with a Content-Length or chunked (RFC 9112 §6). ASCII bodies only. */
async function readAnswer(connection: Deno.TcpConn, buffer: Uint8Array): Promise<Answer> {
  let have = 0;
  while (have < buffer.length) {
    const n = await connection.read(buffer.subarray(have));
    if (n === null) throw new Error("The server ended a publisher's connection");
    have += n;
    const answer = parseAnswer(decoder.decode(buffer.subarray(0, have)));
    if (answer !== undefined) return answer;
  }
  throw new Error(`The answer to a publish is longer than ${buffer.length} bytes`);
}

/** Parses the response in `text`; undefined while it is incomplete. */
export function parseAnswer(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const status = Number(text.slice(9, 12));
  const head = text.slice(0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const body = text.slice(end + 4);
    return body.length < Number(length) ? undefined : { status, body };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { status, body: "" };
  let body = "";
  let at = end + 4;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = parseInt(text.slice(at, line), 16);
    if (text.length < line + 2 + size + 2) return undefined;
    if (size === 0) return { status, body };
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

/** Returns what is wrong with the answer to a publish, or "". */
function checkAnswer(answer: Answer, options: LoadOptions): string {
  if (answer.status !== 201) return `publish answered ${answer.status}: ${answer.body}`;
  if (options.wire === "bare") return "";
  const body = JSON.parse(answer.body);
  const acknowledged = options.batch === 1 ? [body] : body.events;
  const hasOffset = acknowledged.length === options.batch &&
    acknowledged.every(({ offset }: { readonly offset?: unknown }) => typeof offset === "string");
  return hasOffset ? "" : `publish answered 201 without an offset: ${answer.body}`;
}
