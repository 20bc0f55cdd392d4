import { type Channel, channelOfPresence, ownerOfInbox } from "../shared/channel.ts";
import type { AgeMark, StoredHead } from "./head.ts";
import type { Retention } from "./log.ts";
import { MAX_STEP_MS } from "./retention_clock.ts";

/**
 * Retention of presence channels: long enough for a client that continues from a snapshot, even if
 * the other channels keep less.
 */
const PRESENCE_RETENTION = { age: 60 * 60 * 1_000, events: 10_000 } as const;

/**
 * How long an inbox keeps signals: long enough for a peer that reconnects. A negotiation that takes
 * longer starts again.
 */
export const SIGNAL_LIFETIME_MS = 60_000;
/** Signals in an inbox. Guards against a peer that fills the log by somebody's inbox. */
export const MAX_INBOX_SIGNALS = 4_096;
/** Bytes of them: without this, signals of the largest size would be 256 MiB. */
export const MAX_INBOX_BYTES = 16 * 1024 ** 2;

const INBOX_RETENTION = {
  age: SIGNAL_LIFETIME_MS,
  events: MAX_INBOX_SIGNALS,
  bytes: MAX_INBOX_BYTES,
} as const;

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
  return { ...defaults, ...systemRetention(channel), ...own };
}

function systemRetention(channel: Channel): Partial<Retention> {
  if (channelOfPresence(channel) !== undefined) return PRESENCE_RETENTION;
  return ownerOfInbox(channel) === undefined ? {} : INBOX_RETENTION;
}

/** What of a head decides how old its events are. */
type AgedHead = Pick<StoredHead, "time" | "mark">;

/**
 * Returns the mark that a log needs whose times are ahead of the clock, since a machine's clock was
 * set wrongly. By two of them, such an event is kept no longer than three times the maximum age.
 */
export function neededMark(
  head: AgedHead & Pick<StoredHead, "last">,
  { age }: Pick<Retention, "age">,
  now: number,
): AgeMark | undefined {
  if (!isAhead(head, now)) return undefined;
  const isFresh = head.mark !== undefined && head.mark.time >= now - age;
  return isFresh ? undefined : { last: head.last, time: now };
}

/** Returns whether the times of a log are so far ahead of the clock that they say nothing. */
function isAhead({ time }: AgedHead, now: number): boolean {
  return time > now + MAX_STEP_MS;
}

function isTooOld(
  { time, sequence }: Pick<RetentionCandidate, "time" | "sequence">,
  head: AgedHead,
  oldest: number,
  now: number,
): boolean {
  if (time < oldest) return true;
  return head.mark !== undefined && isAhead(head, now) && head.mark.time < oldest &&
    sequence <= head.mark.last;
}

/** Returns whether all events of a log are within `limits`. */
export function isWithinLimits(
  head: AgedHead & Pick<StoredHead, "oldest" | "first" | "last" | "startBytes" | "endBytes">,
  limits: Retention,
  now: number,
): boolean {
  const first = { time: head.oldest, sequence: head.first };
  return !isTooOld(first, head, now - limits.age, now) && head.last - head.first < limits.events &&
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
  head: AgedHead & Pick<StoredHead, "last" | "endBytes">,
  limits: Retention,
  now: number,
): boolean {
  return !isTooOld(event, head, now - limits.age, now) &&
    event.sequence > head.last - limits.events &&
    event.startBytes >= head.endBytes - limits.bytes;
}
