import type { EphemeralBatch } from "../../hub/ephemeral_batch.ts";
import type { CloseReason, Sink } from "../../hub/sink.ts";
import type { Encoder, Run } from "../../log/run.ts";
import type { DrainPoller } from "./drain_poller.ts";
import { socketEphemeral } from "../json_encoding.ts";
import type { ServerMessage } from "./message.ts";

/** Bytes that wait for a socket before it is full and its subscriptions turn to catching up. */
const QUEUE_BYTES = 128 * 1024;

/** What goes out over one socket: answers, and the events of its subscriptions, which share it. */
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

  /** Nothing more goes out, and nobody waits for room. */
  close(): void {
    this.#isClosed = true;
  }

  send(message: ServerMessage): void {
    if (this.#isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** As {@link Sink.write}, with `encode` for what a run is as messages, a line each. */
  write(runs: readonly Run[], encode: Encoder<string>): boolean {
    if (this.#isClosed) return true;
    const [only] = runs;
    const text = runs.length === 1 && only !== undefined
      ? encode(only)
      : runs.map(encode).join("\n");
    if (this.#isOpen) this.#socket.send(text);
    return this.hasRoom();
  }

  /** As {@link Sink.deliverEphemeral}. */
  notify(batch: EphemeralBatch): void {
    if (this.#isOpen && this.hasRoom()) this.#socket.send(batch.encode(socketEphemeral));
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

/** Where the events of one subscription go. A class, for there are many: closures weigh more. */
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
    this.#output.notify(batch);
  }

  hasRoom(): boolean {
    return this.#output.hasRoom();
  }

  drained(): Promise<void> {
    return this.#output.drained();
  }
}
