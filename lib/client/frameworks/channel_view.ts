import type { EphemeralEvent, Gap, Weir, WeirEvent } from "../api.ts";
import { type Observable, ObservableValue } from "../core/observable.ts";
import type { WeirError } from "../core/weir_error.ts";
import { type OutgoingEvent, outgoingOf } from "./outgoing.ts";
import { type ChannelOf, nameOf, schemaOf } from "./typed_channel.ts";

/** Check `kind`: `event`, `gap`, `pending` or `failed`. All but gaps have an `id`. */
export type ChannelItem<T = unknown> = WeirEvent<T> | Gap | OutgoingEvent<T>;

/** What a component shows of a channel. */
export interface ChannelItems<T = unknown> {
  /** The newest items, oldest first. Those that were published here and not received come last. */
  readonly items: readonly ChannelItem<T>[];
  /** Why reading has ended, for example because it is not allowed. */
  readonly error: WeirError | undefined;
  /** Whether reading has begun. */
  readonly hasStarted: boolean;
}

export interface UseChannelOptions {
  /** A cursor, `earliest` or `latest`. @default the saved cursor, or `latest` */
  readonly after?: string | undefined;
  /** How many received items to keep. @default 1_000 */
  readonly keep?: number | undefined;
  readonly onEphemeral?: ((event: EphemeralEvent) => void) | undefined;
}

/**
 * Returns the items of a channel, which is read while they have a listener. After a pause reading
 * continues behind the last item, so that none is missing and none is there twice. Items that arrive
 * together are one change.
 */
export function channelView<T>(
  weir: Weir,
  channel: ChannelOf<T>,
  { after, keep = 1_000, onEphemeral }: UseChannelOptions = {},
): Observable<ChannelItems<T>> {
  const name = nameOf(channel);
  const outgoing = outgoingOf(weir, name);
  const received: (WeirEvent<T> | Gap)[] = [];
  /** Those that were published here and not received. */
  const own = new Map<string, OutgoingEvent>();
  const shown = new ObservableValue<ChannelItems<T>>({
    items: [],
    error: undefined,
    hasStarted: false,
  });
  let { error, hasStarted } = shown.value;
  let cursor: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let listeners = 0;
  let stop = () => {};

  const show = () => {
    clearTimeout(timer);
    timer = undefined;
    received.splice(0, received.length - keep);
    for (const [id, event] of own) {
      if (cursor && event.kind === "pending" && event.offset && event.offset <= cursor) {
        own.delete(id);
      }
    }
    // What is published has the schema's output.
    const items = [...received, ...own.values()] as readonly ChannelItem<T>[];
    shown.set({ items, error, hasStarted });
  };
  const showSoon = () => timer ??= setTimeout(show);

  const start = () => {
    let isOver = false;
    error = undefined;
    const listening = weir.listen<T>(name, {
      after: cursor ?? after,
      schema: schemaOf(channel),
      onEphemeral,
      onStart(at) {
        cursor ??= at;
        hasStarted = true;
        showSoon();
      },
      onEvent(event, at) {
        if (isOver) return; // it is read again
        cursor = at;
        own.delete(event.id);
        received.push(event);
        showSoon();
      },
      onGap(gap) {
        if (isOver) return;
        cursor = listening.cursor;
        received.push(gap);
        showSoon();
      },
      onError(cause) {
        error = cause;
        showSoon();
      },
    });
    const sent = (id: string, event: OutgoingEvent | undefined) => {
      const isNew = event?.kind === "pending" && event.offset === undefined;
      if (event && (isNew || own.has(id))) own.set(id, event);
      else own.delete(id);
      show();
    };
    outgoing.views.add(sent);
    for (const [id, event] of outgoing.events) own.set(id, event);
    if (own.size > 0) showSoon();
    return () => {
      isOver = true;
      listening.close();
      outgoing.views.delete(sent);
      show();
    };
  };

  return {
    get value() {
      return shown.value;
    },
    subscribe(listener) {
      const leave = shown.subscribe(listener);
      if (listeners++ === 0) stop = start();
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        leave();
        if (--listeners === 0) stop();
      };
    },
  };
}
