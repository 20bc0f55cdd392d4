import { PatternSet } from "./pattern.ts";

/** Guards against the automata of many credentials with different patterns that fill memory. */
const MAX_CACHED_BYTES = 64 * 2 ** 20;
/** The share that is kept at eviction: low enough that eviction is rare. */
const SHARE_AFTER_EVICTION = 0.75;

/** Patterns with the key of their set in the cache. */
export interface CachedPatterns {
  readonly patterns: readonly string[];
  /** The key: all patterns in one text. */
  readonly text: string;
}

interface CachedSet {
  readonly set: PatternSet;
  /** A counter that grows with each use. */
  usedAt: number;
}

export function cachedPatterns(patterns: readonly string[]): CachedPatterns {
  return { patterns, text: patterns.join("\n") }; // no pattern has a line break
}

/**
 * Shares one {@link PatternSet} among all credentials with the same patterns. A set is created at
 * its first use; the least recently used sets are evicted when all together take too much memory.
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

  /** The approximate memory of all sets. */
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
      if (this.#bytes <= SHARE_AFTER_EVICTION * this.#maxBytes) return;
      this.#entries.delete(text);
      this.#bytes -= set.bytes;
    }
  }
}
