import type { Platform } from "../../core/platform.ts";
import { WeirError } from "../../core/weir_error.ts";
import type { AcceptOptions, FilePeer, IncomingFile } from "../api.ts";
import { createInHandle } from "./handle_storage.ts";
import { equalBytes, sha256, toHex } from "./hash.ts";
import { bytesOf, bytesOfChunk } from "./layout.ts";
import { peerError } from "./peer_error.ts";
import { type Chunk, decodeChunk, type ReceiverMessage, type SenderMessage } from "./protocol.ts";
import { PUBLISH_INTERVAL_MS } from "./sender.ts";
import type { FileRecord, FileStorage, PartialFile } from "./storage.ts";
import { Transfer } from "./transfer.ts";

/**
 * Bytes that have arrived and are not stored yet. A sender that keeps to the protocol has at most
 * 4 MiB unconfirmed, and some on the way. Guards against one that floods a slow disk.
 */
const MAX_WAITING_BYTES = 2 ** 24;

/** Chunks that arrive twice in one run, beyond one for each chunk of the file. Guards the CPU. */
const MAX_REPEATS = 1_024;

/** Channels with chunks in one run. Guards against a sender that opens channels endlessly. */
const MAX_CHANNELS = 32;

/** After the end of a lossy round, chunks are taken for lost once none has come for this time. */
const QUIET_MS = 200;

/** Types whose content no browser runs as a script in the page's origin. */
const HARMLESS_TYPE =
  /^(?:audio|video|font)\/|^image\/(?!svg)|^text\/plain\b|^application\/(?:zip|gzip|json|pdf)$/;

/** The receiver's end of a transfer, as the application sees it. */
class IncomingTransfer extends Transfer implements IncomingFile {
  isAccepted = false;
  isDeclined = false;
  saveTo: FileSystemFileHandle | undefined;
  readonly whole = Promise.withResolvers<File>();

  accept({ saveTo }: AcceptOptions = {}): void {
    if (!this.isAccepted) this.saveTo = saveTo;
    this.isAccepted = true;
    this.onWish();
  }

  decline(): void {
    this.isDeclined = true;
    this.onWish();
  }

  file(): Promise<File> {
    return this.whole.promise;
  }
}

/** What a receiver needs of the side from which it receives. */
interface Side {
  /** Whether messages arrive at the moment. */
  readonly isConnected: boolean;
  send(message: ReceiverMessage): void;
}

interface ReceiverOptions {
  readonly record: FileRecord;
  readonly peer: FilePeer;
  readonly side: Side;
  readonly storage: FileStorage;
  readonly timers: Pick<Platform, "now" | "setTimeout" | "clearTimeout">;
  /** What an earlier page has received. The file was accepted there. */
  readonly partial?: PartialFile | undefined;
  /** The transfer is over. `code` answers a sender that offers it again. */
  onOver(code: string): void;
}

/** Receives one file. */
export class Receiver {
  readonly transfer: IncomingTransfer;
  readonly record: FileRecord;
  /** Where its sender is. */
  side: Side | undefined;
  readonly #options: ReceiverOptions;
  #partial: PartialFile | undefined;
  #isOpening = false;
  #channels = new Set<RTCDataChannel>();
  #starts = 0;
  #opened = 0;
  /** Chunks that have arrived and are not stored yet. */
  readonly #waiting = new Set<number>();
  #waitingBytes = 0;
  #repeats = 0;
  /** Resolves when all chunks that have arrived are stored. */
  #stored: Promise<unknown> = Promise.resolve();
  #end: (SenderMessage & { readonly op: "end" }) | undefined;
  #quietTimer: unknown;
  #isCompleting = false;
  #isPeerPaused = false;
  #wasPaused = false;
  #publishedAt = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.record = options.record;
    this.side = options.side;
    this.transfer = new IncomingTransfer({ ...options.record, peer: options.peer });
    this.transfer.whole.promise.catch(() => {}); // the state has the error too
    this.transfer.onWish = () => this.#wish();
    if (options.partial !== undefined) {
      this.transfer.isAccepted = true;
      this.#begin(options.partial);
    }
  }

  get isUndecided(): boolean {
    return !this.transfer.isAccepted && !this.transfer.isOver;
  }

  #wish(): void {
    const { transfer } = this;
    if (transfer.status === "done" && transfer.isCancelled) {
      transfer.publish("cancelled");
      return this.#removePartial();
    }
    if (transfer.isOver) return;
    if (transfer.isCancelled) return this.#over("cancelled", undefined, "cancelled");
    if (transfer.isDeclined && !transfer.isAccepted) {
      return this.#over("declined", undefined, "declined");
    }
    if (!transfer.isAccepted) return;
    if (this.#partial === undefined) void this.#create();
    else if (this.#wasPaused !== transfer.isPaused) {
      this.#wasPaused = transfer.isPaused;
      this.#send({ op: "pause", id: transfer.id, paused: transfer.isPaused });
    }
    this.show();
  }

  async #create(): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    try {
      const { saveTo } = this.transfer;
      const partial = saveTo === undefined
        ? await this.#options.storage.create(this.record)
        : await createInHandle(saveTo, this.record);
      if (this.transfer.isOver) await partial.remove();
      else this.#begin(partial);
    } catch (cause) {
      this.#failStorage(cause);
    }
  }

  #begin(partial: PartialFile): void {
    this.#partial = partial;
    const { have } = partial;
    for (let index = 0; index < have.length; index++) {
      if (have.has(index)) this.transfer.markReceived(index);
    }
    this.transfer.bytes = bytesOf(this.record, have);
    this.start();
  }

  /** Asks the sender for all chunks that are missing, unless the file is not accepted yet. */
  start(): void {
    const { transfer, record: { id, secret } } = this;
    const partial = this.#partial;
    if (partial === undefined) return;
    this.#closeChannels();
    this.#starts++;
    this.#opened = 0;
    this.#repeats = 0;
    this.#isPeerPaused = false;
    this.#wasPaused = transfer.isPaused;
    const have = partial.have.toBase64();
    this.#send({ op: "start", id, secret, have, paused: transfer.isPaused });
    this.show();
  }

  /** Takes a channel with chunks, or closes it. */
  addChannel(channel: RTCDataChannel): void {
    if (this.#partial === undefined || this.transfer.isOver || ++this.#opened > MAX_CHANNELS) {
      return channel.close();
    }
    this.#channels.add(channel);
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      if (this.#channels.has(channel)) this.#arrived(data);
    });
    channel.addEventListener("close", () => void this.#channels.delete(channel));
  }

  #arrived(data: unknown): void {
    const partial = this.#partial;
    if (this.transfer.isOver || partial === undefined) return;
    const chunk = decodeChunk(data);
    if (
      chunk === undefined || chunk.index >= this.transfer.count ||
      chunk.bytes.length !== bytesOfChunk(this.record, chunk.index)
    ) return this.fail(peerError("sends bytes that are not a part of the file"));
    this.#watchQuiet();
    if (partial.have.has(chunk.index) || this.#waiting.has(chunk.index)) {
      if (++this.#repeats > this.transfer.count + MAX_REPEATS) {
        this.fail(peerError("sends the same bytes again and again"));
      }
      return;
    }
    this.#waiting.add(chunk.index);
    this.#waitingBytes += chunk.bytes.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      return this.fail(peerError("sends faster than it may"));
    }
    this.#stored = Promise.all([this.#stored, this.#store(chunk, partial)]);
  }

  async #store(chunk: Chunk, partial: PartialFile): Promise<void> {
    const { transfer } = this;
    try {
      if (!equalBytes(await sha256(chunk.bytes), chunk.hash)) {
        return this.fail(mismatchError("A part of the file"));
      }
      if (transfer.isOver) return;
      await partial.write(chunk);
    } catch (cause) {
      return this.#failStorage(cause);
    }
    this.#waiting.delete(chunk.index);
    this.#waitingBytes -= chunk.bytes.length;
    transfer.bytes += chunk.bytes.length;
    transfer.markReceived(chunk.index);
    this.#showSoon();
    this.#completeIfFull();
  }

  /** Handles a message about this transfer. */
  received(message: SenderMessage): void {
    if (this.transfer.isOver) return;
    switch (message.op) {
      case "pause":
        this.#isPeerPaused = message.paused;
        return this.show();
      case "cancel":
        return this.#cancelled(message.code);
      case "mark":
        return void this.#acknowledge(message.count);
      case "end":
        this.#end = message;
        this.#watchQuiet();
        return this.#completeIfFull();
    }
  }

  async #acknowledge(count: number): Promise<void> {
    const starts = this.#starts;
    await this.#stored;
    if (this.transfer.isOver || starts !== this.#starts) return; // counts of an earlier run
    this.#send({ op: "ack", id: this.transfer.id, count, bytes: this.transfer.bytes });
  }

  /** Waits, from now on, for the quiet after a lossy round. */
  #watchQuiet(): void {
    const { timers } = this.#options;
    if (this.#end?.lossy !== true || this.transfer.isOver) return;
    timers.clearTimeout(this.#quietTimer);
    this.#quietTimer = timers.setTimeout(() => void this.#report(), QUIET_MS);
  }

  /** Reports what is stored, so that the sender repeats the rest. */
  async #report(): Promise<void> {
    const end = this.#end;
    await this.#stored;
    const { transfer } = this;
    const have = this.#partial?.have;
    if (end !== this.#end || end === undefined || transfer.isOver) return;
    if (have === undefined || have.isFull) return;
    this.#end = undefined;
    for (const index of have.missing()) transfer.markLost(index);
    transfer.rounds++;
    this.#send({ op: "have", id: transfer.id, round: end.round, have: have.toBase64() });
    this.show();
  }

  #completeIfFull(): void {
    const partial = this.#partial;
    if (partial?.have.isFull !== true || this.#waiting.size > 0) return;
    if (this.#end === undefined || this.#isCompleting) return;
    this.#isCompleting = true;
    void this.#complete(partial, this.#end.root);
  }

  async #complete(partial: PartialFile, root: string): Promise<void> {
    const { transfer, record: { id, name, type } } = this;
    try {
      if (toHex(await partial.hashes.root()) !== root) return this.fail(mismatchError("The file"));
      const blob = await partial.finish();
      if (transfer.isOver) return;
      const safeType = HARMLESS_TYPE.test(type) ? type : "application/octet-stream";
      transfer.whole.resolve(new File([blob], name, { type: safeType }));
    } catch (cause) {
      return this.#failStorage(cause);
    }
    this.#send({ op: "done", id });
    this.#closeChannels();
    transfer.bytes = transfer.size;
    transfer.publish("done");
    this.#options.onOver("done");
  }

  /** The connection to the sender is lost. */
  interrupt(): void {
    this.#closeChannels();
    if (this.transfer.isOver) return;
    this.#partial?.save().catch((cause) => this.#failStorage(cause));
    this.show();
  }

  /** Shows the state as it is now. */
  show(): void {
    const { transfer } = this;
    if (transfer.isOver) return;
    this.#publishedAt = this.#options.timers.now();
    if (!transfer.isAccepted) transfer.publish("offered");
    else if (this.side?.isConnected !== true) transfer.publish("waiting");
    else transfer.publish(transfer.isPaused || this.#isPeerPaused ? "paused" : "active");
  }

  #showSoon(): void {
    if (this.#options.timers.now() - this.#publishedAt >= PUBLISH_INTERVAL_MS) this.show();
  }

  #send(message: ReceiverMessage): void {
    this.side?.send(message);
  }

  #closeChannels(): void {
    this.#options.timers.clearTimeout(this.#quietTimer);
    this.#end = undefined;
    const channels = this.#channels;
    this.#channels = new Set();
    for (const channel of channels) channel.close();
  }

  #cancelled(code: string): void {
    const error = new WeirError(code, `The sender has ended the transfer: ${code}.`);
    this.#over(code === "cancelled" ? "cancelled" : "failed", error);
  }

  #failStorage(cause: unknown): void {
    if (cause instanceof WeirError) return this.fail(cause);
    const isFull = cause instanceof DOMException && cause.name === "QuotaExceededError";
    this.fail(
      isFull
        ? new WeirError("quota_exceeded", "The disk is full. Free some space.", { cause })
        : new WeirError("storage_failed", "The browser cannot store the file.", { cause }),
    );
  }

  /** Ends the transfer, and informs the sender. */
  fail(error: WeirError): void {
    if (!this.transfer.isOver) this.#over("failed", error, error.code);
  }

  /** The sender is gone. What is stored stays for a while, in case it comes back. */
  abandon(error: WeirError): void {
    if (this.transfer.isOver) return;
    const partial = this.#partial;
    this.#partial = undefined;
    partial?.close().catch(() => {}); // nothing more is stored
    this.#over("failed", error);
  }

  #over(status: "declined" | "cancelled" | "failed", error?: WeirError, code?: string): void {
    const { id } = this.transfer;
    if (code !== undefined) this.#send({ op: "cancel", id, code });
    this.#closeChannels();
    this.transfer.publish(status, error);
    this.transfer.whole.reject(
      error ?? new WeirError("cancelled", "This side has ended the transfer."),
    );
    this.#removePartial();
    this.#options.onOver(code ?? error?.code ?? "cancelled");
  }

  #removePartial(): void {
    // What cannot be deleted now is deleted once no page uses it.
    this.#partial?.remove().catch(() => {});
    this.#partial = undefined;
  }
}

function mismatchError(what: string): WeirError {
  const detail = `${what} is not what was sent. Ask the sender to send it again.`;
  return new WeirError("checksum_mismatch", detail);
}
