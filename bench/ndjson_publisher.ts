/** Publishes events as lines of one request, and reads their answers meanwhile. */
import { ChunkedBody } from "./framing.ts";
import type { LoadOptions } from "./options.ts";
import type { Publisher, PublishReport } from "./publisher.ts";
import { connectOptions, writeAll } from "./subscriber.ts";
import { authorization, channelName, eventOf } from "./wire.ts";

/** Lines of one chunk of the body: 70 KB with events of 100 bytes. */
const CHUNK_LINES = 500;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Counts the answers of all requests of a round. */
class Answers {
  published = 0;
  failed = 0;
  failure = "";

  take(line: string): void {
    if (line.includes('"offset"')) this.published++;
    else this.fail(line);
  }

  fail(reason: string): void {
    this.failed++;
    this.failure ||= reason;
  }
}

/**
 * Publishes by `options.inFlight` streams of publishes, `POST /v1/events` with NDJSON, to the first
 * channel. The events contain no time.
 */
export class NdjsonPublisher implements Publisher {
  readonly #options: LoadOptions;
  readonly #line: string;
  readonly #chunk: Uint8Array;
  readonly #open = new Set<Deno.TcpConn>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#line = `{"channel":"${channelName(0)}","data":${eventOf(options.size)}}\n`;
    this.#chunk = this.#chunkOf(CHUNK_LINES);
  }

  async publish(messages: number): Promise<PublishReport> {
    const { inFlight, phaseMs } = this.#options;
    const answers = new Answers();
    const each = Math.ceil(messages / inFlight);
    const begin = performance.now();
    const timer = setTimeout(() => {
      answers.fail(`publishing took longer than ${phaseMs} ms`);
      this.close();
    }, phaseMs);
    const streams = Array.from({ length: inFlight }, (_, i) => {
      return this.#stream(Math.min(each, messages - i * each), answers);
    });
    await Promise.all(streams);
    clearTimeout(timer);
    const seconds = (performance.now() - begin) / 1000;
    const { published, failed, failure } = answers;
    return { published, failed, failure, refused: 0, latencies: [], seconds };
  }

  close(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }

  async #stream(lines: number, answers: Answers): Promise<void> {
    const connection = await Deno.connect(connectOptions(this.#options.publishAt));
    this.#open.add(connection);
    try {
      await Promise.all([this.#send(connection, lines), receive(connection, lines, answers)]);
    } catch (error) {
      answers.fail(String(error));
    }
    if (this.#open.delete(connection)) connection.close();
  }

  async #send(connection: Deno.TcpConn, lines: number): Promise<void> {
    const { publishAt, token } = this.#options;
    const head = [
      "POST /v1/events HTTP/1.1",
      `Host: ${publishAt}`,
      ...authorization(token),
      "Content-Type: application/x-ndjson",
      "Transfer-Encoding: chunked",
    ];
    await writeAll(connection, encoder.encode(`${head.join("\r\n")}\r\n\r\n`));
    for (let left = lines; left > 0; left -= CHUNK_LINES) {
      await writeAll(connection, left >= CHUNK_LINES ? this.#chunk : this.#chunkOf(left));
    }
    await writeAll(connection, encoder.encode("0\r\n\r\n"));
  }

  #chunkOf(lines: number): Uint8Array {
    const body = this.#line.repeat(lines);
    return encoder.encode(`${body.length.toString(16)}\r\n${body}\r\n`);
  }
}

/** Reads the answers to `lines` events. Throws if the server refuses the request or ends early. */
async function receive(connection: Deno.TcpConn, lines: number, answers: Answers): Promise<void> {
  const buffer = new Uint8Array(65_536);
  let have = 0;
  let bodyAt = -1;
  while (bodyAt < 0) {
    have += await read(connection, buffer.subarray(have));
    const end = decoder.decode(buffer.subarray(0, have)).indexOf("\r\n\r\n");
    if (end >= 0) bodyAt = end + 4;
  }
  const head = decoder.decode(buffer.subarray(0, bodyAt));
  if (!head.startsWith("HTTP/1.1 200 ") || !/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
    throw new Error(`Stream refused: ${decoder.decode(buffer.subarray(0, have))}`);
  }
  let answered = 0;
  let rest = "";
  const body = new ChunkedBody(buffer, (start, end) => {
    const complete = (rest + decoder.decode(buffer.subarray(start, end))).split("\n");
    rest = complete.pop() ?? "";
    for (const line of complete) answers.take(line);
    answered += complete.length;
  });
  body.push(bodyAt, have);
  while (answered < lines) body.push(0, await read(connection, buffer));
}

async function read(connection: Deno.TcpConn, space: Uint8Array): Promise<number> {
  const n = await connection.read(space);
  if (n === null) throw new Error("The server ended a stream of publishes");
  return n;
}
