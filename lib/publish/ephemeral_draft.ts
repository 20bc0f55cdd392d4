import { type EphemeralEvent, MAX_EPHEMERAL_BYTES } from "../shared/ephemeral.ts";
import { Problem, type ProblemCode } from "../shared/problem.ts";
import type { Draft } from "../log/log.ts";

/**
 * Creates the ephemeral event of a draft that was published at `time` (ms since 1970).
 *
 * @param misplacedCode the error code for an id, a key or a time to live: only stored events have
 * them.
 * @throws {Problem} `misplaced`, `bad_content_type`, `event_too_large`
 */
export function ephemeralEventOf(
  draft: Draft,
  time: number,
  misplacedCode: ProblemCode,
): EphemeralEvent {
  const { id, key, ttlMs: ttl, type, contentType, data, bytes, publisher, traceparent } = draft;
  if (id !== undefined || key !== undefined || ttl !== undefined) {
    const detail =
      "An ephemeral event is not stored, so it cannot have an id, a key or a time to live.";
    throw new Problem(misplacedCode, detail);
  }
  if (typeof data !== "string") {
    throw new Problem("bad_content_type", "An ephemeral event must be JSON or text, not binary.");
  }
  if (bytes > MAX_EPHEMERAL_BYTES) {
    throw new Problem(
      "event_too_large",
      `Cannot deliver ${bytes} bytes of data: an ephemeral event has at most ${MAX_EPHEMERAL_BYTES}.`,
    );
  }
  return {
    type,
    time,
    contentType,
    data,
    ...publisher !== undefined && { publisher },
    ...traceparent !== undefined && { traceparent },
  };
}
