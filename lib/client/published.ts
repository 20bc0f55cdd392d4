import { isOffset } from "../shared/offset.ts";
import type { Answer } from "./link.ts";
import { badAnswer } from "./refusal.ts";

/** How long one call may take, in ms. */
export const CALL_LIMIT_MS = 30_000;

/** The answer to a publish. @throws {WeirError} `bad_answer` */
export function published(channel: string, events: unknown): Answer {
  if (!isAnswers(events)) throw badAnswer("A publish was answered with no offsets.");
  return {
    events: events.map(({ offset, id, duplicate = false }) => ({ channel, offset, id, duplicate })),
  };
}

function isAnswers(events: unknown): events is readonly Answer[] {
  return Array.isArray(events) && events.every((event) => isOffset(String(event?.offset)));
}
