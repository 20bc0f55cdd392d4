import { channelFault } from "../shared/channel.ts";
import { quote } from "../shared/problem.ts";

/** Met: a token that costs more to match than to serve. */
export const MAX_PATTERNS = 100;

/** States that are kept. Past them the set starts anew: channel names may be anything. */
const MAX_STATES = 1_000;

/** One place in one pattern: what may come next there. */
type Step =
  /** Exactly this UTF-16 unit. */
  | number
  /** `*`: any, as often as it likes, but not past the end of a segment. */
  | "segment"
  /** `**`: any, as often as it likes. */
  | "any";

interface State {
  /** Places in the patterns' steps at which matching may stand now, in ascending order. */
  readonly places: readonly number[];
  readonly isMatch: boolean;
  readonly next: Map<number, State>;
}

/** The units that end a segment of a channel's name. */
const SEPARATORS: ReadonlySet<number> = new Set([":", "/"].map((char) => char.charCodeAt(0)));
const SYSTEM = "$".charCodeAt(0);

/**
 * Patterns of channel names, matched all at once: `*` stands for any characters within a segment
 * (segments end with `:` or `/`), `**` for any at all, everything else for itself. A name that
 * starts with `$`, the system's own, is matched only by a pattern that starts with `$` itself.
 *
 * Time is linear in the length of the name whatever the patterns are: they are followed side by
 * side, never tried one after the other, and where they stand together is remembered (a lazily
 * built deterministic automaton, as in RE2).
 */
export class PatternSet {
  readonly patterns: readonly string[];
  /** All patterns' steps, each pattern closed by `undefined`. */
  readonly #steps: (Step | undefined)[] = [];
  readonly #starts: number[] = [];
  readonly #systemStarts: number[] = [];
  readonly #states = new Map<string, State>();
  #start: State;
  #systemStart: State;

  /** @param patterns as {@link patternFault} lets them pass. */
  constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    for (const pattern of patterns) {
      const starts = pattern.startsWith("$") ? this.#systemStarts : this.#starts;
      starts.push(this.#steps.length);
      this.#steps.push(...stepsOf(pattern), undefined);
    }
    this.#start = this.#state(this.#starts);
    this.#systemStart = this.#state(this.#systemStarts);
  }

  matches(name: string): boolean {
    let state = name.charCodeAt(0) === SYSTEM ? this.#systemStart : this.#start;
    for (let i = 0; i < name.length; i++) {
      const unit = name.charCodeAt(i);
      state = state.next.get(unit) ?? this.#follow(state, unit);
      if (state.places.length === 0) return false;
    }
    return state.isMatch;
  }

  #follow(state: State, unit: number): State {
    if (this.#states.size >= MAX_STATES) this.#forget();
    const places: number[] = [];
    for (const place of state.places) {
      const step = this.#steps[place];
      if (step === "any" || (step === "segment" && !SEPARATORS.has(unit))) places.push(place);
      else if (step === unit) places.push(place + 1);
    }
    const next = this.#state(places);
    state.next.set(unit, next);
    return next;
  }

  /** The state for `places` and all that are reached from them without a character. */
  #state(places: readonly number[]): State {
    const reached = new Set<number>();
    for (let place of places) {
      reached.add(place);
      while (typeof this.#steps[place] === "string") reached.add(++place);
    }
    const sorted = [...reached].sort((a, b) => a - b);
    const key = sorted.join();
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const isMatch = sorted.some((place) => this.#steps[place] === undefined);
    const state = { places: sorted, isMatch, next: new Map() };
    this.#states.set(key, state);
    return state;
  }

  #forget(): void {
    this.#states.clear();
    this.#start = this.#state(this.#starts);
    this.#systemStart = this.#state(this.#systemStarts);
  }
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

/** What is wrong with `pattern`, as a sentence, or undefined. */
export function patternFault(pattern: string): string | undefined {
  const fault = channelFault(pattern);
  if (fault !== undefined) return `${quote(pattern)} is no channel pattern: ${fault}`;
  if (pattern.includes("***")) {
    return `${quote(pattern)} is no channel pattern: it has three * in a row`;
  }
  return undefined;
}
