import { PatternSet } from "./pattern.ts";

/** Met: memory that fills with the automata of many credentials, each with patterns of its own. */
const MAX_CACHED_BYTES = 64 * 2 ** 20;
/** What is left when some have to go, so that looking for them is seldom. */
const LEFT = 0.75;

/** Patterns by which one cache finds their set. */
export interface CachedPatterns {
  readonly patterns: readonly string[];
  /** Names them: all in one. */
  readonly text: string;
}

interface CachedSet {
  readonly set: PatternSet;
  /** By a clock that ticks at each use. */
  usedAt: number;
}

export function cachedPatterns(patterns: readonly string[]): CachedPatterns {
  return { patterns, text: patterns.join("\n") }; // no pattern has a line break
}

/**
 * Sets of patterns, one for all who have the same. A set is made when it is asked, and those that
 * were not asked for the longest go when all take too much.
 */
export class PatternCache {
  readonly #maxBytes: number;
  /** By their patterns' text. */
  readonly #entries = new Map<string, CachedSet>();
  #bytes = 0;
  #clock = 0;

  constructor(maxBytes: number = MAX_CACHED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** About what all sets take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  matches(cached: CachedPatterns, name: string): boolean {
    if (cached.patterns.length === 0) return false;
    const entry = this.#entries.get(cached.text) ?? this.#add(cached);
    entry.usedAt = this.#clock++;
    const before = entry.set.bytes;
    const isMatch = entry.set.matches(name);
    this.#bytes += entry.set.bytes - before;
    if (this.#bytes > this.#maxBytes) this.#shrink();
    return isMatch;
  }

  #add({ patterns, text }: CachedPatterns): CachedSet {
    const entry = { set: new PatternSet(patterns), usedAt: 0 };
    this.#entries.set(text, entry);
    this.#bytes += entry.set.bytes;
    return entry;
  }

  #shrink(): void {
    const oldestFirst = [...this.#entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [text, { set }] of oldestFirst) {
      if (this.#bytes <= LEFT * this.#maxBytes) return;
      this.#entries.delete(text);
      this.#bytes -= set.bytes;
    }
  }
}
