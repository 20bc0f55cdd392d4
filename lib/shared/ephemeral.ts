import type { ChannelKey } from "./channel.ts";
import { dataJson, formatTime } from "./event.ts";

/** Bytes of data in an ephemeral event. Guards against memory and sockets filling up. */
export const MAX_EPHEMERAL_BYTES = 16_384;

/** An event that is delivered to current subscribers and never stored. */
export interface EphemeralEvent {
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** A JSON type or `text/*`. */
  readonly contentType: string;
  readonly data: string;
  /** As in a {@link import("./event.ts").LogEvent}. */
  readonly publisher?: string;
  /** As in a {@link import("./event.ts").LogEvent}. */
  readonly traceparent?: string;
}

/**
 * Passes ephemeral events to the other isolates on the store. Each event arrives at most once, and
 * never at those that subscribed noticeably later. Events of one isolate mostly keep their order.
 */
export interface Relay {
  /** @throws {import("./problem.ts").Problem} `overloaded` */
  relay(channelKey: ChannelKey, event: EphemeralEvent): void;
  /** Calls `onEvent` with the events that other isolates relay for the channel. */
  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable;
}

/** Formats the members of an ephemeral event as JSON, without braces and on one line. */
export function ephemeralMembers(channelJson: string, event: EphemeralEvent): string {
  const { type, time, contentType, publisher, traceparent } = event;
  let text = `"channel":${channelJson},"type":${JSON.stringify(type)},"time":"${
    formatTime(time)
  }","contentType":${JSON.stringify(contentType)},"data":${dataJson(event)}`;
  if (publisher !== undefined) text += `,"publisher":${JSON.stringify(publisher)}`;
  if (traceparent !== undefined) text += `,"traceparent":"${traceparent}"`;
  return text;
}
