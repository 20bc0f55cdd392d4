import type { ProblemCodeOf, RetryableCode } from "../../shared/problem_codes.ts";
import { WeirError } from "./weir_error.ts";

/**
 * Codes of the server's table, and the client's own. The types make each list complete; the table
 * itself would be a tenth of the bundle.
 */
type CodeSet<Code extends string> = Readonly<Record<Code, 1>>;

const FATAL: CodeSet<ProblemCodeOf<"origin">> = { forbidden_host: 1, forbidden_origin: 1 };

const CREDENTIAL: CodeSet<ProblemCodeOf<"credential">> = {
  unauthenticated: 1,
  token_invalid: 1,
  token_expired: 1,
  token_revoked: 1,
  key_invalid: 1,
  ticket_invalid: 1,
};

const RETRYABLE: CodeSet<RetryableCode | "unreachable" | "auth_failed"> = {
  unreachable: 1,
  auth_failed: 1,
  body_incomplete: 1,
  commit_unknown: 1,
  contended: 1,
  inbox_full: 1,
  keys_unavailable: 1,
  overloaded: 1,
  rate_limited: 1,
  request_timeout: 1,
  shutting_down: 1,
  storage_full: 1,
  storage_read_only: 1,
  storage_unavailable: 1,
  too_many_connections: 1,
};

/** Whether the error closes the client. */
export function isFatal({ code }: WeirError): boolean {
  return Object.hasOwn(FATAL, code);
}

/** Whether the server refused the credential. */
export function isCredentialError({ code }: WeirError): boolean {
  return Object.hasOwn(CREDENTIAL, code);
}

/** Whether the same call may succeed later. */
export function isRetryable(cause: unknown): cause is WeirError {
  if (!(cause instanceof WeirError)) return false;
  const { code, status = 500 } = cause;
  // A captive portal answers in the server's place for a while, with a page (a `bad_answer` has no
  // status if the answer could not be parsed) or with a 5xx of its own.
  const minStatus = code === "bad_answer" ? 500 : 502;
  // Weir sends 408 and 429. 502 and above also come from proxies.
  return Object.hasOwn(RETRYABLE, code) || status === 408 || status === 429 || status >= minStatus;
}

export function unreachableError(detail: string, cause?: unknown): WeirError {
  return new WeirError("unreachable", detail, { cause });
}

/** Returns `cause` if it is a WeirError, else `unreachable`: the request had no answer. */
export function toRequestError(base: URL, cause: unknown): WeirError {
  if (cause instanceof WeirError) return cause;
  return unreachableError(`No answer from ${base.origin}. Is the URL right?`, cause);
}

export function closedError(): WeirError {
  return new WeirError("closed", "The client was closed.");
}

export function badAnswerError(detail: string, cause?: unknown): WeirError {
  return new WeirError("bad_answer", `${detail} Is this a Weir server?`, { cause });
}

/** Returns `cause` if it is a WeirError, else `bad_answer`: the answer could not be parsed. */
export function toAnswerError(cause: unknown): WeirError {
  return cause instanceof WeirError ? cause : badAnswerError("Cannot parse the answer.", cause);
}
