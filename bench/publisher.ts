/** Publishes over raw keep-alive sockets, one request in flight on each, and checks every answer. */
import { microseconds } from "./counter.ts";
import { type Answer, readAnswer } from "./answer.ts";
import { connectToIsolates } from "./isolates.ts";
import type { LoadOptions } from "./options.ts";
import { PROTOCOLS } from "./rivals.ts";
import { connectOptions, writeAll } from "./subscriber.ts";
import { channelCount, PublishRequest } from "./wire.ts";

/** The result of a round of publishes. */
export interface PublishReport {
  readonly published: number;
  readonly failed: number;
  /** Answered with 503 where two writers publish. */
  readonly refused: number;
  /** The first failure, or "". */
  readonly failure: string;
  readonly seconds: number;
  /** How long each answer took, ms, for each writer. */
  readonly latencies: readonly (readonly number[])[];
}

/** Publishes the events of a run, in rounds. */
export interface Publisher {
  /** Publishes `messages` events. Stops with a failure after `phaseMs`. */
  publish(messages: number): Promise<PublishReport>;
  close(): void;
}

interface Round {
  left: number;
  next: number;
  published: number;
  failed: number;
  refused: number;
  failure: string;
  readonly latencies: number[][];
}

/** The publishers of a run, connected once for the warm-up and the timed part. */
export class Publishers implements Publisher {
  readonly #options: LoadOptions;
  /** The connections to each writer. */
  readonly #writers: readonly Deno.TcpConn[][];
  readonly #channels: number;
  #isClosed = false;

  private constructor(options: LoadOptions, writers: readonly Deno.TcpConn[][]) {
    this.#options = options;
    this.#writers = writers;
    this.#channels = channelCount(options);
  }

  /** Connects `options.inFlight` publishers, half of them to each writer if there are two. */
  static async open(options: LoadOptions): Promise<Publishers> {
    const { inFlight, publishAt, secondWriterAt } = options;
    if (secondWriterAt === "") {
      return new Publishers(options, [await connect(publishAt, inFlight)]);
    }
    const half = inFlight / 2;
    if (secondWriterAt === publishAt) {
      return new Publishers(options, await connectToIsolates(options, half));
    }
    const writers = [await connect(publishAt, half), await connect(secondWriterAt, half)];
    return new Publishers(options, writers);
  }

  async publish(messages: number): Promise<PublishReport> {
    const round: Round = {
      left: messages,
      next: 0,
      published: 0,
      failed: 0,
      refused: 0,
      failure: "",
      latencies: this.#writers.map(() => []),
    };
    const begin = performance.now();
    const timer = setTimeout(() => {
      round.left = 0;
      round.failure ||= `publishing took longer than ${this.#options.phaseMs} ms`;
      this.close(); // ends the requests that have no answer
    }, this.#options.phaseMs);
    try {
      await Promise.all(
        this.#writers.flatMap((connections, writer) =>
          connections.map((connection) => this.#work(connection, round, writer))
        ),
      );
    } finally {
      clearTimeout(timer);
    }
    const { left: _, next: __, ...report } = round;
    return { ...report, seconds: (performance.now() - begin) / 1000 };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const connection of this.#writers.flat()) connection.close();
  }

  async #work(connection: Deno.TcpConn, round: Round, writer: number): Promise<void> {
    const { batch, everyMs, secondWriterAt } = this.#options;
    const request = new PublishRequest(this.#options);
    const buffer = new Uint8Array(16_384);
    const latencies = round.latencies[writer] ?? [];
    let due = performance.now();
    try {
      while (round.left > 0) {
        round.left -= batch;
        if (everyMs > 0) {
          due += everyMs;
          await new Promise((wake) => setTimeout(wake, Math.max(0, due - performance.now())));
        }
        const channel = round.next++ % this.#channels;
        const begin = performance.now();
        request.prepare(channel, microseconds());
        await writeAll(connection, request.bytes);
        const answer = await readAnswer(connection, buffer);
        latencies.push(performance.now() - begin);
        if (answer.status === 503 && secondWriterAt !== "") {
          round.refused += batch;
          continue;
        }
        const problem = this.#check(answer);
        if (problem === "") round.published += batch;
        else fail(round, problem);
      }
    } catch (error) {
      fail(round, String(error));
    }
  }

  /** Returns what is wrong with the answer to a publish, or "". */
  #check(answer: Answer): string {
    const { wire, batch } = this.#options;
    if (PROTOCOLS[wire].accepts(answer, batch)) return "";
    return `publish answered ${answer.status}: ${answer.body}`;
  }
}

function fail(round: Round, reason: string): void {
  round.failed++;
  round.failure ||= reason;
}

/** Opens `count` connections. */
async function connect(at: string, count: number): Promise<Deno.TcpConn[]> {
  const connections: Deno.TcpConn[] = [];
  for (let i = 0; i < count; i++) {
    const connection = await Deno.connect(connectOptions(at));
    connection.setNoDelay(true);
    connections.push(connection);
  }
  return connections;
}
