/** Functions for components of Svelte 5.7 and later: docs/client.md, "Svelte". */

import { onMount } from "svelte";
import { createSubscriber } from "svelte/reactivity";
import { fromStore, toStore, writable } from "svelte/store";
import type { ConnectionState, Observable, Weir } from "../api.ts";
import type { WeirError } from "../core/weir_error.ts";
import { type ChannelItems, channelView, type UseChannelOptions } from "./channel_view.ts";
import { type Publish, publisher } from "./outgoing.ts";
import type { Self, UsedPresence } from "./presence_options.ts";
import { type ChannelOf, nameOf } from "./typed_channel.ts";

export type { ChannelItem, ChannelItems, UseChannelOptions } from "./channel_view.ts";
export type { FailedEvent, OutgoingEvent, PendingEvent, Publish } from "./outgoing.ts";
export type { Self, UsedPresence } from "./presence_options.ts";
export type { ChannelOf, TypedChannel } from "./typed_channel.ts";

/** A value, or a function that reads it from reactive state: `() => name`. */
export type MaybeGetter<T> = T | (() => T);

/**
 * Reads the channel while the component is mounted. The `keep` newest items are shown, with gaps,
 * and with what {@link usePublish} has published and the channel has not delivered yet. The result
 * is reactive, so do not destructure it.
 *
 * @param channel if it is a function and its result changes, the items begin again.
 */
export function useChannel<T = unknown>(
  weir: Weir,
  channel: MaybeGetter<ChannelOf<T>>,
  options: UseChannelOptions = {},
): ChannelItems<T> {
  const now = follow(channel, (channel) => channelView(weir, channel, options));
  return {
    get items() {
      return now().items;
    },
    get error() {
      return now().error;
    },
    get hasStarted() {
      return now().hasStarted;
    },
  };
}

/**
 * Returns a function that publishes to the channel. The event is shown at once by every
 * {@link useChannel} of the channel: as pending, then as the stored event, or as failed with the
 * error. It resolves once the event is stored and rejects if it is refused; while the failed event
 * is shown, the rejection need not be handled.
 */
export function usePublish<Input = unknown>(
  weir: Weir,
  channel: MaybeGetter<ChannelOf<unknown, Input>>,
): Publish<Input> {
  return (data, options) => publisher(weir, get(channel))(data, options);
}

/**
 * Returns the members of the channel. With `self` the client is a member while the component is
 * mounted; a function's result may change. `error` says why it is not. The result is reactive, so do
 * not destructure it.
 */
export function usePresence<T = unknown>(
  weir: Weir,
  channel: MaybeGetter<ChannelOf>,
  self?: MaybeGetter<Self<T> | undefined>,
): UsedPresence<T> {
  const name = () => nameOf(get(channel));
  const error = writable<WeirError | undefined>();
  const shownError = fromStore(error);
  onMount(() => {
    let leave: (() => void) | undefined;
    let left: string | undefined;
    // As JSON: other data is an update, and what is reactive cannot be sent to another tab.
    const end = toStore(() => JSON.stringify([name(), get(self)])).subscribe((json) => {
      const [name, self]: [string, Self<T> | null] = JSON.parse(json);
      if (name !== left || self === null) leave?.();
      left = name;
      if (self === null) return;
      const presence = presenceOf(name);
      leave = () => {
        leave = undefined;
        presence.leave().catch(error.set);
      };
      presence.enter(self.data, { member: self.member }).then(
        () => error.set(undefined),
        error.set,
      );
    });
    return () => {
      end();
      leave?.();
    };
  });
  let current = { name: "", presence: weir.presence<T>("") };
  const presenceOf = (name: string) => {
    if (current.name !== name) current = { name, presence: weir.presence<T>(name) };
    return current.presence;
  };
  const members = follow(name, (name) => presenceOf(name).members);
  return {
    get members() {
      return members();
    },
    get error() {
      return shownError.current;
    },
  };
}

/**
 * Returns the state of the connection, as reactive `current`. On a server, that is `idle`.
 * `weir.state` itself is a store.
 */
export function useWeirState(weir: Weir): { readonly current: ConnectionState } {
  const isServer = typeof window === "undefined";
  return isServer ? { current: { status: "idle" } } : fromStore(weir.state);
}

/** Returns a function that reads the observable reactively. It is subscribed to while mounted. */
function follow<C extends ChannelOf, T>(
  channel: MaybeGetter<C>,
  observe: (channel: C) => Observable<T>,
): () => T {
  let observed = get(channel);
  let observable = observe(observed);
  let update = () => {};
  const track = createSubscriber((changed) => {
    update = changed;
  });
  onMount(() => {
    let stop: (() => void) | undefined;
    const end = toStore(() => get(channel)).subscribe((next) => {
      if (stop && next === observed) return;
      stop?.();
      if (next !== observed) observable = observe(observed = next);
      stop = observable.subscribe(() => update());
    });
    return () => {
      end();
      stop?.();
    };
  });
  return () => {
    track();
    return observable.value;
  };
}

function get<T>(value: MaybeGetter<T>): T {
  return typeof value === "function" ? (value as () => T)() : value;
}
