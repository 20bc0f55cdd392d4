import { deadline } from "../../shared/async/deadline.ts";
import { KeyedSerialQueue } from "../../shared/async/serial_queue.ts";
import { isOffset } from "../../shared/offset.ts";
import type { CursorStore } from "../api.ts";
import { WeirError } from "../core/weir_error.ts";

/** Least time between two writes of a channel's cursor. Guards against a disk write per event. */
const WRITE_INTERVAL_MS = 1_000;
/** How long closing waits for the store. */
const CLOSE_TIMEOUT_MS = 1_000;

type OnError = (error: WeirError) => unknown;
type RunInOrder = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * The cursors of one client in the application's store, which may be slow. Operations on one
 * channel run one after the other, so that no write overtakes another.
 */
export class SavedCursors {
  readonly #store: CursorStore;
  readonly #onError: OnError;
  readonly #operations = new KeyedSerialQueue();

  constructor(store: CursorStore, onError: OnError) {
    this.#store = store;
    this.#onError = onError;
  }

  /** Returns the cursor of one subscription. */
  forChannel(channel: string): SavedCursor {
    const runInOrder: RunInOrder = (work) => this.#operations.run(channel, work);
    return new SavedCursor(this.#store, channel, this.#onError, runInOrder);
  }

  /** Resolves when everything has been written, or after a second. */
  async flush(): Promise<void> {
    // What takes longer ends later.
    await deadline(this.#operations.idle(), CLOSE_TIMEOUT_MS).catch(() => {});
  }
}

/**
 * One subscription's cursor in the store. Errors of the store go to `onError`, once until it works
 * again, and do not disturb reading.
 */
export class SavedCursor {
  readonly #store: CursorStore;
  readonly #channel: string;
  readonly #onError: OnError;
  readonly #runInOrder: RunInOrder;
  /** Yet to be written. */
  #unwritten: string | undefined;
  #last: string | undefined;
  /** Whether a write is waiting for its turn. */
  #isQueued = false;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hasFailed = false;

  /** @param runInOrder runs operations, which never reject, one after the other. */
  constructor(store: CursorStore, channel: string, onError: OnError, runInOrder: RunInOrder) {
    this.#store = store;
    this.#channel = channel;
    this.#onError = onError;
    this.#runInOrder = runInOrder;
  }

  /** Resolves with undefined if there is none, or the stored value is not a cursor. */
  get(): Promise<string | undefined> {
    return this.#try(async () => {
      const cursor = await this.#store.get(this.#channel) ?? undefined;
      if (cursor === undefined || isOffset(cursor)) return cursor;
      throw new TypeError("the stored value is not a cursor");
    });
  }

  /** Writes the cursor now, or once the last write is a second ago. */
  set(cursor: string): void {
    if (cursor === this.#last) return;
    this.#last = this.#unwritten = cursor;
    if (this.#timer === undefined) this.#write();
  }

  /** Writes what has not been written. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#write();
  }

  #write(): void {
    this.#timer = undefined;
    if (this.#unwritten === undefined || this.#isQueued) return;
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#write(), WRITE_INTERVAL_MS);
    this.#isQueued = true;
    void this.#try(() => {
      const cursor = this.#unwritten!; // nothing else unsets it while a write is queued
      this.#unwritten = undefined;
      this.#isQueued = false;
      return this.#store.set(this.#channel, cursor);
    });
  }

  #try<T>(use: () => T | Promise<T>): Promise<T | undefined> {
    return this.#runInOrder(async () => {
      try {
        const result = await use();
        this.#hasFailed = false;
        return result;
      } catch (cause) {
        if (!this.#hasFailed) {
          const detail = `The store failed for the cursor of ${this.#channel}: ${cause}`;
          this.#onError(new WeirError("cursor_store_failed", detail, { cause }));
        }
        this.#hasFailed = true;
      }
    });
  }
}
