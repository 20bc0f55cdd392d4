import { PatternSet } from "./pattern.ts";

/** Met: memory that fills with the automata of many credentials, each with patterns of its own. */
const MAX_CACHED_BYTES = 64 * 2 ** 20;

/** Patterns by which one cache finds their set. */
export interface CachedPatterns {
  readonly patterns: readonly string[];
  /** Names them: all in one. */
  readonly text: string;
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
  /** By their patterns' text, the least recently asked first. */
  readonly #sets = new Map<string, PatternSet>();
  #bytes = 0;

  constructor(maxBytes: number = MAX_CACHED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** About what all sets take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#sets.size;
  }

  matches({ patterns, text }: CachedPatterns, name: string): boolean {
    if (patterns.length === 0) return false;
    const known = this.#sets.get(text);
    const set = known ?? new PatternSet(patterns);
    const before = known?.bytes ?? 0;
    const isMatch = set.matches(name);
    this.#bytes += set.bytes - before;
    this.#sets.delete(text);
    this.#sets.set(text, set);
    if (this.#bytes > this.#maxBytes) this.#shrink();
    return isMatch;
  }

  #shrink(): void {
    for (const [text, set] of this.#sets) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#sets.delete(text);
      this.#bytes -= set.bytes;
    }
  }
}
