import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { Encoder, Run } from "../../log/run.ts";
import type { DrainPoller } from "./drain_poller.ts";
import { ephemeralText } from "./encoding.ts";
import type { ServerMessage } from "./message.ts";

/** Bytes that may wait for a socket. Above them it is full, and its subscriptions catch up later. */
const QUEUE_BYTES = 128 * 1024;

/** Sends everything that goes out over one WebSocket: answers, and the events of subscriptions. */
export class SocketOutput {
  readonly #socket: WebSocket;
  readonly #drainPoller: DrainPoller;
  #isClosed = false;

  constructor(socket: WebSocket, drainPoller: DrainPoller) {
    this.#socket = socket;
    this.#drainPoller = drainPoller;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Stops all output, and ends all waits for room. */
  close(): void {
    this.#isClosed = true;
  }

  send(message: ServerMessage): void {
    if (this.#isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** Acts as {@link Sink.write}. `encode` turns a run into messages, one a line. */
  write(runs: readonly Run[], encode: Encoder<string>): boolean {
    if (this.#isClosed) return true;
    const [only] = runs;
    const text = runs.length === 1 && only !== undefined
      ? encode(only)
      : runs.map(encode).join("\n");
    if (this.#isOpen) this.#socket.send(text);
    return this.hasRoom();
  }

  /** Acts as {@link Sink.deliverEphemeral}. */
  deliverEphemeral(batch: EphemeralBatch): void {
    if (this.#isOpen && this.hasRoom()) this.#socket.send(batch.encode(ephemeralText));
  }

  hasRoom(): boolean {
    return this.#isClosed || this.#socket.bufferedAmount < QUEUE_BYTES;
  }

  drained(): Promise<void> {
    return this.#drainPoller.waitForRoom(() => this.hasRoom());
  }

  get #isOpen(): boolean {
    return !this.#isClosed && this.#socket.readyState === WebSocket.OPEN;
  }
}

/** Takes the events of one subscription. A class, because closures for so many need more memory. */
export class SocketSink implements Sink {
  readonly #output: SocketOutput;
  readonly #encode: Encoder<string>;
  readonly close: (reason: CloseReason) => void;

  constructor(
    output: SocketOutput,
    encode: Encoder<string>,
    close: (reason: CloseReason) => void,
  ) {
    this.#output = output;
    this.#encode = encode;
    this.close = close;
  }

  write(runs: readonly Run[]): boolean {
    return this.#output.write(runs, this.#encode);
  }

  deliverEphemeral(batch: EphemeralBatch): void {
    this.#output.deliverEphemeral(batch);
  }

  hasRoom(): boolean {
    return this.#output.hasRoom();
  }

  drained(): Promise<void> {
    return this.#output.drained();
  }
}
