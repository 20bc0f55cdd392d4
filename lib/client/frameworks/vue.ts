/** Composables for Vue 3.3 and later: docs/client.md, "Vue". */

import {
  computed,
  type ComputedRef,
  type MaybeRefOrGetter,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from "vue";
import type { ConnectionState, Member, Observable, Weir } from "../api.ts";
import type { WeirError } from "../core/weir_error.ts";
import { type ChannelItem, channelView, type UseChannelOptions } from "./channel_view.ts";
import { type Publish, publisher } from "./outgoing.ts";
import type { Self } from "./presence_options.ts";
import { type ChannelOf, nameOf } from "./typed_channel.ts";

export type { ChannelItem, UseChannelOptions } from "./channel_view.ts";
export type { FailedEvent, OutgoingEvent, PendingEvent, Publish } from "./outgoing.ts";
export type { Self } from "./presence_options.ts";
export type { ChannelOf, TypedChannel } from "./typed_channel.ts";

/** On a server a scope never ends, so nothing may begin. */
const IS_SERVER = typeof window === "undefined";

/**
 * Reads the channel until the scope of the component ends. The `keep` newest items are shown, with
 * gaps, and with what {@link usePublish} has published and the channel has not delivered yet.
 *
 * @param channel may be a ref or a getter. If it changes, the items begin again.
 */
export function useChannel<T = unknown>(
  weir: Weir,
  channel: MaybeRefOrGetter<ChannelOf<T>>,
  options: UseChannelOptions = {},
): {
  readonly items: ComputedRef<readonly ChannelItem<T>[]>;
  /** Why reading has ended, for example because it is not allowed. */
  readonly error: ComputedRef<WeirError | undefined>;
  /** Whether reading has begun. */
  readonly hasStarted: ComputedRef<boolean>;
} {
  const value = useObservable(() => channelView(weir, toValue(channel), options));
  return {
    items: computed(() => value.value.items),
    error: computed(() => value.value.error),
    hasStarted: computed(() => value.value.hasStarted),
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
  channel: MaybeRefOrGetter<ChannelOf<unknown, Input>>,
): Publish<Input> {
  return (data, options) => publisher(weir, toValue(channel))(data, options);
}

/**
 * Returns the members of the channel. With `self` the client is a member until the scope of the
 * component ends or `self` is undefined, and its data follows `self`. `error` says why it is not.
 */
export function usePresence<T = unknown>(
  weir: Weir,
  channel: MaybeRefOrGetter<ChannelOf>,
  self?: MaybeRefOrGetter<Self<T> | undefined>,
): {
  /** In the order in which they joined. */
  readonly members: Readonly<ShallowRef<readonly Member<T>[]>>;
  /** Why this client is not a member, or why its last data was refused. */
  readonly error: Readonly<ShallowRef<WeirError | undefined>>;
} {
  const presence = computed(() => weir.presence<T>(nameOf(toValue(channel))));
  const error = shallowRef<WeirError>();
  const fail = (cause: WeirError) => {
    error.value = cause;
  };
  // As JSON: other data is an update, and what is reactive cannot be sent to another tab.
  const json = () => JSON.stringify(toValue(self));
  if (!IS_SERVER) {
    watch([presence, () => json() !== undefined] as const, ([room, isIn], _, onCleanup) => {
      if (isIn) onCleanup(() => void room.leave().catch(fail));
    }, { immediate: true });
    watch([presence, json] as const, ([room, json]) => {
      if (json === undefined) return;
      const { data, member }: Self<T> = JSON.parse(json);
      room.enter(data, { member }).then(() => error.value = undefined, fail);
    }, { immediate: true });
  }
  return { members: useObservable(() => presence.value.members), error };
}

/** Returns the state of the connection. On a server, that is `idle`. */
export function useWeirState(weir: Weir): Readonly<ShallowRef<ConnectionState>> {
  return IS_SERVER ? shallowRef({ status: "idle" }) : useObservable(() => weir.state);
}

function useObservable<T>(observable: () => Observable<T>): Readonly<ShallowRef<T>> {
  const value = shallowRef() as ShallowRef<T>; // set at once
  watch(observable, (observable, _, onCleanup) => {
    if (IS_SERVER) value.value = observable.value;
    else onCleanup(observable.subscribe((next) => value.value = next));
  }, { immediate: true });
  return value;
}
