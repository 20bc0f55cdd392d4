import type { ListenOptions, SubscribeOptions } from "../api.ts";
import type { Gap, WeirEvent } from "../core/event.ts";
import type { Feed, Link } from "../core/link.ts";
import { runCallback } from "../core/observable.ts";
import { offsetBefore } from "../core/offset.ts";
import { onAbort } from "../core/on_abort.ts";
import { WeirError } from "../core/weir_error.ts";
import type { SavedCursor } from "./saved_cursors.ts";
import { validateEvent } from "./schema.ts";

/** Guards against an application that is slower than its channel. */
const MAX_QUEUED_EVENTS = 4_000;
/** Characters of the events' messages. Guards against the same with large events. */
const MAX_QUEUED_CHARS = 4 * 1024 ** 2;

/** Where a subscription reads. */
export interface Source {
  readonly link: Link;
  readonly channel: string;
  /**
   * The cursor in the application's store. Undefined if there is no store; resolves with undefined
   * if the client is closed.
   */
  readonly savedCursor: Promise<SavedCursor | undefined> | undefined;
}

type EventQueueOptions<T> = SubscribeOptions<T> & Pick<ListenOptions<T>, "onStart">;

interface QueuedItem {
  readonly item: WeirEvent | Gap;
  readonly size: number;
}

/**
 * Queues the items of a channel for the application. When the queue is full the feed is paused, and
 * continues from the log once most of the queue has been taken.
 */
export class EventQueue<T> {
  /** The offset of the last item that was taken. */
  cursor: string | undefined;
  readonly #source: Source;
  readonly #options: EventQueueOptions<T>;
  #queue: QueuedItem[] = [];
  #chars = 0;
  #feed: Feed | undefined;
  #isEnded = false;
  /** Why it has ended, unless the application has ended it. */
  #error: WeirError | undefined;
  #wake = () => {};
  #removeListener = () => {};

  constructor(source: Source, options: EventQueueOptions<T>) {
    this.#source = source;
    this.#options = options;
    const { signal, after } = options;
    this.#removeListener = onAbort(signal, this.close);
    const { savedCursor } = source;
    if (after !== undefined || !savedCursor) this.#begin(after);
    else void savedCursor.then((saved) => saved?.get()).then((cursor) => this.#begin(cursor));
  }

  /** Ends it for the application and drops queued items. */
  readonly close = (): void => {
    this.#queue = [];
    this.#end();
  };

  /**
   * Yields events, and gaps unless `onGap` takes them, until the queue ends.
   *
   * @throws {WeirError} why it has ended, unless the application has ended it.
   */
  async *items(): AsyncGenerator<WeirEvent<T> | Gap, void> {
    while (true) {
      this.#saveCursor(); // asking for the next item means that the last one is done
      const queued = this.#queue.shift();
      if (queued) {
        this.#chars -= queued.size;
        this.#resume();
        const item = await this.#take(queued.item);
        if (item) yield item;
      } else if (this.#error) throw this.#error;
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
        this.#saveCursor();
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
    if (this.#queue.length >= MAX_QUEUED_EVENTS || this.#chars >= MAX_QUEUED_CHARS) {
      this.#feed?.pause();
    }
    this.#wake();
  }

  #resume(): void {
    const hasRoom = this.#queue.length <= MAX_QUEUED_EVENTS / 4 &&
      this.#chars <= MAX_QUEUED_CHARS / 4;
    if (hasRoom) this.#feed?.resume();
  }

  #saveCursor(): void {
    const { cursor } = this;
    if (cursor) void this.#source.savedCursor?.then((saved) => saved?.set(cursor));
  }

  /** Returns undefined for a gap that `onGap` took, and if the subscription ends with the item. */
  async #take(item: WeirEvent | Gap): Promise<WeirEvent<T> | Gap | undefined> {
    const { onGap, schema } = this.#options;
    if (item.kind === "gap") {
      if (onGap === "throw") return this.#fail(gapError(item));
      this.cursor = offsetBefore(item.firstAvailable);
      if (!onGap) return item;
      return void await runCallback(() => onGap(item));
    }
    try {
      const event = await validateEvent(item, schema);
      if (this.#isEnded && !this.#error) return; // closed meanwhile
      this.cursor = event.offset;
      return event;
    } catch (cause) {
      return this.#fail(cause as WeirError); // validateEvent() throws nothing else
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
    this.#removeListener();
    this.#feed?.close();
    void this.#source.savedCursor?.then((saved) => saved?.close());
    this.#wake();
  }
}

function gapError({ lost, firstAvailable, reason }: Gap): WeirError {
  const events = lost === null ? "Events" : `${lost} events`;
  return new WeirError("gap", `${events} before ${firstAvailable} are not available: ${reason}.`);
}
