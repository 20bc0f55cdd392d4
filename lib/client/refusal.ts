import { WeirError } from "./weir_error.ts";

/** Refusals that neither waiting nor another credential mends. */
const FATAL = /^(bad_url|forbidden_(host|origin)|bad_subprotocol|token_in_url|closed)$/;
const CREDENTIAL = /^(unauthenticated|(token|key|ticket)_(invalid|expired|revoked))$/;
const CHANNEL =
  /^(forbidden|bad_(channel|cursor|parameter)|channel_\w+|cursor_\w+|too_many_channels)$/;

/** Whether it ends the client. */
export function isFatal({ code, cause }: WeirError): boolean {
  return FATAL.test(code) || (code === "auth_failed" && !isForNow(cause));
}

/** Whether `auth` may do better next time: a TypeError is what fetch() throws where nobody answers. */
function isForNow(cause: unknown): boolean {
  return cause instanceof TypeError ||
    (cause instanceof DOMException && cause.name === "TimeoutError");
}

/** Whether it is about the credential: another may do. */
export function isCredentialRefusal({ code }: WeirError): boolean {
  return CREDENTIAL.test(code);
}

/** Whether it is about the channel: others can be read. */
export function isChannelRefusal({ code }: WeirError): boolean {
  return CHANNEL.test(code);
}

export function unreachable(detail: string, cause?: unknown): WeirError {
  return new WeirError("unreachable", detail, { cause });
}

export function closedError(): WeirError {
  return new WeirError("closed", "The client was closed.");
}

export function badAnswer(detail: string, cause?: unknown): WeirError {
  return new WeirError("bad_answer", `${detail} Is the URL that of a Weir?`, { cause });
}

const GOODBYES: Readonly<Record<string, string>> = {
  stopping: "shutting_down",
  slow: "overloaded",
  expired: "token_expired",
  revoked: "token_revoked",
  flooding: "rate_limited",
};

/** Why the server ended the connection, by the reason of its goodbye. */
export function goodbyeError(reason: unknown): WeirError {
  const code = GOODBYES[String(reason)] ?? String(reason);
  return new WeirError(code, `The server has ended the connection: ${reason}.`);
}
