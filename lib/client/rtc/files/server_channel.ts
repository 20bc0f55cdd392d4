import { MAX_SIGNAL_PART_BYTES } from "./file_signal.ts";

/** A message that waits to be sent, or a part of it. */
interface Part {
  readonly data: string | Uint8Array<ArrayBuffer>;
  /** Further parts of the message follow. */
  readonly more: boolean;
}

/** A channel of a {@link ServerLink}: the part of an `RTCDataChannel` that file transfers use. */
export class ServerChannel extends EventTarget {
  readyState: RTCDataChannelState = "open";
  binaryType: BinaryType = "arraybuffer";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  /** What waits to be sent. */
  readonly waiting: Part[] = [];
  /** The parts of the message that is being received. */
  parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #onSend: () => void;
  readonly #onClose: () => void;

  constructor(
    readonly name: string,
    readonly label: string,
    { onSend, onClose }: { readonly onSend: () => void; readonly onClose: () => void },
  ) {
    super();
    this.#onSend = onSend;
    this.#onClose = onClose;
  }

  /** As the channel that file transfers know. They use nothing else of it. */
  get asDataChannel(): RTCDataChannel {
    return this as unknown as RTCDataChannel;
  }

  /** Sends a copy of the message. @throws {DOMException} `InvalidStateError` */
  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.readyState !== "open") {
      throw new DOMException("The channel is closed.", "InvalidStateError");
    }
    this.bufferedAmount += data.length;
    if (typeof data === "string") this.waiting.push({ data, more: false });
    else {
      for (let at = 0; at < data.length; at += MAX_SIGNAL_PART_BYTES) {
        const end = at + MAX_SIGNAL_PART_BYTES;
        this.waiting.push({ data: data.slice(at, end), more: end < data.length });
      }
    }
    this.#onSend();
  }

  /** The server has stored what waited first. */
  wasSent(): void {
    const part = this.waiting.shift();
    if (part === undefined) return; // the channel was closed meanwhile
    const { bufferedAmount: before, bufferedAmountLowThreshold: low } = this;
    this.bufferedAmount -= part.data.length;
    if (before > low && this.bufferedAmount <= low) this.#emit("bufferedamountlow");
  }

  received(data: string | ArrayBuffer): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  close(): void {
    if (this.readyState !== "open") return;
    this.ended();
    this.#onClose();
  }

  /** The channel is closed, and the peer knows. */
  ended(): void {
    if (this.readyState !== "open") return;
    this.readyState = "closed";
    this.waiting.length = 0;
    this.bufferedAmount = 0;
    // Data channels report it in a later turn too.
    queueMicrotask(() => this.#emit("close"));
  }

  #emit(type: string): void {
    this.dispatchEvent(new Event(type));
  }
}
