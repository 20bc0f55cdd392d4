import { isOffset } from "../../shared/offset.ts";
import { type EphemeralEvent, type Gap, toEvent, type WeirEvent } from "../core/event.ts";
import { isNextOffset, offsetBefore, sequenceOf } from "../core/offset.ts";
import type { Feed, FeedListener } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { channelNameError } from "../core/channel_name.ts";
import { badAnswerError } from "../core/errors.ts";
import { WeirError } from "../core/weir_error.ts";

/** What a transport is to read. */
export interface WantedChannel {
  readonly channel: string;
  /** An offset; `latest` or `earliest` where nobody knows yet which that is. */
  readonly after: string;
  /** Another than before: what is being read does not do any more, it has to begin again. */
  readonly version: number;
}

type Start = "latest" | "earliest";

interface Reader {
  readonly listener: FeedListener;
  /** The offset behind which it stands; a {@link Start} until that is known. */
  at: string;
  isPaused: boolean;
  /** Whether what is being read covers it: `at` is an offset. */
  isLive: boolean;
  isStarted: boolean;
}

/** A channel that is read once, for all of its readers. */
interface TrackedChannel {
  readonly channel: string;
  readonly readers: Set<Reader>;
  /** How far the transport is, while there is one that reads it. */
  reading: string | undefined;
  version: number;
}

/**
 * What is read, and how far each reader is. Whatever transports bring, in whatever overlap, each
 * reader is told each event once and in order.
 */
export class Channels {
  readonly #onChange: () => void;
  readonly #tracks = new Map<string, TrackedChannel>();
  /** Never the same twice, also not for a channel that was left and is read again. */
  #versions = 0;
  /** Grows with each event that was told to somebody. */
  progress = 0;

  /** @param onChange what is to be read has changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** @see {@link import("../core/link.ts").Link.feed} */
  add(channel: string, after: string, listener: FeedListener): Feed {
    const track = this.#tracks.get(channel) ??
      { channel, readers: new Set(), reading: undefined, version: ++this.#versions };
    const reader = { listener, at: after, isPaused: false, isLive: false, isStarted: false };
    const wrong = channelNameError(channel) ?? cursorError(after);
    if (wrong === undefined) {
      this.#tracks.set(channel, track);
      track.readers.add(reader);
      this.#join(track, reader);
    } else queueMicrotask(() => listener.ended(wrong));
    return {
      pause: () => {
        reader.isPaused = true;
        reader.isLive = false;
        if (track.readers.has(reader)) this.#left(track);
      },
      resume: () => {
        if (!reader.isPaused) return;
        reader.isPaused = false;
        if (track.readers.has(reader)) this.#join(track, reader);
      },
      close: () => {
        if (track.readers.delete(reader)) this.#left(track);
      },
    };
  }

  wanted(): readonly WantedChannel[] {
    return [...this.#tracks.values()].flatMap((track) => {
      const { channel, version } = track;
      const after = afterOf(placesOf(track));
      return after === undefined ? [] : { channel, version, after };
    });
  }

  /**
   * Readers whose start is to be asked for before they can be read: by a transport that goes by
   * offsets all of them, else those that come to a channel which is read already.
   */
  unresolvedStarts(isByOffset: boolean): readonly (readonly [channel: string, start: Start])[] {
    return [...this.#tracks.values()].flatMap((track) => {
      const places = placesOf(track);
      const first = isByOffset || track.reading !== undefined ? undefined : afterOf(places);
      return places.filter(isStart).filter((at) => at !== first)
        .map((start) => [track.channel, start] as const);
    });
  }

  /** Where `start` is in the channel. */
  startResolved(channel: string, start: Start, offset: string): void {
    const track = this.#tracks.get(channel);
    if (!track) return;
    for (const reader of activeOf(track)) {
      if (reader.at !== start) continue;
      reader.at = offset;
      this.#join(track, reader);
    }
  }

  /** A transport reads the channel now behind `offset`, as it was asked to by `after`. */
  started(channel: string, after: string, offset: string): void {
    const track = this.#tracks.get(channel);
    if (!track || activeOf(track).length === 0) return;
    track.reading = offset;
    for (const reader of activeOf(track)) {
      if (reader.at === after && isStart(after)) reader.at = offset;
      if (isCovered(reader, track)) goLive(reader);
    }
  }

  /** No transport reads any more. */
  stopped(): void {
    for (const track of this.#tracks.values()) {
      track.reading = undefined;
      for (const reader of track.readers) reader.isStarted = false; // it is told when it goes on
    }
  }

  /**
   * An event as it is on the wire.
   *
   * @param size characters it has there.
   * @throws {WeirError} `bad_answer`: it is none, or events in front of it are missing.
   */
  event(wire: JsonObject, size: number): void {
    const { channel, offset } = wire;
    if (typeof channel !== "string" || typeof offset !== "string" || !isOffset(offset)) {
      throw badAnswerError("There is no offset.");
    }
    let event: WeirEvent | undefined;
    for (const reader of this.#reads(channel, offset)) {
      if (!reader.isLive || offset <= reader.at) continue;
      if (!isNextOffset(reader.at, offset)) {
        throw badAnswerError(`Events before ${offset} are missing.`);
      }
      reader.at = offset;
      this.progress++;
      reader.listener.event(event ??= toEvent(wire), size);
    }
  }

  /** @throws {WeirError} `bad_answer` */
  gap(wire: JsonObject): void {
    // Checked below as far as it is used.
    const gap = wire as unknown as Gap;
    const { channel, reason, firstAvailable } = gap;
    if (!isOffset(firstAvailable)) throw badAnswerError("There is no offset.");
    const at = offsetBefore(firstAvailable);
    for (const reader of this.#reads(channel, at)) {
      const requested = reader.at;
      if (!reader.isLive || (reason !== "ahead" && requested >= at)) continue;
      const lost = gap.lost === null || requested === gap.requested
        ? gap.lost
        : sequenceOf(at) - sequenceOf(requested);
      reader.at = at;
      reader.listener.gap({ kind: "gap", channel, reason, requested, firstAvailable, lost });
    }
  }

  ephemeral(wire: JsonObject): void {
    const { channel, type, time, data } = wire as unknown as EphemeralEvent;
    for (const { isLive, listener } of this.#tracks.get(channel)?.readers ?? []) {
      if (isLive) listener.ephemeral({ kind: "ephemeral", channel, type, time, data });
    }
  }

  /** What the server says of a channel that the credential does not allow to read any more. */
  unsubscribed({ channel, reason }: JsonObject): void {
    const detail = "It may not be read any more.";
    this.ended(String(channel), new WeirError(String(reason), detail));
  }

  /** Nothing more comes of the channel. */
  ended(channel: string, error: WeirError): void {
    const track = this.#tracks.get(channel);
    if (!track) return;
    const readers = [...track.readers];
    this.#tracks.delete(channel);
    track.readers.clear();
    for (const { listener } of readers) listener.ended(error);
    this.#onChange();
  }

  close(error: WeirError): void {
    for (const channel of [...this.#tracks.keys()]) this.ended(channel, error);
  }

  /** The transport is at `offset`: the readers, unless none was left for whom it could be. */
  #reads(channel: string, offset: string): Iterable<Reader> {
    const track = this.#tracks.get(channel);
    if (track?.reading === undefined) return [];
    track.reading = offset;
    return track.readers;
  }

  /** What is being read does for `reader` too, or is read anew from its place. */
  #join(track: TrackedChannel, reader: Reader): void {
    if (isCovered(reader, track)) return goLive(reader);
    if (!isStart(reader.at)) track.version = ++this.#versions;
    this.#onChange();
  }

  #left(track: TrackedChannel): void {
    const { reading } = track;
    // Goes on for the others, unless all are further (as a start is) than what is being read.
    if (activeOf(track).some(({ at }) => !reading || at <= reading)) return;
    track.reading = undefined;
    track.version = ++this.#versions;
    if (track.readers.size === 0) this.#tracks.delete(track.channel);
    this.#onChange();
  }
}

function isStart(after: string): after is Start {
  return after === "latest" || after === "earliest";
}

function cursorError(after: string): WeirError | undefined {
  if (isStart(after) || isOffset(after)) return undefined;
  const detail = `${JSON.stringify(after)} is no cursor, "earliest" or "latest".`;
  return new WeirError("bad_cursor", detail);
}

function activeOf({ readers }: TrackedChannel): readonly Reader[] {
  return [...readers].filter(({ isPaused }) => !isPaused);
}

/** Where its active readers stand. */
function placesOf(track: TrackedChannel): readonly string[] {
  return [...new Set(activeOf(track).map(({ at }) => at))];
}

/** Where reading has to begin for them: at a start that nobody knows only if there is no offset. */
function afterOf(places: readonly string[]): string | undefined {
  const [first] = places.filter((at) => !isStart(at)).sort();
  return first ?? places[0];
}

function isCovered({ at }: Reader, { reading }: TrackedChannel): boolean {
  return reading !== undefined && !isStart(at) && at >= reading;
}

function goLive(reader: Reader): void {
  reader.isLive = true;
  if (reader.isStarted) return;
  reader.isStarted = true;
  reader.listener.started(reader.at);
}
