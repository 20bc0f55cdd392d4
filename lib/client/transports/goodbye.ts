import type { JsonObject } from "../core/json_object.ts";
import { WeirError } from "../core/weir_error.ts";

/** Error codes of the reasons that are not codes themselves. */
const CODES: Readonly<Record<string, string>> = {
  stopping: "shutting_down",
  rotate: "shutting_down",
  slow: "overloaded",
  expired: "token_expired",
  revoked: "token_revoked",
  flooding: "rate_limited",
};

/** Converts the server's goodbye to an error that says why the connection ends. */
export function goodbyeError({ reason, retry }: JsonObject): WeirError {
  const code = CODES[String(reason)] ?? String(reason);
  const retryAfter = Number(retry) || undefined;
  return new WeirError(code, `The server closed the connection: ${reason}.`, { retryAfter });
}
