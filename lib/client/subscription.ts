import type {
  Gap,
  Listening,
  ListenOptions,
  SubscribeOptions,
  Subscription,
  WeirEvent,
} from "./api.ts";
import { before } from "./channels.ts";
import type { KeptCursor } from "./cursor_store.ts";
import type { Feed, Link } from "./link.ts";
import { callback } from "./observable.ts";
import { onAbort } from "./on_abort.ts";
import { checkedEvent } from "./schema.ts";
import { WeirError } from "./weir_error.ts";

/** Events that wait for the application. Met: one that is slower than its channel. */
const MAX_WAITING_EVENTS = 4_000;
/** Characters of their messages. Met: the same, with large events. */
const MAX_WAITING_CHARS = 4 * 1024 ** 2;

export interface Source {
  readonly link: Link;
  readonly channel: string;
  /** Where the cursor is kept, if somewhere. */
  readonly kept: KeptCursor | undefined;
}

interface Waiting {
  readonly item: WeirEvent | Gap;
  readonly size: number;
}

/**
 * What waits of a channel for the application. What there is no room for stays in the log: the feed
 * is paused, and goes on from there.
 */
class Inbox<T> {
  /** Behind the last item that was given out. */
  cursor: string | undefined;
  readonly #source: Source;
  readonly #options: SubscribeOptions<T>;
  readonly #onStart: (cursor: string) => void;
  #queue: Waiting[] = [];
  #chars = 0;
  #feed: Feed | undefined;
  #isPaused = false;
  #isEnded = false;
  /** Why it has ended, if not by the application's wish. */
  #error: WeirError | undefined;
  #wake = () => {};
  #forget = () => {};

  constructor(
    source: Source,
    options: SubscribeOptions<T>,
    onStart: (cursor: string) => void = () => {},
  ) {
    this.#source = source;
    this.#options = options;
    this.#onStart = onStart;
    const { signal, after } = options;
    this.#forget = onAbort(signal, this.close);
    if (after !== undefined || source.kept === undefined) this.#begin(after);
    else void source.kept.get().then((kept) => this.#begin(kept));
  }

  /** Ends it by the application's wish: nothing more is given out. */
  readonly close = (): void => {
    this.#queue = [];
    this.#end();
  };

  /**
   * The next event, or gap where `onGap` does not take those; undefined at the end.
   *
   * @throws {WeirError} why it has ended, if it was not the application's wish.
   */
  async next(): Promise<WeirEvent<T> | Gap | undefined> {
    // Who asks for the next is done with the last.
    if (this.cursor !== undefined) this.#source.kept?.set(this.cursor);
    while (true) {
      const waiting = this.#queue.shift();
      if (waiting !== undefined) {
        this.#chars -= waiting.size;
        this.#resume();
        const item = await this.#taken(waiting.item);
        if (item !== undefined) return item;
      } else if (this.#error !== undefined) throw this.#error;
      else if (this.#isEnded) return undefined;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #begin(after = "latest"): void {
    if (this.#isEnded) return;
    const { link, channel } = this.#source;
    this.#feed = link.feed(channel, after, {
      started: (cursor) => {
        this.cursor ??= cursor;
        this.#source.kept?.set(this.cursor);
        callback(() => this.#onStart(cursor));
      },
      event: (event, size = 0) => this.#push(event, size),
      gap: (gap) => this.#push(gap, 0),
      ephemeral: (event) => callback(() => this.#options.onEphemeral?.(event)),
      ended: (error) => error.code === "closed" ? this.close() : this.#end(error),
    });
  }

  #push(item: WeirEvent | Gap, size: number): void {
    this.#queue.push({ item, size });
    this.#chars += size;
    if (this.#queue.length >= MAX_WAITING_EVENTS || this.#chars >= MAX_WAITING_CHARS) {
      this.#isPaused = true;
      this.#feed?.pause();
    }
    this.#wake();
  }

  #resume(): void {
    const isRoomy = this.#queue.length <= MAX_WAITING_EVENTS / 4 &&
      this.#chars <= MAX_WAITING_CHARS / 4;
    if (!this.#isPaused || !isRoomy) return;
    this.#isPaused = false;
    this.#feed?.resume();
  }

  /** Undefined for a gap that `onGap` has taken, and where the subscription ends with it. */
  async #taken(item: WeirEvent | Gap): Promise<WeirEvent<T> | Gap | undefined> {
    const { onGap, schema } = this.#options;
    if (item.kind === "gap") {
      if (onGap === "throw") return this.#fail(gapError(item));
      this.cursor = before(item.firstAvailable);
      if (onGap === undefined) return item;
      callback(() => onGap(item));
      return undefined;
    }
    try {
      const event = await checkedEvent(item, schema);
      if (this.#isLeft) return undefined;
      this.cursor = event.offset;
      return event;
    } catch (cause) {
      return this.#fail(cause);
    }
  }

  /** Whether it was closed while its data was checked. */
  get #isLeft(): boolean {
    return this.#isEnded && this.#error === undefined;
  }

  #fail(cause: unknown): undefined {
    if (this.#isLeft) return;
    this.#queue = [];
    this.#end(cause instanceof WeirError ? cause : new WeirError("bad_data", String(cause)));
  }

  #end(error?: WeirError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#forget();
    this.#feed?.close();
    if (this.cursor !== undefined) this.#source.kept?.set(this.cursor);
    this.#source.kept?.close();
    this.#wake();
  }
}

/** @see {@link import("./api.ts").Weir.subscribe} */
export function subscription<T>(
  source: Source,
  options: SubscribeOptions<T>,
): Subscription<WeirEvent<T> | Gap> {
  const inbox = new Inbox(source, options);
  let isRead = false;
  async function* items() {
    try {
      for (let item; (item = await inbox.next()) !== undefined;) yield item;
    } finally {
      inbox.close();
    }
  }
  return {
    get cursor() {
      return inbox.cursor;
    },
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("A subscription can be read once.");
      isRead = true;
      return items();
    },
  };
}

/** @see {@link import("./api.ts").Weir.listen} */
export function listening<T>(source: Source, options: ListenOptions<T>): Listening {
  const { onEvent, onError, onStart } = options;
  const inbox = new Inbox(source, options, onStart);
  let isCutOff = false;
  const unwatch = source.link.state.subscribe(({ status }) => {
    const { cursor } = inbox;
    if (status !== "open") isCutOff = cursor !== undefined;
    else if (isCutOff && cursor !== undefined) callback(() => onStart?.(cursor));
  });
  void (async () => {
    try {
      for (let item; (item = await inbox.next()) !== undefined;) {
        const event = item;
        if (event.kind === "event") callback(() => onEvent(event, event.offset));
      }
    } catch (cause) {
      const error = cause as WeirError; // next() throws no other
      callback(() => onError?.(error));
    }
    unwatch();
  })();
  return {
    get cursor() {
      return inbox.cursor;
    },
    close: inbox.close,
    [Symbol.dispose]: inbox.close,
  };
}

function gapError({ lost, firstAvailable, reason }: Gap): WeirError {
  const events = lost === null ? "Events" : `${lost} events`;
  return new WeirError("gap", `${events} before ${firstAvailable} can't be had: ${reason}.`);
}
