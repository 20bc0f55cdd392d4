import { isOffset } from "../../shared/offset.ts";
import type { Published } from "../api.ts";
import { badAnswerError, isRetryable } from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Link } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";
import type { PendingPublish } from "./outbox.ts";

/** The server's limit for one publish. */
const MAX_BATCH_EVENTS = 100;
/** JSON of a batch of several events, well below the server's limit of 8 MiB. */
const MAX_BATCH_BYTES = 1024 ** 2;

/** Publishes the first pending events, and settles those that are answered. */
export async function sendBatch(
  link: Link,
  channel: string,
  pending: readonly PendingPublish[],
): Promise<void> {
  const batch = takeBatch(pending);
  if (batch.length === 0) return;
  for (const one of batch) one.isInFlight = true;
  try {
    const events = batch.map(({ publication }) => publication);
    const answer = await link.call({ op: "publish", channel, events });
    const published = parsePublished(answer, channel, batch.length);
    published.forEach((event, i) => batch[i]?.resolve(event));
  } catch (cause) {
    if (isRetryable(cause)) throw cause;
    const refused = cause instanceof WeirError && batch[cause.index ?? -1];
    for (const one of refused ? [refused] : batch) one.reject(cause);
  } finally {
    for (const one of [...pending]) {
      one.isInFlight = false;
      one.check();
    }
  }
}

/** Returns the first pending events, as many as one publish can have. */
function takeBatch(pending: readonly PendingPublish[]): readonly PendingPublish[] {
  let bytes = 0;
  return pending.filter((one, i) => {
    bytes += one.bytes;
    return i === 0 || (i < MAX_BATCH_EVENTS && bytes <= MAX_BATCH_BYTES);
  });
}

/** Parses the answer to a publish of `count` events. @throws {WeirError} `bad_answer` */
function parsePublished(
  { events }: JsonObject,
  channel: string,
  count: number,
): readonly Published[] {
  if (!isPublished(events) || events.length !== count) {
    throw badAnswerError("The answer to a publish lacks offsets.");
  }
  return events.map(({ offset, id, duplicate = false }) => ({ channel, offset, id, duplicate }));
}

function isPublished(events: unknown): events is readonly Published[] {
  return Array.isArray(events) && events.every((event) => isOffset(String(event?.offset)));
}
