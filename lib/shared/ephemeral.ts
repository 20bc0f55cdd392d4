import type { ChannelKey } from "./channel.ts";
import { dataJson, formatTime } from "./event.ts";

/**
 * Up to and including this many bytes of data is an ephemeral event. Met: memory and sockets that
 * fill with what no log holds back.
 */
export const MAX_EPHEMERAL_BYTES = 16_384;

/** What is delivered to who is there at the moment and kept nowhere. Milliseconds since 1970. */
export interface EphemeralEvent {
  readonly type: string;
  readonly time: number;
  /** A JSON type or `text/*`. */
  readonly contentType: string;
  readonly data: string;
}

/**
 * Carries ephemeral events to the other isolates on the store: each once or not at all, in the order
 * of one sender mostly, and never to who began to receive noticeably later.
 */
export interface Relay {
  /** @throws {import("./problem.ts").Problem} `overloaded` */
  relay(channelKey: ChannelKey, event: EphemeralEvent): void;
  /** Calls `onEvent` with what other isolates send to the channel. */
  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable;
}

/** The members of an ephemeral event as JSON text, without the braces and on one line. */
export function ephemeralMembers(channelJson: string, event: EphemeralEvent): string {
  const { type, time, contentType } = event;
  return `"channel":${channelJson},"type":${JSON.stringify(type)},"time":"${
    formatTime(time)
  }","contentType":${JSON.stringify(contentType)},"data":${dataJson(event)}`;
}
