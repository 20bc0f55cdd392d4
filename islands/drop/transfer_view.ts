import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type {
  FileTransfer,
  IncomingFile,
  OutgoingFile,
  ServerFile,
  TransferState,
} from "../../lib/client/rtc/api.ts";
import { SpeedMeter } from "./speed.ts";

/** How often the figures of a running transfer change, slow enough to be read. */
const TICK_MS = 250;

/** A transfer on the page: one that the visitor sends or receives. */
type TransferDirection =
  | { readonly kind: "outgoing"; readonly transfer: OutgoingFile; readonly file: File }
  | { readonly kind: "incoming"; readonly transfer: IncomingFile };

/** A transfer's state at one moment, with its speed. */
export interface TransferFigures {
  readonly state: TransferState;
  /** Undefined while it is not known. */
  readonly bytesPerSecond: number | undefined;
  /** Milliseconds for which bytes have moved so far. */
  readonly activeMs: number;
}

/** Whether a file may go through the server, which the visitor is asked. */
interface ServerQuestion extends ServerFile {
  answer(isAllowed: boolean): void;
}

/** The figures of one transfer as the page shows them: a few times per second, not per chunk. */
export class TransferView implements Disposable {
  readonly #meter = new SpeedMeter();
  readonly #figures: Signal<TransferFigures>;
  readonly #isSaved: Signal<boolean> = signal(false);
  readonly #isPausedHere: Signal<boolean> = signal(false);
  readonly #question: Signal<ServerQuestion | undefined> = signal(undefined);
  readonly #savedTo: Signal<string | undefined> = signal(undefined);
  readonly #unwatch: () => void;
  readonly #now: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #activeMs = 0;
  #activeSince: number | undefined;

  /**
   * @param person the name of who sends or receives the file
   * @param now milliseconds of a clock that never goes back
   */
  constructor(
    readonly direction: TransferDirection,
    readonly person: string,
    now: () => number = () => performance.now(),
  ) {
    this.#now = now;
    const { state } = direction.transfer;
    this.#figures = signal(this.#read(state.value));
    this.#unwatch = state.subscribe((next) => {
      if (next.status !== this.#figures.peek().state.status) this.#changed(next);
    });
    this.#changed(state.value);
  }

  /** Whether the visitor has paused it, in contrast to the other side. */
  get isPausedHere(): boolean {
    return this.#isPausedHere.value;
  }

  /** Whether closing the page now would lose something for good. */
  get isUnsaved(): boolean {
    const { state } = this.#figures.value;
    if (this.direction.kind === "outgoing") return !isOver(state);
    if (this.savedTo !== undefined) return !isOver(state);
    return state.status === "done" && !this.#isSaved.value;
  }

  /** The name of the file that the visitor has chosen to save it to, as it comes. */
  get savedTo(): string | undefined {
    return this.#savedTo.value;
  }

  /** Accepts an offer, and saves the file as it comes. */
  acceptTo(saveTo: FileSystemFileHandle): void {
    if (this.direction.kind !== "incoming") return;
    this.#savedTo.value = saveTo.name;
    this.direction.transfer.accept({ saveTo });
  }

  /** Undefined unless the visitor has to answer. */
  get question(): ServerQuestion | undefined {
    return this.figures.value.state.status === "offered" ? this.#question.value : undefined;
  }

  /** Asks the visitor whether the file may go through the server. */
  ask(file: ServerFile): Promise<boolean> {
    return new Promise((resolve) => {
      const answer = (isAllowed: boolean) => {
        this.#question.value = undefined;
        resolve(isAllowed);
      };
      this.#question.value = { ...file, answer };
    });
  }

  /** The visitor has saved the received file. */
  saved(): void {
    this.#isSaved.value = true;
  }

  pause(): void {
    this.#isPausedHere.value = true;
    this.transfer.pause();
  }

  resume(): void {
    this.#isPausedHere.value = false;
    this.transfer.resume();
  }

  get transfer(): FileTransfer {
    return this.direction.transfer;
  }

  get figures(): ReadonlySignal<TransferFigures> {
    return this.#figures;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#unwatch();
  }

  #changed(state: TransferState): void {
    clearInterval(this.#timer);
    const now = this.#now();
    if (this.#activeSince !== undefined) this.#activeMs += now - this.#activeSince;
    const isActive = state.status === "active";
    this.#activeSince = isActive ? now : undefined;
    this.#meter.reset();
    if (isActive) {
      this.#meter.add(now, state.bytes);
      this.#timer = setInterval(() => this.#tick(), TICK_MS);
    }
    this.#figures.value = this.#read(state);
  }

  #tick(): void {
    const state = this.transfer.state.value;
    this.#meter.add(this.#now(), state.bytes);
    this.#figures.value = this.#read(state);
  }

  #read(state: TransferState): TransferFigures {
    const running = this.#activeSince === undefined ? 0 : this.#now() - this.#activeSince;
    return {
      state,
      bytesPerSecond: this.#meter.bytesPerSecond,
      activeMs: this.#activeMs + running,
    };
  }
}

/** Whether the transfer has ended, with any outcome. */
export function isOver({ status }: TransferState): boolean {
  return status === "done" || status === "declined" || status === "cancelled" ||
    status === "failed";
}
