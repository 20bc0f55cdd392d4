import { WeirError } from "../../core/weir_error.ts";
import type { FileLink } from "../api.ts";
import { Bitmap } from "./bitmap.ts";
import { ChunkReader } from "./chunk_reader.ts";
import { toHex } from "./hash.ts";
import { peerError } from "./peer_error.ts";
import type { Offer, ReceiverMessage, SenderMessage } from "./protocol.ts";
import { SendingRun } from "./sending_run.ts";
import type { OutgoingTransfer } from "./transfer.ts";

/** Bytes after which the receiver is asked to confirm what it has stored. */
const MARK_BYTES = 2 ** 19;

/** From this round of repair on, a reliable channel is used, so that every transfer ends. */
const RELIABLE_ROUND = 3;

/** How often a receiver may begin again. Guards against one that asks for the file endlessly. */
const MAX_STARTS = 1_000;

/** What a sender needs of the side to which it sends. */
interface Side {
  readonly link: FileLink;
  /** Whether messages arrive at the moment. */
  readonly isConnected: boolean;
  send(message: SenderMessage): void;
  /** Resolves when the run may send, or has ended. */
  takeSlot(run: SendingRun): Promise<() => void>;
}

interface SenderOptions {
  readonly transfer: OutgoingTransfer;
  now(): number;
  /** The transfer is over. */
  onOver(): void;
  /** The transfer waits for its peer. */
  onWaiting(): void;
}

/** Milliseconds between changes that only concern figures. */
export const PUBLISH_INTERVAL_MS = 100;

/** Sends one file. */
export class Sender {
  readonly transfer: OutgoingTransfer;
  /** The side to which it was offered last, or which it sends over. */
  side: Side | undefined;
  /** Whether the receiver has accepted it. */
  hasStarted = false;
  readonly #options: SenderOptions;
  readonly #reader: ChunkReader;
  #run: SendingRun | undefined;
  #starts = 0;
  #channels = 0;
  #isPeerPaused = false;
  #wasPaused = false;
  #publishedAt = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.transfer = options.transfer;
    this.#reader = new ChunkReader(this.transfer.source, this.transfer);
    this.transfer.onWish = () => this.#wish();
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  get offer(): Offer {
    const { id, secret, name, size, type, chunkBytes: chunk } = this.transfer;
    return { op: "offer", id, secret, name, size, type, chunk, again: this.hasStarted };
  }

  #wish(): void {
    const { transfer } = this;
    if (transfer.isOver) return;
    if (transfer.isCancelled) return this.#end("cancelled", undefined, "cancelled");
    if (this.#run !== undefined && this.#wasPaused !== transfer.isPaused) {
      this.#send({ op: "pause", id: transfer.id, paused: transfer.isPaused });
      this.#wasPaused = transfer.isPaused;
    }
    this.#run?.changed.notify();
    this.show();
  }

  /** Handles a message about this transfer that came over `side`. */
  received(side: Side, message: ReceiverMessage): void {
    if (this.transfer.isOver) return;
    switch (message.op) {
      case "start":
        return this.#start(side, message);
      case "cancel":
        if (side === this.side) this.#cancelled(message.code);
        return;
      case "done":
        if (side === this.side && this.hasStarted) this.#done();
        return;
    }
    const run = this.#run;
    if (side !== this.side || run === undefined) return; // of an earlier run
    if (message.op === "pause") {
      this.#isPeerPaused = message.paused;
      run.changed.notify();
      this.show();
    } else if (message.op === "ack") {
      const confirmed = run.confirm(message.count);
      if (confirmed === undefined) return this.fail(peerError("confirms more than was sent"));
      const { chunks } = this.transfer.state.value;
      for (const index of confirmed) if (chunks[index] === 0) this.transfer.markReceived(index);
      this.transfer.bytes = Math.min(message.bytes, this.transfer.size);
      this.#showSoon();
    } else if (message.op === "have") {
      // An answer to an earlier end of the same run is late, not wrong.
      if (message.round !== run.round || !run.isLossy) return;
      const have = Bitmap.parse(this.transfer.count, message.have);
      if (have === undefined) return this.fail(peerError("sends a bitmap of another file"));
      run.reply = have;
      run.changed.notify();
    }
  }

  #start(side: Side, message: ReceiverMessage & { readonly op: "start" }): void {
    const { transfer } = this;
    if (message.secret !== transfer.secret) return;
    const have = Bitmap.parse(transfer.count, message.have);
    if (have === undefined) return this.fail(peerError("sends a bitmap of another file"));
    if (++this.#starts > MAX_STARTS) return this.fail(peerError("begins again too often"));
    this.#run?.end();
    this.side = side;
    this.hasStarted = true;
    this.#isPeerPaused = message.paused;
    const { id, connections, mode, chunkBytes } = transfer;
    const run = new SendingRun({
      link: side.link,
      id,
      connections,
      isPartial: mode === "partial",
      chunkBytes,
      nextChannel: () => this.#channels++,
    });
    this.#run = run;
    this.#wasPaused = false;
    this.#wish(); // repeats a pause to the peer
    void this.#sendAll(run, side, have);
  }

  async #sendAll(run: SendingRun, side: Side, have: Bitmap): Promise<void> {
    const { transfer } = this;
    const freeSlot = await side.takeSlot(run);
    try {
      if (run.isEnded) return;
      run.open();
      let known = have;
      for (;;) {
        if (run.round === RELIABLE_ROUND) run.openReliable();
        run.isLossy = transfer.mode === "partial" && run.round < RELIABLE_ROUND;
        this.#compare(known, run.round > 0);
        await this.#pass(run, known.missing());
        if (run.isLossy) await run.drain();
        const reply = await this.#endRound(run);
        if (reply === undefined) return;
        known = reply;
        run.round++;
        transfer.rounds++;
      }
    } catch (cause) {
      if (run.isEnded) return;
      if (cause instanceof WeirError) return this.fail(cause);
      // The connection has closed between two events, or the peer closes all channels.
      if (side.isConnected) this.fail(peerError("closes the channels", cause));
      else this.interrupt();
    } finally {
      freeSlot();
    }
  }

  /** Shows what the receiver has, and what is lost if it was sent in this run. */
  #compare(have: Bitmap, wasSent: boolean): void {
    const { transfer } = this;
    for (let index = 0; index < transfer.count; index++) {
      if (have.has(index)) transfer.markReceived(index);
      else if (wasSent) transfer.markLost(index);
      else transfer.markMissing(index);
    }
    this.show();
  }

  /** Sends these chunks. @throws {WeirError} `file_changed` */
  async #pass(run: SendingRun, indexes: Iterable<number>): Promise<void> {
    const { id, chunkBytes } = this.transfer;
    const perMark = Math.max(1, Math.floor(MARK_BYTES / chunkBytes));
    const isPaused = () => this.transfer.isPaused || this.#isPeerPaused;
    for await (const { index, message } of this.#reader.read(indexes)) {
      const channel = await run.roomyChannel(message.length, isPaused);
      if (channel === undefined) return;
      channel.send(message);
      run.wasSent(index);
      if (run.sent % perMark === 0) this.#send({ op: "mark", id, count: run.sent });
    }
  }

  /** Resolves with what the receiver has, or with undefined once the run has ended. */
  async #endRound(run: SendingRun): Promise<Bitmap | undefined> {
    const root = toHex(await this.#reader.hashes.root());
    const { id } = this.transfer;
    const { round } = run;
    let isLossy: boolean | undefined;
    while (!run.isEnded) {
      if (run.isLossy !== isLossy) { // at first, and when a channel was lost
        isLossy = run.isLossy;
        this.#send({ op: "mark", id, count: run.sent });
        this.#send({ op: "end", id, round, lossy: isLossy, root });
      }
      const { reply } = run;
      run.reply = undefined;
      if (reply !== undefined) return reply;
      await run.changed.wait();
    }
    return undefined;
  }

  /** The connection to the peer is lost. */
  interrupt(): void {
    this.#run?.end();
    this.#run = undefined;
    if (this.transfer.isOver) return;
    this.show();
    this.#options.onWaiting();
  }

  /** Shows the state as it is now. */
  show(): void {
    const { transfer } = this;
    if (transfer.isOver) return;
    this.#publishedAt = this.#options.now();
    if (!this.hasStarted) transfer.publish("offered");
    else if (this.#run === undefined || !this.side?.isConnected) transfer.publish("waiting");
    else transfer.publish(transfer.isPaused || this.#isPeerPaused ? "paused" : "active");
  }

  #showSoon(): void {
    if (this.#options.now() - this.#publishedAt >= PUBLISH_INTERVAL_MS) this.show();
  }

  #send(message: SenderMessage): void {
    this.side?.send(message);
  }

  #done(): void {
    const { transfer } = this;
    for (let index = 0; index < transfer.count; index++) transfer.markReceived(index);
    transfer.bytes = transfer.size;
    this.#end("done");
  }

  #cancelled(code: string): void {
    if (code === "declined") return this.#end("declined");
    const error = new WeirError(code, `The receiver has ended the transfer: ${code}.`);
    this.#end(code === "cancelled" ? "cancelled" : "failed", error);
  }

  /** Ends the transfer, and informs the peer. */
  fail(error: WeirError): void {
    if (this.transfer.isOver) return;
    this.#end("failed", error, error.code);
  }

  #end(
    status: "done" | "declined" | "cancelled" | "failed",
    error?: WeirError,
    code?: string,
  ): void {
    const { id } = this.transfer;
    if (code !== undefined) this.#send({ op: "cancel", id, code });
    this.#run?.end();
    this.#run = undefined;
    this.transfer.publish(status, error);
    this.#options.onOver();
  }
}
