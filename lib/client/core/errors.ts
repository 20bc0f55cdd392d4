import type { ProblemCode } from "../../shared/problem.ts";
import { type ClientCode, WeirError } from "./weir_error.ts";

type ErrorCode = ProblemCode | ClientCode;

/** Neither waiting nor another credential helps. */
const FATAL: readonly string[] = ["forbidden_host", "forbidden_origin"] satisfies ErrorCode[];
/** Another credential may help. */
const CREDENTIAL: readonly string[] = [
  "unauthenticated",
  "token_invalid",
  "token_expired",
  "token_revoked",
  "key_invalid",
  "ticket_invalid",
] satisfies ErrorCode[];
/** The same call may succeed later. */
const RETRYABLE: readonly string[] = [
  "unreachable",
  "auth_failed",
  "commit_unknown",
  "contended",
  "overloaded",
  "shutting_down",
  "keys_unavailable",
  "storage_full",
  "storage_read_only",
  "storage_unavailable",
  "rate_limited",
  "too_many_connections",
  "body_incomplete",
] satisfies ErrorCode[];

/** Whether the error closes the client. */
export function isFatal({ code }: WeirError): boolean {
  return FATAL.includes(code);
}

/** Whether the server refused the credential. */
export function isCredentialError({ code }: WeirError): boolean {
  return CREDENTIAL.includes(code);
}

/** Whether the same call may succeed later. */
export function isRetryable(cause: unknown): cause is WeirError {
  if (!(cause instanceof WeirError)) return false;
  const { code, status = 500 } = cause;
  // A captive portal answers in the server's place for a while. An answer without a status
  // looked like Weir's, so it is not one of those.
  const minStatus = code === "bad_answer" ? 500 : 502;
  // Weir sends 408 and 429. 502 and above also come from proxies.
  return RETRYABLE.includes(code) || status === 408 || status === 429 || status >= minStatus;
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
