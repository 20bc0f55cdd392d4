/** Hooks for React 18 and later: docs/client.md, "React". */

// @ts-types="@types/react"
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { ConnectionState, Member, Observable, Weir } from "../api.ts";
import type { WeirError } from "../core/weir_error.ts";
import { type ChannelItems, channelView, type UseChannelOptions } from "./channel_view.ts";
import { type Publish, publisher } from "./outgoing.ts";
import type { Self, UsedPresence } from "./presence_options.ts";
import { type ChannelOf, nameOf } from "./typed_channel.ts";

export type { ChannelItem, ChannelItems, UseChannelOptions } from "./channel_view.ts";
export type { FailedEvent, OutgoingEvent, PendingEvent, Publish } from "./outgoing.ts";
export type { Self, UsedPresence } from "./presence_options.ts";
export type { ChannelOf, TypedChannel } from "./typed_channel.ts";

const IDLE: ConnectionState = { status: "idle" };
const NOBODY: readonly Member<never>[] = [];

/**
 * Reads the channel while the component is mounted. Its `keep` newest items are shown, with gaps,
 * and with what {@link usePublish} has published and the channel has not delivered yet. A schema is
 * that of the first render.
 */
export function useChannel<T = unknown>(
  weir: Weir,
  channel: ChannelOf<T>,
  { after, keep, onEphemeral }: UseChannelOptions = {},
): ChannelItems<T> {
  const latest = useRef(onEphemeral);
  useEffect(() => void (latest.current = onEphemeral));
  const view = useMemo(
    () =>
      channelView(weir, channel, {
        after,
        keep,
        onEphemeral: (event) => latest.current?.(event),
      }),
    [weir, nameOf(channel), after, keep],
  );
  return useObservable(view, view.value);
}

/**
 * Returns a function that publishes to the channel. The event is shown at once by every
 * {@link useChannel} of the channel: as pending, then as the stored event, or as failed with the
 * error. It resolves once the event is stored and rejects if it is refused; while the failed event
 * is shown, the rejection need not be handled.
 */
export function usePublish<Input = unknown>(
  weir: Weir,
  channel: ChannelOf<unknown, Input>,
): Publish<Input> {
  return useMemo(() => publisher(weir, channel), [weir, nameOf(channel)]);
}

/**
 * Returns the members of the channel. With `self` the client is a member while the component is
 * mounted, with the data of the last render. `error` says why it is not.
 */
export function usePresence<T = unknown>(
  weir: Weir,
  channel: ChannelOf,
  self?: Self<T>,
): UsedPresence<T> {
  const name = nameOf(channel);
  const presence = useMemo(() => weir.presence<T>(name), [weir, name]);
  const members = useObservable(presence.members, NOBODY);
  const [error, setError] = useState<WeirError>();
  const isMember = self !== undefined;
  useEffect(() => {
    if (!isMember) return;
    const { data, member } = self;
    presence.enter(data, { member }).then(() => setError(undefined), setError);
  }, [presence, JSON.stringify(self)]);
  useEffect(() => {
    if (isMember) return () => void presence.leave().catch(setError);
  }, [presence, isMember]);
  return { members, error };
}

/** Returns the state of the connection. While React renders on a server, that is `idle`. */
export function useWeirState(weir: Weir): ConnectionState {
  return useObservable(weir.state, IDLE);
}

function useObservable<T>(observable: Observable<T>, onServer: T): T {
  return useSyncExternalStore(observable.subscribe, () => observable.value, () => onServer);
}
