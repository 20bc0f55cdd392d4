import type { Gap, WireEvent } from "../lib/shared/event.ts";
import type { Connection } from "./feed.ts";

/** How long a page waits after an answer that `EventSource` gives up on (a 503), in ms. */
const REOPEN_AFTER = 2_000;

const EXPIRED = "Signed out: the session has expired.";
const REVOKED = "Signed out: the session was revoked.";
const FORBIDDEN = "Ended: the right to read this channel is gone.";

/** What a goodbye means after which coming back is no use, by its reason. */
const FAREWELLS: Readonly<Record<string, string>> = {
  expired: EXPIRED,
  revoked: REVOKED,
  forbidden: FORBIDDEN,
};
/** What a refusal means after which trying again is no use, by its code. */
const REFUSALS: Readonly<Record<string, string>> = {
  token_expired: EXPIRED,
  token_revoked: REVOKED,
  forbidden: FORBIDDEN,
};

/** Told of what comes, in order. */
export interface StreamListener {
  connection(state: Connection): void;
  event(event: WireEvent, cursor: string): void;
  gap(gap: Gap, cursor: string): void;
  goodbye(reason: string): void;
  /** The session ends in `expiresIn` ms. */
  expiring(expiresIn: number): void;
  /** Nothing more comes: `why` is a sentence. */
  ended(why: string): void;
}

/**
 * One channel over the browser's own `EventSource`, which reconnects by itself with the cursor it
 * saw last. Only where it gives up for good (any status but 200) is a new one opened, there too
 * from the last cursor: so nothing is lost or repeated. It ends where the session does, which only
 * a person can begin again.
 */
export class ChannelStream implements Disposable {
  readonly #path: string;
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
    this.#path = `/v1/channels/${encodeURIComponent(channel)}/events`;
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
    const source = new EventSource(`${this.#path}?${query}`);
    this.#source = source;
    source.onopen = (event) => {
      if (event instanceof MessageEvent) return; // an event of the type "open"
      this.#listener.connection("open");
    };
    source.onerror = (event) => {
      if (event instanceof MessageEvent) return; // an event of the type "error"
      this.#listener.connection("reconnecting");
      if (source.readyState === EventSource.CLOSED) void this.#goOn(source);
    };
    for (const type of this.#types) source.addEventListener(type, this.#onEvent);
    source.addEventListener("weir.gap", ({ data, lastEventId }) => {
      this.#cursor = lastEventId;
      this.#listener.gap(JSON.parse(data), lastEventId);
    });
    source.addEventListener("weir.token", ({ data }) => {
      this.#listener.expiring(JSON.parse(data).expiresIn);
    });
    source.addEventListener("weir.goodbye", ({ data }) => {
      const { reason } = JSON.parse(data);
      const farewell = FAREWELLS[reason];
      if (farewell === undefined) this.#listener.goodbye(reason);
      else this.#end(farewell);
    });
  }

  /** After `source` has given up. */
  async #goOn(source: EventSource): Promise<void> {
    const refusal = await this.#findRefusal();
    if (this.#source !== source) return; // left meanwhile
    if (refusal !== undefined) return this.#end(refusal);
    clearTimeout(this.#reopening);
    this.#reopening = setTimeout(() => this.#open(), REOPEN_AFTER);
  }

  /** Why the server refuses who this is, if it does: an `EventSource` doesn't tell. */
  async #findRefusal(): Promise<string | undefined> {
    try {
      const query = new URLSearchParams({ limit: "1", after: this.#cursor });
      const response = await fetch(`${this.#path}?${query}`);
      if (response.status !== 401 && response.status !== 403) {
        await response.body?.cancel();
        return undefined;
      }
      const { code } = await response.json();
      return REFUSALS[code] ?? "Signed out: the session has ended.";
    } catch {
      return undefined; // no answer: the server may be back later
    }
  }

  #end(why: string): void {
    this[Symbol.dispose]();
    this.#listener.ended(why);
  }

  readonly #onEvent = (event: Event): void => {
    if (!(event instanceof MessageEvent)) return; // not of Weir's: the source's own "error"
    const { data, lastEventId } = event;
    this.#cursor = lastEventId;
    this.#listener.event(JSON.parse(data), lastEventId);
  };
}
