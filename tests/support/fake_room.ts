import { ObservableValue } from "../../lib/client/core/observable.ts";
import type { WeirError } from "../../lib/client/client.ts";
import type {
  IncomingFile,
  OutgoingFile,
  Peer,
  PeerState,
  Room,
  RoomState,
  SendFileOptions,
  TransferState,
} from "../../lib/client/rtc/api.ts";

type FileListener = (transfer: IncomingFile) => void;
type ErrorListener = (error: WeirError) => void;

const NO_STATS = { bytesSent: 0, bytesReceived: 0, framesDecoded: 0 };

/** A room without a network: the test decides who is there and what arrives. */
export class FakeRoom<D> implements Room<D> {
  readonly session = "own";
  readonly state = new ObservableValue<RoomState>({ status: "open", member: "me" });
  readonly peers = new ObservableValue<readonly Peer<D>[]>([]);
  /** What `setData()` was called with. */
  readonly told: D[] = [];
  isClosed = false;
  #onFile: FileListener = () => {};
  #onError: ErrorListener = () => {};

  /** A peer offers a file. */
  offer(transfer: FakeTransfer): void {
    this.#onFile(transfer);
  }

  fail(error: WeirError): void {
    this.#onError(error);
  }

  on(event: string, listener: unknown): () => void {
    if (event === "file") this.#onFile = listener as FileListener;
    if (event === "error") this.#onError = listener as ErrorListener;
    return () => {};
  }

  setData(data: D): Promise<void> {
    this.told.push(data);
    return Promise.resolve();
  }

  addTrack(): void {}
  removeTrack(): void {}
  replaceTrack(): Promise<void> {
    return Promise.resolve();
  }
  setMuted(): void {}
  send(): void {}

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A peer that is connected and takes every file. */
export class FakePeer<D> implements Peer<D> {
  readonly data: ObservableValue<D>;
  readonly state = new ObservableValue<PeerState>({ status: "connected" });
  readonly streams = new ObservableValue([]);
  readonly sent: { readonly file: File | Blob; readonly options: SendFileOptions | undefined }[] =
    [];

  constructor(readonly session: string, readonly member: string, data: D) {
    this.data = new ObservableValue(data);
  }

  sendFile(file: File | Blob, options?: SendFileOptions): OutgoingFile {
    this.sent.push({ file, options });
    const { member, session } = this;
    return new FakeTransfer(file instanceof File ? file.name : "", file.size, { member, session });
  }

  send(): void {}
  channel(): RTCDataChannel {
    throw new Error("A FakePeer has no data channels.");
  }
  onChannel(): () => void {
    return () => {};
  }
  stats() {
    return Promise.resolve(NO_STATS);
  }
}

/** A transfer, in either direction, whose state the test sets. It records its calls. */
export class FakeTransfer implements IncomingFile, OutgoingFile {
  readonly id = crypto.randomUUID();
  readonly type = "";
  readonly calls: string[] = [];
  readonly state = new ObservableValue<TransferState>({
    status: "offered",
    bytes: 0,
    chunks: new Uint8Array(),
    lost: 0,
    repaired: 0,
    rounds: 0,
    isThroughServer: false,
  });

  constructor(
    readonly name: string,
    readonly size: number,
    readonly peer: { readonly member: string; readonly session: string },
  ) {}

  set(change: Partial<TransferState>): void {
    this.state.set({ ...this.state.value, ...change });
  }

  accept(): void {
    this.calls.push("accept");
  }
  decline(): void {
    this.calls.push("decline");
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  cancel(): void {
    this.calls.push("cancel");
  }
  file(): Promise<File> {
    return Promise.resolve(new File([new Uint8Array(this.size)], this.name));
  }
}
