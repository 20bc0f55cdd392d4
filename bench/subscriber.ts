/** One subscription over a raw socket: connects, waits until it is live, and counts events. */
import { MarkerCounter, type Tally } from "./counter.ts";
import { ChunkedBody, clientFrame, type Deframer, WebSocketFrames } from "./framing.ts";
import type { LoadOptions } from "./options.ts";
import { subscribeRequest, type TcpTransport } from "./wire.ts";

const decoder = new TextDecoder();
const PONG = clientFrame("pong", new Uint8Array());

type TcpOptions = LoadOptions & { readonly transport: TcpTransport };

/** A live subscription. Adds events to its tally until {@linkcode close}. */
export class Subscriber {
  readonly #connection: Deno.TcpConn;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #counter: MarkerCounter;
  #deframer: Deframer | undefined;
  /** The server's output before the subscription was live; undefined after that. */
  #opening: string | undefined = "";
  /** Why it ended before {@linkcode close}, or "". */
  ended = "";
  #closed = false;

  private constructor(connection: Deno.TcpConn, options: TcpOptions, tally: Tally, index: number) {
    this.#connection = connection;
    // A large buffer needs fewer reads, but ten thousand of them do not fit in memory.
    const isBusy = options.subscribers <= 2000 && !options.ownChannels;
    this.#buffer = new Uint8Array(isBusy ? 65_536 : 16_384);
    const { subscribers, stalled, ownChannels } = options;
    const few = subscribers - stalled < 50 || ownChannels;
    this.#counter = new MarkerCounter(this.#buffer, tally, {
      spacing: options.size,
      sampleEvery: few ? 1 : (index - stalled) % 50 === 0 ? 5 : 0,
    });
  }

  /**
   * Connects and resolves when the subscription is live. If it is one of the first
   * `options.stalled`, it reads nothing from then on.
   *
   * @throws {Error} If the server refuses, with its answer.
   */
  static async open(options: TcpOptions, tally: Tally, index: number): Promise<Subscriber> {
    const connection = await Deno.connect(connectOptions(options.subscribeAt));
    try {
      const subscriber = new Subscriber(connection, options, tally, index);
      await subscriber.#handshake(options, index);
      if (index >= options.stalled) subscriber.#run();
      return subscriber;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Closes the connection. Events that it received before remain counted. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  /** Sends an unsolicited pong (RFC 6455 §5.5.3), so that the server keeps the connection. */
  pong(): void {
    if (!this.#closed) this.#connection.write(PONG).catch(() => {});
  }

  async #handshake(options: TcpOptions, index: number): Promise<void> {
    const { head, hello, liveAt } = await subscribeRequest(options, index);
    await writeAll(this.#connection, head);
    let have = 0;
    let bodyAt = -1;
    while (bodyAt < 0) {
      have += await this.#read(have);
      const end = decoder.decode(this.#buffer.subarray(0, have)).indexOf("\r\n\r\n");
      if (end >= 0) bodyAt = end + 4;
    }
    const answer = decoder.decode(this.#buffer.subarray(0, have));
    const websocket = options.transport === "websocket";
    if (!answer.startsWith(`HTTP/1.1 ${websocket ? 101 : 200} `)) {
      throw new Error(`Subscribe refused: ${answer.slice(0, 600)}`);
    }
    if (!websocket && !/\r\ntransfer-encoding: chunked\r\n/i.test(answer)) {
      throw new Error(`Subscribe answer is not chunked: ${answer.slice(0, 600)}`);
    }
    this.#deframer = websocket
      ? new WebSocketFrames(this.#buffer, this.#payload, this.#control)
      : new ChunkedBody(this.#buffer, this.#payload);
    if (hello !== undefined) await writeAll(this.#connection, clientFrame("text", hello));
    this.#deframer.push(bodyAt, have);
    while (!(this.#opening ?? "").includes(liveAt)) {
      this.#deframer.push(0, await this.#read(0));
    }
    this.#opening = undefined;
  }

  readonly #payload = (start: number, end: number): void => {
    this.#counter.count(start, end);
    if (this.#opening !== undefined) {
      this.#opening += decoder.decode(this.#buffer.subarray(start, end));
    }
  };

  readonly #control = (opcode: "ping" | "close"): void => {
    if (opcode === "ping") this.pong();
    else this.ended = "the server closed the WebSocket";
  };

  async #read(at: number): Promise<number> {
    const space = this.#buffer.subarray(at);
    if (space.length === 0) throw new Error("Response head is too long");
    const n = await this.#connection.read(space);
    if (n === null) throw new Error("The server ended the connection");
    return n;
  }

  async #run(): Promise<void> {
    const deframer = this.#deframer;
    if (deframer === undefined) return;
    try {
      while (!this.#closed) {
        const n = await this.#connection.read(this.#buffer);
        if (n === null) break;
        deframer.push(0, n);
      }
    } catch (error) {
      if (!this.#closed) this.ended = String(error);
    }
    if (!this.#closed && this.ended === "") this.ended = "the server ended the stream";
  }
}

/** Parses `127.0.0.1:PORT` into options of `Deno.connect`. */
export function connectOptions(at: string): { hostname: string; port: number } {
  const colon = at.lastIndexOf(":");
  return { hostname: at.slice(0, colon), port: Number(at.slice(colon + 1)) };
}

/** Writes all of `bytes`; one call may write fewer. */
export async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  let at = await connection.write(bytes);
  while (at < bytes.length) at += await connection.write(bytes.subarray(at));
}
