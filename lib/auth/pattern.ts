import { channelFault } from "../shared/channel.ts";
import { quote } from "../shared/problem.ts";

/** Guards against a token that costs more to match than to serve. */
export const MAX_PATTERNS = 100;

/**
 * Bytes of a set's states and transitions; above that it starts again with none. Guards against
 * made-up names, which create states and a transition for each character of Unicode.
 */
export const MAX_STATE_BYTES = 1_048_576;

// What V8 needs for each, measured and rounded up.
const SET_BYTES = 1_024;
const STEP_BYTES = 24;
const STATE_BYTES = 450;
const POSITION_BYTES = 16;
const TRANSITION_BYTES = 50;

/** What may come next at one position of one pattern. */
type Step =
  /** Exactly this UTF-16 code unit. */
  | number
  /** `*`: any number of code units up to the end of the segment. */
  | "segment"
  /** `**`: any number of code units. */
  | "any";

interface State {
  /** The possible current positions in all patterns' steps, in ascending order. */
  readonly positions: readonly number[];
  readonly isMatch: boolean;
  readonly next: Map<number, State>;
}

/** The code units that end a segment of a channel's name. */
const SEPARATORS: ReadonlySet<number> = new Set([":", "/"].map((char) => char.charCodeAt(0)));
const SYSTEM = "$".charCodeAt(0);

/**
 * Matches channel names against several patterns at once. `*` matches any characters within a
 * segment (segments end with `:` or `/`), `**` matches any characters, everything else matches
 * itself. Names of system channels, which start with `$`, match only patterns that start with `$`.
 *
 * Matching takes time linear in the length of the name for any patterns: all patterns are followed
 * in parallel by one lazily built deterministic automaton, as in RE2.
 */
export class PatternSet {
  readonly patterns: readonly string[];
  /** The steps of all patterns, with `undefined` after each pattern. */
  readonly #steps: (Step | undefined)[] = [];
  /**
   * For each wildcard, the first of the positions before it that are redundant once it is reached:
   * any input that leads from them to the end leads there from the wildcard too.
   */
  readonly #dominated: number[] = [];
  readonly #starts: number[] = [];
  readonly #systemStarts: number[] = [];
  /** By the hash of their positions; a later state replaces one with the same hash. */
  readonly #states = new Map<number, State>();
  #stateBytes = 0;
  #start: State;
  #systemStart: State;

  /** @param patterns without a {@link patternFault}. */
  constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    for (const pattern of patterns) {
      const starts = pattern.startsWith("$") ? this.#systemStarts : this.#starts;
      starts.push(this.#steps.length);
      this.#add(stepsOf(pattern));
    }
    this.#start = this.#begin(this.#starts);
    this.#systemStart = this.#begin(this.#systemStarts);
  }

  /** The approximate memory; grows with the names that it has matched. */
  get bytes(): number {
    return SET_BYTES + this.#steps.length * STEP_BYTES + this.#stateBytes;
  }

  matches(name: string): boolean {
    let state = name.charCodeAt(0) === SYSTEM ? this.#systemStart : this.#start;
    for (let i = 0; i < name.length; i++) {
      const unit = name.charCodeAt(i);
      state = state.next.get(unit) ?? this.#follow(state, unit);
      if (state.positions.length === 0) return false;
    }
    return state.isMatch;
  }

  #add(steps: readonly Step[]): void {
    const start = this.#steps.length;
    let segment = start; // after the last step that may match a separator
    for (const step of steps) {
      const position = this.#steps.push(step) - 1;
      if (typeof step === "string") this.#dominated[position] = step === "any" ? start : segment;
      if (step === "any" || (typeof step === "number" && SEPARATORS.has(step))) {
        segment = position + 1;
      }
    }
    this.#steps.push(undefined);
  }

  #follow(state: State, unit: number): State {
    if (this.#stateBytes >= MAX_STATE_BYTES) this.#reset();
    const isInSegment = !SEPARATORS.has(unit);
    const positions: number[] = [];
    for (const position of state.positions) {
      const step = this.#steps[position];
      if (step === "any" || (step === "segment" && isInSegment)) this.#reach(positions, position);
      else if (step === unit) this.#reach(positions, position + 1);
    }
    const next = this.#state(positions);
    state.next.set(unit, next);
    this.#stateBytes += TRANSITION_BYTES;
    return next;
  }

  /**
   * Adds `position` and those that are reached from it without a character. Calls are in ascending
   * order, except for positions that were added before.
   */
  #reach(positions: number[], position: number): void {
    for (let at = position;; at++) {
      const isWildcard = typeof this.#steps[at] === "string";
      if (at > (positions.at(-1) ?? -1)) {
        if (isWildcard) this.#dropFrom(positions, this.#dominated[at] ?? at);
        positions.push(at);
      }
      if (!isWildcard) return;
    }
  }

  #dropFrom(positions: number[], first: number): void {
    while ((positions.at(-1) ?? -1) >= first) positions.pop();
  }

  #state(positions: readonly number[]): State {
    const hash = hashOf(positions);
    const known = this.#states.get(hash);
    if (known !== undefined && isSame(known.positions, positions)) return known;
    const isMatch = positions.some((position) => this.#steps[position] === undefined);
    const state = { positions, isMatch, next: new Map() };
    this.#states.set(hash, state);
    this.#stateBytes += STATE_BYTES + positions.length * POSITION_BYTES;
    return state;
  }

  #begin(starts: readonly number[]): State {
    const positions: number[] = [];
    for (const start of starts) this.#reach(positions, start);
    return this.#state(positions);
  }

  #reset(): void {
    this.#states.clear();
    this.#stateBytes = 0;
    this.#start = this.#begin(this.#starts);
    this.#systemStart = this.#begin(this.#systemStarts);
  }
}

/** FNV-1a over positions instead of bytes. */
function hashOf(positions: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const position of positions) hash = Math.imul(hash ^ position, 0x01000193);
  return hash;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((position, i) => position === b[i]);
}

function stepsOf(pattern: string): Step[] {
  const steps: Step[] = [];
  for (const part of pattern.split(/(\*\*|\*)/)) {
    if (part === "**") steps.push("any");
    else if (part === "*") steps.push("segment");
    else for (let i = 0; i < part.length; i++) steps.push(part.charCodeAt(i));
  }
  return steps;
}

/** Returns what is wrong with `pattern`, as a sentence, or undefined. */
export function patternFault(pattern: string): string | undefined {
  const fault = channelFault(pattern);
  if (fault !== undefined) return `${quote(pattern)} is not a channel pattern: ${fault}`;
  if (pattern.includes("***")) {
    return `${quote(pattern)} is not a channel pattern: it has three * in a row`;
  }
  return undefined;
}
