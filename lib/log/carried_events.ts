import type { ChannelKey } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import type { ChannelPlan } from "./channel_plan.ts";
import { isBlobRef, packBatch, packedSize, type StoredBatch, unpackEvent } from "./record_batch.ts";
import { Run } from "./run.ts";

type Columns = Omit<StoredBatch, "commit" | "first" | "endBytes" | "time" | "data">;

/**
 * The events of one commit in one channel, as a doorbell carries them: epoch, first sequence, time,
 * data, and the other columns of the record batch if it has some. A tuple, since names of members
 * would be as long as the data of a small event.
 */
type CarriedEvents = readonly [Epoch, number, number, readonly (string | Uint8Array)[], Columns?];

/** Epoch, sequence, time and the tuple itself. */
const OVERHEAD_BYTES = 64;

/**
 * Returns what a doorbell carries of a commit, for each channel of `moved`. Undefined if that may
 * have more than `maxBytes`, or if data is stored in chunks.
 */
export function carriedBy(
  moved: readonly ChannelPlan[],
  maxBytes: number,
): readonly CarriedEvents[] | undefined {
  let bytes = 0;
  for (const { events } of moved) {
    bytes += OVERHEAD_BYTES;
    for (const packed of events) {
      if (isBlobRef(packed.stored)) return undefined;
      bytes += packedSize(packed);
      if (bytes > maxBytes) return undefined;
    }
  }
  return moved.map(({ head, startBytes, events }): CarriedEvents => {
    const { commit: _, endBytes: __, first, time, data, ...columns } = packBatch(
      "",
      startBytes,
      events,
    );
    const texts = data as readonly (string | Uint8Array)[]; // no blobs, see above
    return Object.keys(columns).length === 0
      ? [head.epoch, first, time, texts]
      : [head.epoch, first, time, texts, columns];
  });
}

/**
 * Returns the events that a commit of another isolate has appended, exactly as the log has them.
 * Undefined if `carried` has none, or another version has written it.
 */
export function runOfCarried(channelKey: ChannelKey, carried: unknown): Run | undefined {
  if (!isCarried(carried)) return undefined;
  const [epoch, first, time, data, columns] = carried;
  const batch = { ...columns, commit: "", first, endBytes: 0, time, data };
  const events = data.map((value, i) => unpackEvent(batch, i, value));
  return new Run(channelKey, epoch, first - 1, events);
}

function isCarried(value: unknown): value is CarriedEvents {
  if (!Array.isArray(value)) return false;
  const [epoch, first, time, data] = value as readonly unknown[];
  return typeof epoch === "string" && typeof first === "number" && typeof time === "number" &&
    Array.isArray(data) && data.length > 0;
}
