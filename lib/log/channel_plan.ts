import type { ChannelKey } from "../shared/channel.ts";
import type { LogEvent } from "../shared/event.ts";
import { type HeadEntry, newHead, type StoredHead } from "./head.ts";
import type { Capacity, Draft } from "./log.ts";
import type { PackedEvent } from "./record_batch.ts";

/** What a commit does to one channel. */
export interface ChannelPlan {
  readonly channelKey: ChannelKey;
  /** The head that the commit replaces. */
  readonly before: HeadEntry;
  readonly head: StoredHead;
  /** Bytes of data in the log before `events`. */
  readonly startBytes: number;
  readonly events: readonly PackedEvent[];
}

/** Collects the events that a commit appends to one channel. */
export class ChannelPlanBuilder {
  /** The head without the new events; a new one where the channel does not exist. */
  readonly head: StoredHead;
  readonly #events: PackedEvent[] = [];
  /** This machine's clock, in ms since 1970. */
  readonly #now: number;
  /** The time of the new events: the channel's, if that is ahead of the clock. */
  readonly #time: number;
  #bytes = 0;
  /** Whether a channel that the commit creates is already in its tenant's count. */
  isCounted = false;

  constructor(readonly channelKey: ChannelKey, readonly before: HeadEntry, now: number) {
    const { head } = before;
    this.head = head === null ? newHead(now) : head.deleted ? { ...head, deleted: false } : head;
    this.#now = now;
    this.#time = Math.max(now, this.head.time);
  }

  /** Returns whether the channel keeps at most `capacity` with `drafts`, which are for it. */
  hasRoom(
    drafts: readonly Draft[],
    { events, bytes }: Pick<Capacity, "events" | "bytes">,
  ): boolean {
    const { first, last, startBytes, endBytes } = this.head;
    const kept = last - first + 1 + this.#events.length;
    const keptBytes = endBytes - startBytes + this.#bytes;
    const added = drafts.reduce((sum, draft) => sum + draft.bytes, 0);
    return kept + drafts.length <= events && keptBytes + added <= bytes;
  }

  /** Appends an event and returns its sequence. */
  push(draft: Draft, stored: PackedEvent["stored"]): number {
    const sequence = this.head.last + this.#events.length + 1;
    const event: LogEvent = {
      sequence,
      id: draft.id,
      type: draft.type,
      time: this.#time,
      contentType: draft.contentType,
      data: draft.data,
      key: draft.key,
      publisher: draft.publisher,
      traceparent: draft.traceparent,
      // Not from the channel's time: a clock that was once ahead must not prolong any life.
      expiresAt: draft.ttlMs === undefined ? undefined : this.#now + draft.ttlMs,
    };
    this.#events.push({ event, stored, bytes: draft.bytes });
    this.#bytes += draft.bytes;
    return sequence;
  }

  build(): ChannelPlan {
    const { head } = this;
    const isEmpty = head.first > head.last;
    return {
      channelKey: this.channelKey,
      before: this.before,
      startBytes: head.endBytes,
      events: this.#events,
      head: {
        ...head,
        last: head.last + this.#events.length,
        time: this.#time,
        oldest: isEmpty ? this.#time : head.oldest,
        endBytes: head.endBytes + this.#bytes,
      },
    };
  }
}
