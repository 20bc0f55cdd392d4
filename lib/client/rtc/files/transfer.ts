import { onAbort } from "../../core/on_abort.ts";
import { ObservableValue } from "../../core/observable.ts";
import type { WeirError } from "../../core/weir_error.ts";
import type {
  FilePeer,
  FileTransfer,
  OutgoingFile,
  SendFileOptions,
  TransferState,
} from "../api.ts";
import { chunkBytesFor, chunkCount, type Layout } from "./layout.ts";

/** Connections of one transfer. Each costs both peers a negotiation, sockets and memory. */
const MAX_CONNECTIONS = 8;

type Status = TransferState["status"];

interface Description extends Layout {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly peer: FilePeer;
}

/** One end of a transfer: what the application sees, and what it wants. */
export class Transfer implements FileTransfer, Layout {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly chunkBytes: number;
  readonly peer: FilePeer;
  /** How many chunks the file has. */
  readonly count: number;
  readonly state: ObservableValue<TransferState>;
  readonly #chunks: Uint8Array;
  /** Figures that the next `publish()` shows. */
  bytes = 0;
  lost = 0;
  repaired = 0;
  rounds = 0;
  isThroughServer = false;
  /** Whether this side wants a pause. */
  isPaused = false;
  isCancelled = false;
  /** Called when the application wants something else. */
  onWish: () => void = () => {};

  constructor(description: Description) {
    this.id = description.id;
    this.name = description.name;
    this.type = description.type;
    this.size = description.size;
    this.chunkBytes = description.chunkBytes;
    this.peer = description.peer;
    this.count = chunkCount(this);
    this.#chunks = new Uint8Array(this.count);
    this.state = new ObservableValue(this.#stateOf("offered"));
  }

  get status(): Status {
    return this.state.value.status;
  }

  /** Whether the status cannot change by itself. */
  get isOver(): boolean {
    return ["done", "declined", "cancelled", "failed"].includes(this.status);
  }

  /** Shows the figures, and the status. */
  publish(status: Status, error?: WeirError): void {
    this.state.set({ ...this.#stateOf(status), ...error && { error } });
  }

  #stateOf(status: Status): TransferState {
    const { bytes, lost, repaired, rounds, isThroughServer } = this;
    return { status, bytes, chunks: this.#chunks, lost, repaired, rounds, isThroughServer };
  }

  /** The chunk has arrived. */
  markReceived(index: number): void {
    const { chunks } = this.state.value;
    if (chunks[index] === 2) {
      chunks[index] = 3;
      this.repaired++;
    } else if (chunks[index] === 0) chunks[index] = 1;
  }

  /** The chunk is still to be sent, or again: the receiver did not store it before a reload. */
  markMissing(index: number): void {
    this.state.value.chunks[index] = 0;
  }

  /** The chunk has not arrived, although it was sent. */
  markLost(index: number): void {
    this.state.value.chunks[index] = 2;
    this.lost++;
  }

  pause(): void {
    this.isPaused = true;
    this.onWish();
  }

  resume(): void {
    this.isPaused = false;
    this.onWish();
  }

  cancel(): void {
    this.isCancelled = true;
    this.onWish();
  }
}

/** The sender's end. */
export class OutgoingTransfer extends Transfer implements OutgoingFile {
  readonly secret: string = randomText();
  readonly mode: "reliable" | "partial";
  readonly connections: number;
  readonly throughServer: SendFileOptions["throughServer"];

  /** @param chunkBytes tests use small chunks. */
  constructor(
    readonly source: Blob,
    { member, session }: FilePeer,
    { mode = "reliable", connections = 1, throughServer, signal }: SendFileOptions = {},
    chunkBytes = chunkBytesFor(source.size, mode),
  ) {
    super({
      id: randomText(),
      name: source instanceof File ? source.name : "",
      type: source.type,
      size: source.size,
      chunkBytes,
      peer: { member, session },
    });
    this.mode = mode;
    this.throughServer = throughServer;
    this.connections = Math.min(Math.max(Math.floor(connections), 1), MAX_CONNECTIONS);
    onAbort(signal, () => this.cancel());
  }
}

/** Returns 128 random bits in base64url, which is 22 characters. */
function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replace(
    /[+/=]/g,
    (c) => ({ "+": "-", "/": "_" })[c] ?? "",
  );
}
