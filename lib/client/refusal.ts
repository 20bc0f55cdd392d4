import type { Answer } from "./link.ts";
import { WeirError } from "./weir_error.ts";

/** Refusals that neither waiting nor another credential mends. */
const FATAL = /^forbidden_(host|origin)$/;
const CREDENTIAL = /^(unauthenticated|(token|key|ticket)_(invalid|expired|revoked))$/;

/** Whether it ends the client. */
export function isFatal({ code }: WeirError): boolean {
  return FATAL.test(code);
}

/** Whether it is about the credential: another may do. */
export function isCredentialRefusal({ code }: WeirError): boolean {
  return CREDENTIAL.test(code);
}

export function unreachable(detail: string, cause?: unknown): WeirError {
  return new WeirError("unreachable", detail, { cause });
}

/** What went wrong with a request, where that is no refusal: nobody at `base` took it. */
export function nobodyAnswers(base: URL, cause: unknown): WeirError {
  if (cause instanceof WeirError) return cause;
  return unreachable(`Nobody answers at ${base.origin}: is the URL right?`, cause);
}

export function closedError(): WeirError {
  return new WeirError("closed", "The client was closed.");
}

export function badAnswer(detail: string, cause?: unknown): WeirError {
  return new WeirError("bad_answer", `${detail} Is the URL that of a Weir?`, { cause });
}

/** What went wrong in reading an answer. */
export function unreadable(cause: unknown): WeirError {
  return cause instanceof WeirError ? cause : badAnswer("The answer can't be read.", cause);
}

const GOODBYES: Readonly<Record<string, string>> = {
  stopping: "shutting_down",
  slow: "overloaded",
  expired: "token_expired",
  revoked: "token_revoked",
  flooding: "rate_limited",
};

/** Why the server ended the connection, by its goodbye. */
export function goodbyeError({ reason, retry }: Answer): WeirError {
  const code = GOODBYES[String(reason)] ?? String(reason);
  const retryAfter = Number(retry) || undefined;
  return new WeirError(code, `The server said goodbye: ${reason}.`, { retryAfter });
}
