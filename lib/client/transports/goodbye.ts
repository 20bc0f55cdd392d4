import type { JsonObject } from "../core/json_object.ts";
import { WeirError } from "../core/weir_error.ts";

const GOODBYES: Readonly<Record<string, string>> = {
  stopping: "shutting_down",
  slow: "overloaded",
  expired: "token_expired",
  revoked: "token_revoked",
  flooding: "rate_limited",
};

/** Why the server ended the connection, by its goodbye. */
export function goodbyeError({ reason, retry }: JsonObject): WeirError {
  const code = GOODBYES[String(reason)] ?? String(reason);
  const retryAfter = Number(retry) || undefined;
  return new WeirError(code, `The server said goodbye: ${reason}.`, { retryAfter });
}
