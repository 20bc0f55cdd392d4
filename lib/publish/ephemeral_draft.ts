import { type EphemeralEvent, MAX_EPHEMERAL_BYTES } from "../shared/ephemeral.ts";
import { Problem, type ProblemCode } from "../shared/problem.ts";
import type { Draft } from "../log/log.ts";

/**
 * What was to be published as an ephemeral event, at `time` (ms since 1970).
 *
 * @param misplaced the code for an id, a key or a time to live, which only a stored event has.
 * @throws {Problem} `misplaced`, `bad_content_type`, `event_too_large`
 */
export function ephemeralEventOf(
  draft: Draft,
  time: number,
  misplaced: ProblemCode,
): EphemeralEvent {
  const { id, key, ttlMs: ttl, type, contentType, data, bytes } = draft;
  if (id !== undefined || key !== undefined || ttl !== undefined) {
    const detail = "An ephemeral event is not stored: it has no id, no key and no time to live.";
    throw new Problem(misplaced, detail);
  }
  if (typeof data !== "string") {
    throw new Problem("bad_content_type", "An ephemeral event is JSON or text, not binary.");
  }
  if (bytes > MAX_EPHEMERAL_BYTES) {
    throw new Problem(
      "event_too_large",
      `Cannot deliver ${bytes} bytes of data: an ephemeral event has ${MAX_EPHEMERAL_BYTES} at the most.`,
    );
  }
  return { type, time, contentType, data };
}
