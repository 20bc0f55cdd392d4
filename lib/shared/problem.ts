import type { ProblemCode } from "./problem_codes.ts";
import { withoutSecrets } from "./secrets.ts";

export type { ProblemCode };

/** Characters of a sentence. Met: what was sent, given back in full and masked at a cost. */
const MAX_DETAIL = 1_000;

/** What is left of a limit. */
export interface Quota {
  /** Which limit, such as `credential-publishes`. */
  readonly policy: string;
  /** What is allowed in a second, or of connections at once. */
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until there is room again; 0 if there is. */
  readonly retryAfterMs: number;
}

/** The one error type that crosses Weir's boundaries: a stable code and a sentence for a person. */
export class Problem extends Error {
  override readonly name = "Problem";

  /** Names the value that was refused and what is allowed. Never holds a payload or a secret. */
  readonly detail: string;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    options?: ErrorOptions & {
      /** Where in a list of events the fault is, from 0. */
      readonly index?: number;
      /** The limit that was reached. */
      readonly quota?: Quota;
    },
  ) {
    // Some sentences have a part of what was sent, such as the name of an unknown member.
    const shown = withoutSecrets(detail.slice(0, MAX_DETAIL));
    super(`${code}: ${shown}`, options);
    this.detail = shown;
    this.index = options?.index;
    this.quota = options?.quota;
  }

  readonly index: number | undefined;
  readonly quota: Quota | undefined;
}

/**
 * `value` as it may stand in an error's sentence: quoted, control characters escaped, cut at 80,
 * and without what looks like a credential.
 */
export function quote(value: string): string {
  const shown = withoutSecrets(value.slice(0, MAX_DETAIL));
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
}
