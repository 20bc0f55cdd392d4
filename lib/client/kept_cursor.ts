import { isOffset } from "../shared/offset.ts";
import type { CursorStore } from "./api.ts";
import { WeirError } from "./weir_error.ts";

/** Between two writes of one channel's cursor, in ms. Met: a disk write for each of 1,000 events/s. */
const WRITE_INTERVAL_MS = 1_000;

/**
 * One subscription's cursor in the store. What the store throws goes to `onError`, once until it
 * works again; reading goes on without it.
 */
export class KeptCursor {
  readonly #store: CursorStore;
  readonly #channel: string;
  readonly #onError: (error: WeirError) => void;
  /** To be written. */
  #cursor: string | undefined;
  #last: string | undefined;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hasFailed = false;

  constructor(store: CursorStore, channel: string, onError: (error: WeirError) => void) {
    this.#store = store;
    this.#channel = channel;
    this.#onError = onError;
  }

  /** Undefined where none was kept, or none that is one. */
  get(): Promise<string | undefined> {
    return this.#try(async () => {
      const cursor = await this.#store.get(this.#channel) ?? undefined;
      if (cursor === undefined || isOffset(cursor)) return cursor;
      throw new TypeError("what was kept is no cursor");
    });
  }

  /** Everything up to `cursor` was taken. Written now, or when the last write is 1 s ago. */
  set(cursor: string): void {
    if (cursor === this.#last) return;
    this.#last = this.#cursor = cursor;
    if (this.#timer === undefined) this.#write();
  }

  /** Writes what is not written yet. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#write();
  }

  #write(): void {
    this.#timer = undefined;
    const cursor = this.#cursor;
    if (cursor === undefined) return;
    this.#cursor = undefined;
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#write(), WRITE_INTERVAL_MS);
    void this.#try(() => this.#store.set(this.#channel, cursor));
  }

  async #try<T>(use: () => T | Promise<T>): Promise<T | undefined> {
    try {
      const result = await use();
      this.#hasFailed = false;
      return result;
    } catch (cause) {
      if (!this.#hasFailed) {
        const detail = `The cursor of ${this.#channel} could not be kept: ${cause}`;
        this.#onError(new WeirError("cursor_store_failed", detail, { cause }));
      }
      this.#hasFailed = true;
    }
  }
}
