import { type Channel, channelOfPresence } from "../shared/channel.ts";
import type { StoredHead } from "./head.ts";
import type { Retention } from "./log.ts";

/**
 * Retention of presence channels: long enough for a client that continues from a snapshot, even if
 * the other channels keep less.
 */
const PRESENCE_RETENTION = { age: 60 * 60 * 1_000, events: 10_000 } as const;

/**
 * Returns what a channel keeps.
 *
 * @param own the retention that was configured for the channel.
 * @param defaults the retention of the server.
 */
export function retentionOf(
  channel: Channel,
  own: Partial<Retention>,
  defaults: Retention,
): Retention {
  const presence = channelOfPresence(channel) === undefined ? {} : PRESENCE_RETENTION;
  return { ...defaults, ...presence, ...own };
}

/** Returns whether all events of a log are within `limits`. */
export function isWithinLimits(
  head: Pick<StoredHead, "oldest" | "first" | "last" | "startBytes" | "endBytes">,
  limits: Retention,
  now: number,
): boolean {
  return head.oldest >= now - limits.age && head.last - head.first < limits.events &&
    head.endBytes - head.startBytes <= limits.bytes;
}

/** What decides whether an event is kept. */
interface RetentionCandidate {
  readonly sequence: number;
  readonly time: number;
  /** Bytes of data in the epoch's log before the event. */
  readonly startBytes: number;
}

/** Returns whether `limits` keep an event of the log that `head` describes. */
export function isKept(
  event: RetentionCandidate,
  head: Pick<StoredHead, "last" | "endBytes">,
  limits: Retention,
  now: number,
): boolean {
  return event.time >= now - limits.age && event.sequence > head.last - limits.events &&
    event.startBytes >= head.endBytes - limits.bytes;
}
