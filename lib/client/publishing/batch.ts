import { isOffset } from "../../shared/offset.ts";
import type { Published } from "../api.ts";
import type { Link } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { PendingPublish } from "./outbox.ts";
import { badAnswerError } from "../core/errors.ts";
import { isRetryable } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";

/** What the server takes in one publish. */
const MAX_BATCH_EVENTS = 100;
/** Of JSON in one publish, unless one event has more: well below the 8 MiB that a server takes. */
const MAX_BATCH_BYTES = 1024 ** 2;

/**
 * Publishes the first of what waits of a channel, and settles what the server answers.
 *
 * @throws {WeirError} what passes: then all of it still waits.
 */
export async function sendBatch(
  link: Link,
  channel: string,
  waiting: readonly PendingPublish[],
): Promise<void> {
  const batch = takeBatch(waiting);
  if (batch.length === 0) return;
  for (const one of batch) one.isInFlight = true;
  try {
    const events = batch.map(({ publication }) => publication);
    const answer = await link.call({ op: "publish", channel, events });
    const published = publishedIn(answer, channel, batch.length);
    published.forEach((its, i) => batch[i]?.resolve(its));
  } catch (cause) {
    if (isRetryable(cause)) throw cause;
    const refused = cause instanceof WeirError && batch[cause.index ?? -1];
    for (const one of refused ? [refused] : batch) one.reject(cause);
  } finally {
    for (const one of [...waiting]) {
      one.isInFlight = false;
      one.check();
    }
  }
}

/** The first ones, as many as one publish can have. */
function takeBatch(waiting: readonly PendingPublish[]): readonly PendingPublish[] {
  let bytes = 0;
  return waiting.filter((one, i) => {
    bytes += one.bytes;
    return i === 0 || (i < MAX_BATCH_EVENTS && bytes <= MAX_BATCH_BYTES);
  });
}

/** The answer to a publish of so many events. @throws {WeirError} `bad_answer` */
function publishedIn({ events }: JsonObject, channel: string, count: number): readonly Published[] {
  if (!isPublished(events) || events.length !== count) {
    throw badAnswerError("A publish was answered without its offsets.");
  }
  return events.map(({ offset, id, duplicate = false }) => ({ channel, offset, id, duplicate }));
}

function isPublished(events: unknown): events is readonly Published[] {
  return Array.isArray(events) && events.every((event) => isOffset(String(event?.offset)));
}
