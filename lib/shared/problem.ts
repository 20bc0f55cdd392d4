import type { ProblemCode } from "./problem_codes.ts";
import { withoutSecrets } from "./secrets.ts";

export type { ProblemCode };

/** Characters of a detail. Guards against large input that is masked and sent back in full. */
const MAX_DETAIL_CHARS = 1_000;

/** The state of a limit. */
export interface Quota {
  /** Names the limit, such as `credential-publishes`. */
  readonly policy: string;
  /** What is allowed per second, or the number of open connections. */
  readonly limit: number;
  readonly remaining: number;
  /** Time until the limit has room again; 0 if it has. */
  readonly retryAfterMs: number;
}

/** A refusal: a stable code, and a detail for people. Clients receive both. */
export class Problem extends Error {
  override readonly name = "Problem";

  /** Says which value was refused and what is allowed. Never contains event data or a secret. */
  readonly detail: string;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    options?: ErrorOptions & {
      /** Index of the faulty event in a list of events. */
      readonly index?: number;
      /** The limit that was reached. */
      readonly quota?: Quota;
      /** When to retry, if that is known without a quota. */
      readonly retryAfterMs?: number;
    },
  ) {
    // Details may quote input, such as the name of an unknown member.
    const shown = withoutSecrets(detail.slice(0, MAX_DETAIL_CHARS));
    super(`${code}: ${shown}`, options);
    this.detail = shown;
    this.index = options?.index;
    this.quota = options?.quota;
    this.retryAfterMs = options?.retryAfterMs;
  }

  readonly index: number | undefined;
  readonly quota: Quota | undefined;
  readonly retryAfterMs: number | undefined;
}

/**
 * Quotes input for an error's detail: control characters are escaped, more than 80 characters cut,
 * and credentials masked.
 */
export function quote(value: string): string {
  const shown = withoutSecrets(value.slice(0, MAX_DETAIL_CHARS));
  const text = JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
  // JSON escapes only the first control characters; terminals obey the others too.
  return text.replace(/[\x7f-\x9f]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
