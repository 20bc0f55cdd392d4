import type { ChannelKey } from "../shared/channel.ts";
import type { Gap, LogEvent } from "../shared/event.ts";
import { type Epoch, formatOffset } from "../shared/offset.ts";

/** Turns a run into the bytes or text of one transport. One object for each form of frames. */
export type Encoder<T> = (run: Run) => T;

/**
 * Consecutive events of one channel, as one commit or one read brought them, perhaps behind a gap.
 * Immutable and shared by everyone who is sent them: each encoding is made once.
 */
export class Run {
  readonly #encodings = new Map<Encoder<unknown>, unknown>();
  /** The earliest time at which one of the events is no longer to be read. */
  readonly expiresAt: number;
  /** Of all events' data, in UTF-16 units or bytes. */
  readonly dataLength: number;
  /** The part that was last asked for: those who come back together ask for the same. */
  #part: Run | undefined;

  constructor(
    readonly channelKey: ChannelKey,
    readonly epoch: Epoch,
    /** Sequence just before the first event (and after the gap, if there is one). */
    readonly after: number,
    readonly events: readonly LogEvent[],
    /** What is missing just before `after`. */
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

  /** Sequence of the last event. */
  get last(): number {
    return this.after + this.events.length;
  }

  encode<T>(encoder: Encoder<T>): T {
    const known = this.#encodings.get(encoder);
    if (known !== undefined) return known as T;
    const encoding = encoder(this);
    this.#encodings.set(encoder, encoding);
    return encoding;
  }

  /** What a reader who stands at `sequence` still needs of it; `sequence` is at most `last`. */
  from(sequence: number): Run {
    if (sequence < this.after || (sequence === this.after && this.gap === undefined)) return this;
    if (this.#part?.after !== sequence) {
      const events = this.events.slice(sequence - this.after);
      this.#part = new Run(this.channelKey, this.epoch, sequence, events);
    }
    return this.#part;
  }
}

/** Neighbouring runs as one. They follow each other without a hole, and only the first has a gap. */
export function joinRuns(runs: readonly [Run, ...Run[]]): Run {
  const [first] = runs;
  if (runs.length === 1) return first;
  const events = runs.flatMap((run) => run.events);
  return new Run(first.channelKey, first.epoch, first.after, events, first.gap);
}

/**
 * The runs without the events whose time to live is over: a gap stands for them, so that the
 * hole in the sequence is said.
 */
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
