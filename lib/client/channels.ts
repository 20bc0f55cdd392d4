import { isOffset, ORIGIN } from "../shared/offset.ts";
import type { EphemeralEvent, Gap, WeirEvent } from "./api.ts";
import { nameError } from "./in_path.ts";
import type { Answer, Feed, FeedListener } from "./link.ts";
import { badAnswer } from "./refusal.ts";
import { WeirError } from "./weir_error.ts";

/** What a transport is to read. */
export interface Wanted {
  readonly channel: string;
  /** An offset; `latest` or `earliest` where nobody knows yet which that is. */
  readonly after: string;
  /** Another than before: what is being read does not do any more, it has to begin again. */
  readonly version: number;
}

type Start = "latest" | "earliest";

interface Reader {
  readonly listener: FeedListener;
  readonly start: Start;
  /** The offset behind which it stands, once that is known. */
  at: string | undefined;
  isPaused: boolean;
  /** Whether what is being read covers it. */
  isLive: boolean;
  isStarted: boolean;
}

/** A channel that is read once, for all of its readers. */
interface Track {
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
  readonly #tracks = new Map<string, Track>();
  /** Never the same twice, also not for a channel that was left and is read again. */
  #versions = 0;
  /** Grows with each event that was told to somebody. */
  progress = 0;

  /** @param onChange what is to be read has changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** @see {@link import("./link.ts").Link.feed} */
  add(channel: string, after: string, listener: FeedListener): Feed {
    const track = this.#tracks.get(channel) ??
      { channel, readers: new Set(), reading: undefined, version: ++this.#versions };
    const isKnown = after !== "latest" && after !== "earliest";
    const reader: Reader = {
      listener,
      start: isKnown ? "latest" : after,
      at: isKnown ? after : undefined,
      isPaused: false,
      isLive: false,
      isStarted: false,
    };
    const wrong = nameError(channel) ?? (isKnown ? cursorError(after) : undefined);
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
        reader.isLive = false;
        if (track.readers.delete(reader)) this.#left(track);
      },
    };
  }

  wanted(): readonly Wanted[] {
    return [...this.#tracks.values()].flatMap((track) => {
      const active = activeOf(track);
      const [first] = active;
      if (first === undefined) return [];
      const places = active.flatMap(({ at }) => at ?? []).sort();
      return { channel: track.channel, version: track.version, after: places[0] ?? first.start };
    });
  }

  /**
   * Readers whose start is to be asked for before they can be read: by a transport that goes by
   * offsets all of them, else those that come to a channel which is read already.
   */
  unplaced(isByOffset: boolean): readonly (readonly [channel: string, start: Start])[] {
    const found = new Map<string, readonly [string, Start]>();
    for (const track of this.#tracks.values()) {
      const active = activeOf(track);
      const isPlaced = active.some(({ at }) => at !== undefined);
      for (const { at, start } of active) {
        const canWait = !isByOffset && !isPlaced && track.reading === undefined &&
          start === active[0]?.start;
        if (at === undefined && !canWait) found.set(start + track.channel, [track.channel, start]);
      }
    }
    return [...found.values()];
  }

  /** Where `start` is in the channel. */
  placed(channel: string, start: Start, offset: string): void {
    const track = this.#tracks.get(channel);
    if (track === undefined) return;
    for (const reader of activeOf(track)) {
      if (reader.at !== undefined || reader.start !== start) continue;
      reader.at = offset;
      this.#join(track, reader);
    }
  }

  /** A transport reads the channel now behind `offset`, as it was asked to by `after`. */
  started(channel: string, after: string, offset: string): void {
    const track = this.#tracks.get(channel);
    if (track === undefined) return;
    track.reading = offset;
    for (const reader of activeOf(track)) {
      if (reader.at === undefined && reader.start === after) reader.at = offset;
      if (reader.at !== undefined && reader.at >= offset) goLive(reader, reader.at);
    }
  }

  /** No transport reads any more. */
  stopped(): void {
    for (const track of this.#tracks.values()) track.reading = undefined;
  }

  /**
   * An event as it is on the wire.
   *
   * @param size characters it has there.
   * @throws {WeirError} `bad_answer`: it is none, or events in front of it are missing.
   */
  event(wire: Answer, size: number): void {
    const { channel, offset } = wire;
    if (typeof channel !== "string" || typeof offset !== "string" || !isOffset(offset)) {
      throw badAnswer("An event has no offset.");
    }
    const track = this.#tracks.get(channel);
    if (track === undefined) return;
    track.reading = offset;
    let event: WeirEvent | undefined;
    for (const reader of track.readers) {
      if (!reader.isLive || reader.at === undefined || offset <= reader.at) continue;
      if (!isNext(reader.at, offset)) throw badAnswer(`Events before ${offset} are missing.`);
      reader.at = offset;
      this.progress++;
      reader.listener.event(event ??= eventOf(wire), size);
    }
  }

  /** @throws {WeirError} `bad_answer` */
  gap(wire: Answer): void {
    // Checked below as far as it is used.
    const gap = wire as unknown as Gap;
    const { channel, firstAvailable } = gap;
    if (!isOffset(firstAvailable)) throw badAnswer("A gap has no end.");
    const at = before(firstAvailable);
    const track = this.#tracks.get(channel);
    if (track === undefined) return;
    track.reading = at;
    for (const reader of track.readers) {
      if (!reader.isLive || reader.at === undefined) continue;
      if (gap.reason !== "ahead" && reader.at >= at) continue;
      const lost = gap.lost === null || reader.at === gap.requested
        ? gap.lost
        : sequenceOf(at) - sequenceOf(reader.at);
      const { reason } = gap;
      const requested = reader.at;
      reader.at = at;
      reader.listener.gap({ kind: "gap", channel, reason, requested, firstAvailable, lost });
    }
  }

  ephemeral(wire: Answer): void {
    const { channel, type, time, data } = wire as unknown as EphemeralEvent;
    for (const { isLive, listener } of this.#tracks.get(channel)?.readers ?? []) {
      if (isLive) listener.ephemeral({ kind: "ephemeral", channel, type, time, data });
    }
  }

  /** Nothing more comes of the channel. */
  ended(channel: string, error: WeirError): void {
    const track = this.#tracks.get(channel);
    if (track === undefined) return;
    this.#tracks.delete(channel);
    for (const reader of [...track.readers]) {
      track.readers.delete(reader);
      reader.isLive = false;
      reader.listener.ended(error);
    }
    this.#onChange();
  }

  close(error: WeirError): void {
    for (const channel of [...this.#tracks.keys()]) this.ended(channel, error);
  }

  /** What is being read does for `reader` too, or is read anew from its place. */
  #join(track: Track, reader: Reader): void {
    const { at } = reader;
    if (at !== undefined && track.reading !== undefined && at >= track.reading) {
      return goLive(reader, at);
    }
    if (at !== undefined) track.version = ++this.#versions;
    this.#onChange();
  }

  #left(track: Track): void {
    if (activeOf(track).length > 0) return;
    track.reading = undefined;
    if (track.readers.size === 0 && this.#tracks.get(track.channel) === track) {
      this.#tracks.delete(track.channel);
    }
    this.#onChange();
  }
}

function cursorError(after: string): WeirError | undefined {
  if (isOffset(after)) return undefined;
  const detail = `${JSON.stringify(after)} is no cursor of a channel, "earliest" or "latest".`;
  return new WeirError("bad_cursor", detail);
}

function activeOf({ readers }: Track): readonly Reader[] {
  return [...readers].filter(({ isPaused }) => !isPaused);
}

function goLive(reader: Reader, at: string): void {
  reader.isLive = true;
  if (reader.isStarted) return;
  reader.isStarted = true;
  reader.listener.started(at);
}

function isNext(at: string, offset: string): boolean {
  const isSameLife = at.slice(0, 9) === offset.slice(0, 9) || at.startsWith(ORIGIN.epoch);
  return isSameLife && sequenceOf(offset) === sequenceOf(at) + 1;
}

function sequenceOf(offset: string): number {
  return Number(offset.slice(10));
}

/** The offset just in front. */
export function before(offset: string): string {
  return offset.slice(0, 10) + String(sequenceOf(offset) - 1).padStart(16, "0");
}

/** An event of JSON, its data decoded. */
export function eventOf({ op: _op, cursor: _cursor, encoding, ...members }: Answer): WeirEvent {
  const { data } = members;
  const decoded = encoding === "base64"
    ? Uint8Array.from(atob(String(data)), (char) => char.charCodeAt(0))
    : data;
  return { ...members as unknown as WeirEvent, kind: "event", data: decoded };
}
