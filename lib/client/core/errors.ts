import { WeirError } from "./weir_error.ts";

/** Refusals that neither waiting nor another credential mends. */
const FATAL = /^forbidden_(host|origin)$/;
const CREDENTIAL = /^(unauthenticated|(token|key|ticket)_(invalid|expired|revoked))$/;

/** Whether it ends the client. */
export function isFatal({ code }: WeirError): boolean {
  return FATAL.test(code);
}

/** Whether it is about the credential: another may do. */
export function isCredentialError({ code }: WeirError): boolean {
  return CREDENTIAL.test(code);
}

export function unreachableError(detail: string, cause?: unknown): WeirError {
  return new WeirError("unreachable", detail, { cause });
}

/** What went wrong with a request, where that is no refusal: nobody at `base` took it. */
export function toRequestError(base: URL, cause: unknown): WeirError {
  if (cause instanceof WeirError) return cause;
  return unreachableError(`Nobody answers at ${base.origin}: is the URL right?`, cause);
}

export function closedError(): WeirError {
  return new WeirError("closed", "The client was closed.");
}

export function badAnswerError(detail: string, cause?: unknown): WeirError {
  return new WeirError("bad_answer", `${detail} Is the URL that of a Weir?`, { cause });
}

/** What went wrong in reading an answer. */
export function toAnswerError(cause: unknown): WeirError {
  return cause instanceof WeirError ? cause : badAnswerError("The answer can't be read.", cause);
}
