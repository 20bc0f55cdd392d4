import type { Gap, WireEvent } from "../lib/shared/event.ts";
import type { Connection } from "./feed.ts";

/** How long a page waits after an answer that `EventSource` gives up on (a 503), in ms. */
const REOPEN_AFTER = 2_000;

/** Told of what comes, in order. */
export interface StreamListener {
  connection(state: Connection): void;
  event(event: WireEvent, cursor: string): void;
  gap(gap: Gap, cursor: string): void;
  goodbye(reason: string): void;
}

/**
 * One channel over the browser's own `EventSource`, which reconnects by itself with the cursor it
 * saw last. Only where it gives up for good (any status but 200) is a new one opened, there too
 * from the last cursor: so nothing is lost or repeated.
 */
export class ChannelStream implements Disposable {
  readonly #channel: string;
  readonly #types: Set<string>;
  readonly #listener: StreamListener;
  #cursor: string;
  #source: EventSource | undefined;
  #reopening: ReturnType<typeof setTimeout> | undefined;

  /** @param cursor behind which to start. @param types that are listened to beside `message`. */
  constructor(
    channel: string,
    cursor: string,
    types: readonly string[],
    listener: StreamListener,
  ) {
    this.#channel = channel;
    this.#cursor = cursor;
    this.#types = new Set(["message", ...types]);
    this.#listener = listener;
    this.#open();
  }

  /** Hears events of `type` from now on. */
  listen(type: string): void {
    if (this.#types.has(type)) return;
    this.#types.add(type);
    this.#source?.addEventListener(type, this.#onEvent);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#reopening);
    this.#source?.close();
    this.#source = undefined;
  }

  #open(): void {
    const query = new URLSearchParams({ envelope: "1", after: this.#cursor });
    const path = `/v1/channels/${encodeURIComponent(this.#channel)}/events?${query}`;
    const source = new EventSource(path);
    this.#source = source;
    source.onopen = (event) => {
      if (event instanceof MessageEvent) return; // an event of the type "open"
      this.#listener.connection("open");
    };
    source.onerror = (event) => {
      if (event instanceof MessageEvent) return; // an event of the type "error"
      this.#listener.connection("reconnecting");
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(this.#reopening);
      this.#reopening = setTimeout(() => this.#open(), REOPEN_AFTER);
    };
    for (const type of this.#types) source.addEventListener(type, this.#onEvent);
    source.addEventListener("weir.gap", ({ data, lastEventId }) => {
      this.#cursor = lastEventId;
      this.#listener.gap(JSON.parse(data), lastEventId);
    });
    source.addEventListener("weir.goodbye", ({ data }) => {
      this.#listener.goodbye(JSON.parse(data).reason);
    });
  }

  readonly #onEvent = (event: Event): void => {
    if (!(event instanceof MessageEvent)) return; // not of Weir's: the source's own "error"
    const { data, lastEventId } = event;
    this.#cursor = lastEventId;
    this.#listener.event(JSON.parse(data), lastEventId);
  };
}
