// A channel's events in React: npm install react weir-client
//
//   const weir = connect("https://weir.example"); // once, outside of components
//
//   function Orders() {
//     const { items, error } = useChannel<Order>(weir, "orders", { keep: 50 });
//     if (error) return <p role="alert">{error.message}</p>;
//     return items.map((item) =>
//       item.kind === "gap"
//         ? <p key={`gap ${item.firstAvailable}`}>{item.lost ?? "Some"} orders are missing here.</p>
//         : <OrderLine key={item.offset} order={item.data} />
//     );
//   }
// @ts-types="@types/react"
import { useMemo, useSyncExternalStore } from "react";
import type { Gap, Weir, WeirError, WeirEvent } from "weir-client";

export interface ChannelView<T> {
  /** The latest events, oldest first. A gap marks events that are no longer available. */
  readonly items: readonly (WeirEvent<T> | Gap)[];
  /** The error that ended the subscription, if any. */
  readonly error: WeirError | undefined;
}

export interface UseChannelOptions {
  /** A cursor, `earliest` or `latest`. @default "latest" */
  readonly after?: string;
  /** How many items to keep. @default 100 */
  readonly keep?: number;
}

/** Subscribes to the channel while the component is mounted. */
export function useChannel<T>(
  weir: Weir,
  channel: string,
  { after = "latest", keep = 100 }: UseChannelOptions = {},
): ChannelView<T> {
  const store = useMemo(
    () => new ChannelStore<T>(weir, channel, after, keep),
    [weir, channel, after, keep],
  );
  return useSyncExternalStore(store.subscribe, store.view, store.view);
}

/** An external store for React: a stable view, and listeners for its changes. */
class ChannelStore<T> {
  #view: ChannelView<T> = { items: [], error: undefined };
  /** Where to continue after a remount, as in Strict Mode, so that no event appears twice. */
  #after: string;

  constructor(
    readonly weir: Weir,
    readonly channel: string,
    after: string,
    readonly keep: number,
  ) {
    this.#after = after;
  }

  readonly view = (): ChannelView<T> => this.#view;

  readonly subscribe = (onChange: () => void): () => void => {
    const change = (view: Partial<ChannelView<T>>) => {
      this.#view = { ...this.#view, ...view };
      onChange();
    };
    const add = (item: WeirEvent<T> | Gap) => {
      change({ items: [...this.#view.items, item].slice(-this.keep) });
    };
    const listening = this.weir.listen<T>(this.channel, {
      after: this.#after,
      onEvent: add,
      onGap: add,
      onError: (error) => change({ error }),
    });
    return () => {
      this.#after = listening.cursor ?? this.#after;
      listening.close();
    };
  };
}
