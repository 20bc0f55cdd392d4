import { isOffset, sequenceOf } from "../../shared/offset.ts";
import { channelNameError } from "../core/channel_name.ts";
import { badAnswerError } from "../core/errors.ts";
import { type EphemeralEvent, type Gap, toEvent, type WeirEvent } from "../core/event.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Feed, FeedListener } from "../core/link.ts";
import { isNextOffset, offsetBefore } from "../core/offset.ts";
import { WeirError } from "../core/weir_error.ts";
import {
  activePositions,
  activeReaders,
  type Anchor,
  firstPosition,
  goLive,
  isAnchor,
  isCovered,
  type Reader,
  type TrackedChannel,
} from "./tracked_channel.ts";

/** A channel that a transport has to read. */
export interface WantedChannel {
  readonly channel: string;
  /** An offset; `latest` or `earliest` if the offset is not known yet. */
  readonly after: string;
  /** A new revision means that reading has to begin again, at `after`. */
  readonly revision: number;
}

/**
 * The channels that are read, and how far each reader is. While one transport replaces another, both
 * deliver: each reader receives each event once and in order. An event that does not follow, because
 * a reader has joined meanwhile, ends the transport that delivers it.
 */
export class Channels {
  readonly #onChange: () => void;
  readonly #channels = new Map<string, TrackedChannel>();
  /** Never reused, not even for a channel that is dropped and read again. */
  #lastRevision = 0;
  /** Grows with each event that a reader receives. */
  progress = 0;

  /** @param onChange is called when the wanted channels have changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** @see {@link import("../core/link.ts").Link.feed} */
  add(channel: string, after: string, listener: FeedListener): Feed {
    const tracked: TrackedChannel = this.#channels.get(channel) ??
      { channel, readers: new Set(), reading: undefined, revision: ++this.#lastRevision };
    const { readers } = tracked;
    const reader = { listener, after, isPaused: false, isLive: false, isStarted: false };
    const error = channelNameError(channel) ?? cursorError(after);
    if (error) queueMicrotask(() => listener.ended(error));
    else {
      this.#channels.set(channel, tracked);
      readers.add(reader);
      this.#join(tracked, reader);
    }
    return {
      pause: () => {
        reader.isPaused = true;
        reader.isLive = false;
        if (readers.has(reader)) this.#left(tracked);
      },
      resume: () => {
        if (!reader.isPaused) return;
        reader.isPaused = false;
        if (readers.has(reader)) this.#join(tracked, reader);
      },
      close: () => {
        if (readers.delete(reader)) this.#left(tracked);
      },
    };
  }

  /** Returns the channels that have active readers. */
  wanted(): readonly WantedChannel[] {
    return [...this.#channels.values()].flatMap((tracked) => {
      const { channel, revision } = tracked;
      const after = firstPosition(activePositions(tracked));
      return after ? { channel, revision, after } : [];
    });
  }

  /**
   * Returns the anchors whose offset must be found before their readers can be served.
   *
   * @param needsOffsets whether the transport can only start at an offset. Otherwise it resolves the
   * anchor where it starts, and only the other anchors are returned.
   */
  unresolvedAnchors(
    needsOffsets: boolean,
  ): readonly (readonly [channel: string, anchor: Anchor])[] {
    return [...this.#channels.values()].flatMap((tracked) => {
      const positions = activePositions(tracked);
      const isResolvedByReading = !needsOffsets && !tracked.reading;
      const resolved = isResolvedByReading ? firstPosition(positions) : undefined;
      return positions.filter(isAnchor).filter((anchor) => anchor !== resolved)
        .map((anchor) => [tracked.channel, anchor] as const);
    });
  }

  /** Sets the offset of `anchor` in the channel. */
  anchorResolved(channel: string, anchor: Anchor, offset: string): void {
    const tracked = this.#channels.get(channel);
    if (!tracked) return;
    for (const reader of activeReaders(tracked)) {
      if (reader.after !== anchor) continue;
      reader.after = offset;
      this.#join(tracked, reader);
    }
  }

  /** A transport that was asked to read after `after` now reads the channel after `offset`. */
  started(channel: string, after: string, offset: string): void {
    const tracked = this.#channels.get(channel);
    if (!tracked) return;
    const active = activeReaders(tracked);
    if (active.length === 0) return;
    tracked.reading = offset;
    for (const reader of active) {
      if (reader.after === after && isAnchor(after)) reader.after = offset;
      if (isCovered(reader, tracked)) goLive(reader);
    }
  }

  /** No transport reads any more. */
  stopped(): void {
    for (const tracked of this.#channels.values()) {
      tracked.reading = undefined;
      for (const reader of tracked.readers) reader.isStarted = false;
    }
  }

  /**
   * Delivers an event as it is on the wire.
   *
   * @param size characters of its message.
   * @throws {WeirError} `bad_answer` if it is not an event, or events before it are missing.
   */
  event(wire: JsonObject, size: number): void {
    const { channel, offset } = wire;
    if (typeof channel !== "string" || typeof offset !== "string" || !isOffset(offset)) {
      throw badAnswerError("An event has no offset.");
    }
    let event: WeirEvent | undefined;
    for (const reader of this.#advance(channel, offset)) {
      const { isLive, after } = reader;
      if (!isLive || offset <= after) continue;
      if (!isNextOffset(after, offset)) {
        throw badAnswerError(`Events before ${offset} are missing.`);
      }
      reader.after = offset;
      this.progress++;
      reader.listener.event(event ??= toEvent(wire), size);
    }
  }

  /** Delivers a gap as it is on the wire. @throws {WeirError} `bad_answer` */
  gap(wire: JsonObject): void {
    // What is used is checked below.
    const gap = wire as unknown as Gap;
    const { channel, reason, firstAvailable } = gap;
    if (!isOffset(firstAvailable)) throw badAnswerError("A gap has no offset.");
    const end = offsetBefore(firstAvailable);
    for (const reader of this.#advance(channel, end)) {
      const requested = reader.after;
      if (!reader.isLive || (reason !== "ahead" && requested >= end)) continue;
      const lost = gap.lost === null || requested === gap.requested
        ? gap.lost
        : sequenceOf(end) - sequenceOf(requested);
      reader.after = end;
      reader.listener.gap({ kind: "gap", channel, reason, requested, firstAvailable, lost });
    }
  }

  ephemeral({ op: _op, ephemeral: _ephemeral, ...members }: JsonObject): void {
    const event = { ...members as unknown as EphemeralEvent, kind: "ephemeral" } as const;
    for (const { isLive, listener } of this.#channels.get(event.channel)?.readers ?? []) {
      if (isLive) listener.ephemeral(event);
    }
  }

  /** The server ended the subscription, because the credential no longer allows to read. */
  unsubscribed({ channel, reason }: JsonObject): void {
    const detail = "Reading is no longer allowed.";
    this.ended(String(channel), new WeirError(String(reason), detail));
  }

  /** Ends all feeds of the channel. */
  ended(channel: string, error: WeirError): void {
    const tracked = this.#channels.get(channel);
    if (!tracked) return;
    const readers = [...tracked.readers];
    this.#channels.delete(channel);
    tracked.readers.clear();
    for (const { listener } of readers) listener.ended(error);
    this.#onChange();
  }

  close(error: WeirError): void {
    for (const channel of [...this.#channels.keys()]) this.ended(channel, error);
  }

  /** Notes that the transport is at `offset` and returns the readers, if it is still wanted. */
  #advance(channel: string, offset: string): Iterable<Reader> {
    const tracked = this.#channels.get(channel);
    if (!tracked?.reading) return [];
    tracked.reading = offset;
    return tracked.readers;
  }

  /** Serves the reader by what is being read, or lets reading begin again at its position. */
  #join(tracked: TrackedChannel, reader: Reader): void {
    if (isCovered(reader, tracked)) return goLive(reader);
    if (!isAnchor(reader.after)) tracked.revision = ++this.#lastRevision;
    this.#onChange();
  }

  #left(tracked: TrackedChannel): void {
    const { reading } = tracked;
    // Reading continues for active readers that are not past it. An anchor counts as past it.
    if (activeReaders(tracked).some(({ after }) => !reading || after <= reading)) return;
    tracked.reading = undefined;
    tracked.revision = ++this.#lastRevision;
    if (tracked.readers.size === 0) this.#channels.delete(tracked.channel);
    this.#onChange();
  }
}

function cursorError(after: string): WeirError | undefined {
  if (isAnchor(after) || isOffset(after)) return undefined;
  const detail = `${JSON.stringify(after)} is not a cursor, "earliest" or "latest".`;
  return new WeirError("bad_cursor", detail);
}
