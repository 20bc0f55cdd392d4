import { isOffset } from "../../shared/offset.ts";
import type { CursorStore } from "../api.ts";
import { PLATFORM } from "../core/platform.ts";
import { WeirError } from "../core/weir_error.ts";
import { deadline } from "../core/deadline.ts";

/** Between two writes of one channel's cursor, in ms. Met: a disk write for each of 1,000 events/s. */
const WRITE_INTERVAL_MS = 1_000;
/** How long closing waits for the store, in ms. */
const CLOSE_LIMIT_MS = 1_000;

type OnError = (error: WeirError) => unknown;
type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * The cursors of one client in its store, which may be slow: of one channel it is asked for one
 * thing after the other, so that no write is overtaken.
 */
export class SavedCursors {
  readonly #store: CursorStore;
  readonly #onError: OnError;
  /** By channel, what the store was asked for last, until that is done. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor(store: CursorStore, onError: OnError) {
    this.#store = store;
    this.#onError = onError;
  }

  /** One subscription's. */
  forChannel(channel: string): SavedCursor {
    return new SavedCursor(this.#store, channel, this.#onError, (work) => {
      const last = this.#last.get(channel);
      const turn = last ? last.then(work) : work();
      this.#last.set(channel, turn);
      void turn.then(() => this.#last.get(channel) === turn && this.#last.delete(channel));
      return turn;
    });
  }

  /** Once what was to be written is, or after 1 s. */
  async flush(): Promise<void> {
    const written = async () => {
      while (this.#last.size > 0) await Promise.all(this.#last.values());
    };
    await deadline(PLATFORM, CLOSE_LIMIT_MS, written()).catch(() => {}); // whatever goes on longer
  }
}

/**
 * One subscription's cursor in the store. What the store throws goes to `onError`, once until it
 * works again; reading goes on without it.
 */
export class SavedCursor {
  readonly #store: CursorStore;
  readonly #channel: string;
  readonly #onError: OnError;
  readonly #inTurn: InTurn;
  /** To be written. */
  #cursor: string | undefined;
  #last: string | undefined;
  /** Whether its turn to be written is yet to come. */
  #isWaiting = false;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hasFailed = false;

  /** @param inTurn does what the store is asked for, which never rejects, one after the other. */
  constructor(store: CursorStore, channel: string, onError: OnError, inTurn: InTurn) {
    this.#store = store;
    this.#channel = channel;
    this.#onError = onError;
    this.#inTurn = inTurn;
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
    if (this.#cursor === undefined || this.#isWaiting) return;
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#write(), WRITE_INTERVAL_MS);
    this.#isWaiting = true;
    void this.#try(() => {
      const cursor = this.#cursor!; // it is the only one that takes it
      this.#cursor = undefined;
      this.#isWaiting = false;
      return this.#store.set(this.#channel, cursor);
    });
  }

  #try<T>(use: () => T | Promise<T>): Promise<T | undefined> {
    return this.#inTurn(async () => {
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
    });
  }
}
