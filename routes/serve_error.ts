import { errorFields, type Logger } from "../lib/logger.ts";
import { Problem } from "../lib/shared/problem.ts";
import { StreamCut } from "../lib/transports/sse/stream.ts";
import { problemResponse } from "./problem.ts";

/**
 * Returns an `onError` for `Deno.serve`, which gets the errors of response bodies. It logs all but
 * {@link StreamCut}, the planned end of a stream. Its response is sent only if none has begun.
 */
export function serveErrorHandler(logger: Logger): (cause: unknown) => Response {
  return (cause) => {
    if (!(cause instanceof StreamCut)) logger.error("a response failed", errorFields(cause));
    const detail = "An unexpected error occurred. It has been logged.";
    return problemResponse(new Problem("internal", detail));
  };
}
