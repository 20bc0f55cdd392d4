import { firstPieces, type Run } from "../log/run.ts";
import type { ChannelKey } from "../shared/channel.ts";

/** Approximate bytes of an event in addition to its data: objects and encodings. */
const EVENT_BYTES = 300;
/** Copies of the data in memory: the event itself and the encodings for the transports. */
const DATA_COPIES = 3;

interface CachedRun {
  readonly run: Run;
  readonly bytes: number;
}

/**
 * Keeps runs that were recently committed or read: many subscribers that want the same part of a
 * log then cost the store one read. The bytes of all channels are limited; the oldest runs go first.
 */
export class RunCache {
  readonly #maxBytes: number;
  /** In the order of their first sequence; they may overlap. */
  readonly #byChannel = new Map<ChannelKey, CachedRun[]>();
  /** In the order in which they were added. */
  readonly #order = new Set<CachedRun>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(run: Run): void {
    if (run.events.length === 0) return;
    const runs = this.#byChannel.get(run.channelKey) ?? [];
    this.#byChannel.set(run.channelKey, runs);
    const cached = { run, bytes: sizeOf(run) };
    runs.splice(indexAfter(runs, run.after), 0, cached);
    this.#order.add(cached);
    this.#bytes += cached.bytes;
    for (const oldest of this.#order) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  /**
   * Returns what follows `sequence` without a hole, as much as is written at once. If empty, the log
   * must be read.
   */
  take(channelKey: ChannelKey, sequence: number, eventBytes: number): readonly Run[] {
    const runs = this.#byChannel.get(channelKey);
    return runs === undefined ? [] : firstPieces(following(runs, sequence), sequence, eventBytes);
  }

  /** Removes the runs of a channel that has a new epoch, or is no longer followed. */
  clear(channelKey: ChannelKey): void {
    const runs = this.#byChannel.get(channelKey) ?? [];
    this.#byChannel.delete(channelKey);
    for (const cached of runs) {
      this.#order.delete(cached);
      this.#bytes -= cached.bytes;
    }
  }

  #remove(cached: CachedRun): void {
    this.#order.delete(cached);
    this.#bytes -= cached.bytes;
    const { channelKey, after } = cached.run;
    const runs = this.#byChannel.get(channelKey) ?? [];
    let index = indexAfter(runs, after) - 1;
    while (index >= 0 && runs[index] !== cached) index--; // runs may begin at the same sequence
    if (index === -1) return;
    runs.splice(index, 1);
    if (runs.length === 0) this.#byChannel.delete(channelKey);
  }
}

/** Yields the runs with events after `sequence`, up to the first hole. */
function* following(runs: readonly CachedRun[], sequence: number): Iterable<Run> {
  let at = sequence;
  for (let index = indexAfter(runs, at) - 1; index >= 0 && index < runs.length; index++) {
    const { run } = runs[index] as CachedRun; // in bounds
    if (run.after > at) return;
    if (run.last <= at) continue;
    yield run;
    at = run.last;
  }
}

/** Returns the index of the first run that begins after `sequence`. */
function indexAfter(runs: readonly CachedRun[], sequence: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle] as CachedRun).run.after <= sequence) low = middle + 1; // in bounds
    else high = middle;
  }
  return low;
}

function sizeOf(run: Run): number {
  return run.dataLength * DATA_COPIES + run.events.length * EVENT_BYTES;
}
