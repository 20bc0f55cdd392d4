import type { WantedChannel } from "../connection/channels.ts";
import type { TransportHost } from "../connection/transport.ts";
import type { Channel } from "../../shared/channel.ts";
import { formatCursor } from "../../shared/cursor.ts";
import { isOffset, positionOf } from "../../shared/offset.ts";

/** Channels of one request: what a cursor can hold. */
const MAX_CHANNELS = 100;
/** Characters of the channels' names in a request's URL. The server allows 8,192 for all of it. */
const MAX_NAME_CHARS = 4_000;

/** Channels that are read by the same requests. */
export interface ChannelGroup {
  readonly host: TransportHost;
  /** Sorted. */
  readonly channels: readonly string[];
  /** Aborts when the channels have to be read otherwise. */
  readonly signal: AbortSignal;
  /** Whether a request of it has been answered. */
  readonly isStarted: boolean;
  /** Checks whether the open request is alive. */
  check: () => void;
  /** Returns the URL of a request from where the readers are; undefined if all have left. */
  path(query: string): string | undefined;
  /** Called when the request for the last `path()` is being answered. */
  started(): void;
}

interface ChannelGroupOptions {
  readonly host: TransportHost;
  readonly channels: readonly string[];
  readonly signal: AbortSignal;
  readonly onStarted: () => void;
}

export function makeChannelGroup(
  { host, channels, signal, onStarted }: ChannelGroupOptions,
): ChannelGroup {
  let requested: readonly WantedChannel[] = [];
  let isStarted = false;
  return {
    host,
    signal,
    channels,
    get isStarted() {
      return isStarted;
    },
    check() {},
    path(query) {
      const wanted = new Map(host.channels.wanted().map((one) => [one.channel, one]));
      requested = channels.flatMap((name) => wanted.get(name) ?? [])
        .filter(({ after }) => isOffset(after));
      if (requested.length === 0) return undefined;
      const names = requested.map(({ channel }) => channel);
      const cursor = formatCursor(
        names as Channel[], // the server validates them
        requested.map(({ after }) => positionOf(after)),
      );
      const list = names.map((name) => `channel=${encodeURIComponent(name)}`).join("&");
      return `/v1/events?${list}&after=${cursor}&${query}`;
    },
    started() {
      if (signal.aborted) return;
      isStarted = true;
      for (const { channel, after } of requested) host.channels.started(channel, after, after);
      onStarted();
    },
  };
}

/** Splits channels into lists that one request can read. */
export function groupChannels(
  wanted: readonly WantedChannel[],
): readonly (readonly string[])[] {
  const groups: string[][] = [];
  let chars = Infinity;
  for (const channel of wanted.map(({ channel }) => channel).sort()) {
    const length = encodeURIComponent(channel).length;
    chars += length;
    const last = groups.at(-1);
    if (last === undefined || chars > MAX_NAME_CHARS || last.length >= MAX_CHANNELS) {
      groups.push([channel]);
      chars = length;
    } else last.push(channel);
  }
  return groups;
}
