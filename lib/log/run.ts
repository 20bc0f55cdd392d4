import type { ChannelKey } from "../shared/channel.ts";
import type { Gap, LogEvent } from "../shared/event.ts";
import { type Epoch, formatOffset } from "../shared/offset.ts";

/**
 * Upper bound of the estimated size of a piece of a run that is written at once, unless it is a
 * single event. Guards against a large publish that is queued for all subscribers.
 */
const PIECE_BYTES = 128 * 1024;

/** Precedes every sequence: a piece from here on keeps the gap of its run. */
export const BEFORE_ALL = -1;

/** Encodes a run for one transport. Each encoding has one encoder object. */
export type Encoder<T> = (run: Run) => T;

/**
 * Consecutive events of one channel from one commit or read, possibly after a gap. A run is
 * immutable and shared by all its subscribers, so that each encoding is made once.
 */
export class Run {
  readonly #encodings = new Map<Encoder<unknown>, unknown>();
  /** The earliest time at which one of the events expires, in ms since 1970; or Infinity. */
  readonly expiresAt: number;
  /** Length of the data of all events, in UTF-16 units or bytes. */
  readonly dataLength: number;
  /** The last result of from(): subscribers that reconnect together ask for the same part. */
  #part: Run | undefined;
  /** The pieces of a run that is too large for one, by `eventBytes`. */
  #pieces: Map<number, readonly Run[]> | undefined;

  constructor(
    readonly channelKey: ChannelKey,
    readonly epoch: Epoch,
    /** The sequence just before the first event, and after the gap if there is one. */
    readonly after: number,
    readonly events: readonly LogEvent[],
    /** The events that are missing up to and including `after`. */
    readonly gap?: Gap,
  ) {
    let expiresAt = Infinity;
    let dataLength = 0;
    for (const event of events) {
      dataLength += event.data.length;
      if (event.expiresAt !== undefined && event.expiresAt < expiresAt) expiresAt = event.expiresAt;
    }
    this.expiresAt = expiresAt;
    this.dataLength = dataLength;
  }

  /** The sequence of the last event. */
  get last(): number {
    return this.after + this.events.length;
  }

  /** Returns the encoding of `encoder`, made by the first call. */
  encode<T>(encoder: Encoder<T>): T {
    const known = this.#encodings.get(encoder);
    if (known !== undefined) return known as T;
    const encoding = encoder(this);
    this.#encodings.set(encoder, encoding);
    return encoding;
  }

  /** Returns the events after `sequence`, which is at most `last`. */
  from(sequence: number): Run {
    if (sequence < this.after || (sequence === this.after && this.gap === undefined)) return this;
    if (this.#part?.after !== sequence) {
      const events = this.events.slice(sequence - this.after);
      this.#part = new Run(this.channelKey, this.epoch, sequence, events);
    }
    return this.#part;
  }

  /** Returns the first `count` events, after the gap if there is one. */
  upTo(count: number): Run {
    if (count >= this.events.length) return this;
    return new Run(this.channelKey, this.epoch, this.after, this.events.slice(0, count), this.gap);
  }

  /** Returns the estimated size of an encoding that adds `eventBytes` to the data of each event. */
  sizeWith(eventBytes: number): number {
    return this.dataLength + this.events.length * eventBytes;
  }

  /**
   * Returns the first events after `sequence` that are written at once, at least one. The run
   * itself is cut in the same places for all subscribers, so that they share the encodings.
   *
   * @param eventBytes what the encoding adds to the data of each event. Each value has its own pieces.
   */
  piece(sequence: number, eventBytes: number): Run {
    if (this.sizeWith(eventBytes) <= PIECE_BYTES) return this.from(sequence);
    this.#pieces ??= new Map();
    const pieces = this.#pieces.get(eventBytes) ?? this.#cut(eventBytes);
    this.#pieces.set(eventBytes, pieces);
    return (pieces.find((piece) => piece.last > sequence) ?? this).from(sequence);
  }

  #cut(eventBytes: number): readonly Run[] {
    const pieces: Run[] = [];
    let from = 0;
    let size = 0;
    const close = (to: number) => {
      const gap = from === 0 ? this.gap : undefined;
      const events = this.events.slice(from, to);
      pieces.push(new Run(this.channelKey, this.epoch, this.after + from, events, gap));
      from = to;
      size = 0;
    };
    this.events.forEach((event, at) => {
      const added = event.data.length + eventBytes;
      if (at > from && size + added > PIECE_BYTES) close(at);
      size += added;
    });
    close(this.events.length);
    return pieces;
  }
}

/** Returns the estimated size of encodings that add `eventBytes` to the data of each event. */
export function sizeOfRuns(runs: readonly Run[], eventBytes: number): number {
  let size = 0;
  for (const run of runs) size += run.sizeWith(eventBytes);
  return size;
}

/**
 * Returns the first events of `runs` after `sequence` that are written at once, at least one event
 * or gap. Each run follows the one before, overlaps it, or begins with a gap.
 */
export function firstPieces(
  runs: Iterable<Run>,
  sequence: number,
  eventBytes: number,
): readonly Run[] {
  const taken: Run[] = [];
  let at = sequence;
  let size = 0;
  for (const run of runs) {
    const piece = run.piece(at, eventBytes);
    size += piece.sizeWith(eventBytes);
    if (taken.length > 0 && size > PIECE_BYTES) break;
    taken.push(piece);
    at = piece.last;
    if (at < run.last) break;
  }
  return taken;
}

/** Joins consecutive runs into one. Only the first may have a gap. */
export function joinRuns(runs: readonly [Run, ...Run[]]): Run {
  const [first] = runs;
  if (runs.length === 1) return first;
  const events = runs.flatMap((run) => run.events);
  return new Run(first.channelKey, first.epoch, first.after, events, first.gap);
}

/** Returns the runs without expired events. A gap takes the place of each row of those. */
export function withoutExpired(runs: readonly Run[], now: number): readonly Run[] {
  if (runs.every((run) => run.expiresAt > now)) return runs;
  return runs.flatMap((run) => run.expiresAt > now ? [run] : splitExpired(run, now));
}

function splitExpired(run: Run, now: number): Run[] {
  const { channelKey, epoch } = run;
  const parts: Run[] = [];
  const isLive = (event: LogEvent | undefined) => (event?.expiresAt ?? Infinity) > now;
  let at = 0;
  while (at < run.events.length || (at === 0 && run.gap !== undefined)) {
    let from = at;
    while (from < run.events.length && !isLive(run.events[from])) from++;
    let to = from;
    while (to < run.events.length && isLive(run.events[to])) to++;
    const lost = from - at;
    const before = at === 0 ? run.gap : undefined;
    const firstAvailable = formatOffset(epoch, run.after + from + 1);
    const gap: Gap | undefined = lost === 0
      ? before
      : before !== undefined
      ? { ...before, firstAvailable, lost: before.lost === null ? null : before.lost + lost }
      : { reason: "expired", requested: formatOffset(epoch, run.after + at), firstAvailable, lost };
    parts.push(new Run(channelKey, epoch, run.after + from, run.events.slice(from, to), gap));
    at = Math.max(to, at + 1);
  }
  return parts;
}
