import type { Listening, ListenOptions, SubscribeOptions, Subscription } from "../api.ts";
import type { Gap, WeirEvent } from "../core/event.ts";
import { offsetBefore } from "../core/offset.ts";
import type { SavedCursor } from "./saved_cursors.ts";
import type { Feed, Link } from "../core/link.ts";
import { runCallback } from "../core/observable.ts";
import { onAbort } from "../core/on_abort.ts";
import { checkedEvent } from "./schema.ts";
import { WeirError } from "../core/weir_error.ts";

/** Events that wait for the application. Met: one that is slower than its channel. */
const MAX_WAITING_EVENTS = 4_000;
/** Characters of their messages. Met: the same, with large events. */
const MAX_WAITING_CHARS = 4 * 1024 ** 2;

export interface Source {
  readonly link: Link;
  readonly channel: string;
  /** Where the cursor is kept, if somewhere; nowhere either once the client is closed. */
  readonly kept: Promise<SavedCursor | undefined> | undefined;
}

type InboxOptions<T> = SubscribeOptions<T> & Pick<ListenOptions<T>, "onStart">;

interface QueuedItem {
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
  readonly #options: InboxOptions<T>;
  #queue: QueuedItem[] = [];
  #chars = 0;
  #feed: Feed | undefined;
  #isEnded = false;
  /** Why it has ended, if not by the application's wish. */
  #error: WeirError | undefined;
  #wake = () => {};
  #forget = () => {};

  constructor(source: Source, options: InboxOptions<T>) {
    this.#source = source;
    this.#options = options;
    const { signal, after } = options;
    this.#forget = onAbort(signal, this.close);
    if (after !== undefined || source.kept === undefined) this.#begin(after);
    else void source.kept.then((kept) => kept?.get()).then((cursor) => this.#begin(cursor));
  }

  /** Ends it by the application's wish: nothing more is given out. */
  readonly close = (): void => {
    this.#queue = [];
    this.#end();
  };

  /**
   * The events, and gaps where `onGap` does not take those, until it ends.
   *
   * @throws {WeirError} why it has ended, if it was not the application's wish.
   */
  async *items(): AsyncGenerator<WeirEvent<T> | Gap, void> {
    while (true) {
      this.#keep(); // who asks for the next is done with the last
      const waiting = this.#queue.shift();
      if (waiting !== undefined) {
        this.#chars -= waiting.size;
        this.#resume();
        const item = await this.#taken(waiting.item);
        if (item !== undefined) yield item;
      } else if (this.#error !== undefined) throw this.#error;
      else if (this.#isEnded) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #begin(after = "latest"): void {
    if (this.#isEnded) return;
    const { link, channel } = this.#source;
    this.#feed = link.feed(channel, after, {
      started: (cursor) => {
        this.cursor ??= cursor;
        this.#keep();
        void runCallback(() => this.#options.onStart?.(cursor));
      },
      event: (event, size = 0) => this.#push(event, size),
      gap: (gap) => this.#push(gap, 0),
      ephemeral: (event) => runCallback(() => this.#options.onEphemeral?.(event)),
      ended: (error) => error.code === "closed" ? this.close() : this.#end(error),
    });
  }

  #push(item: WeirEvent | Gap, size: number): void {
    this.#queue.push({ item, size });
    this.#chars += size;
    if (this.#queue.length >= MAX_WAITING_EVENTS || this.#chars >= MAX_WAITING_CHARS) {
      this.#feed?.pause();
    }
    this.#wake();
  }

  /** Goes on, if it was paused, once most is taken. */
  #resume(): void {
    const isRoomy = this.#queue.length <= MAX_WAITING_EVENTS / 4 &&
      this.#chars <= MAX_WAITING_CHARS / 4;
    if (isRoomy) this.#feed?.resume();
  }

  #keep(): void {
    const { cursor } = this;
    if (cursor !== undefined) void this.#source.kept?.then((kept) => kept?.set(cursor));
  }

  /** Undefined for a gap that `onGap` has taken, and where the subscription ends with it. */
  async #taken(item: WeirEvent | Gap): Promise<WeirEvent<T> | Gap | undefined> {
    const { onGap, schema } = this.#options;
    if (item.kind === "gap") {
      if (onGap === "throw") return this.#fail(gapError(item));
      this.cursor = offsetBefore(item.firstAvailable);
      if (onGap === undefined) return item;
      return void await runCallback(() => onGap(item));
    }
    try {
      const event = await checkedEvent(item, schema);
      if (this.#isEnded && this.#error === undefined) return; // closed meanwhile
      this.cursor = event.offset;
      return event;
    } catch (cause) {
      return this.#fail(cause as WeirError); // checkedEvent() throws no other
    }
  }

  #fail(error: WeirError): undefined {
    this.#queue = [];
    this.#end(error);
  }

  #end(error?: WeirError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#forget();
    this.#feed?.close();
    void this.#source.kept?.then((kept) => kept?.close());
    this.#wake();
  }
}

/** @see {@link import("../api.ts").Weir.subscribe} */
export function subscription<T>(
  source: Source,
  options: SubscribeOptions<T>,
): Subscription<WeirEvent<T> | Gap> {
  const inbox = new Inbox(source, options);
  let isRead = false;
  return {
    get cursor() {
      return inbox.cursor;
    },
    close: inbox.close,
    [Symbol.asyncIterator]() {
      if (isRead) throw new TypeError("A subscription can be read once.");
      isRead = true;
      const items = inbox.items();
      return {
        next: () => items.next(),
        // A generator first waits for the item that was asked for.
        return: () => {
          inbox.close();
          return items.return();
        },
      };
    },
  };
}

/** @see {@link import("../api.ts").Weir.listen} */
export function listening<T>(source: Source, options: ListenOptions<T>): Listening {
  const { onEvent, onError } = options;
  const inbox = new Inbox(source, options);
  void (async () => {
    try {
      for await (const item of inbox.items()) {
        if (item.kind === "event") await runCallback(() => onEvent(item, item.offset));
      }
    } catch (cause) {
      const error = cause as WeirError; // items() throws no other
      void runCallback(() => onError?.(error));
    }
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
