import type { WeirEvent } from "../../../lib/client/api.ts";
import type { Epoch } from "../../../lib/shared/offset.ts";
import {
  offsetOf,
  parsePosition,
  type TimelineRow,
  type TimelineRows,
} from "../../../islands/console/timeline.ts";

export const EPOCH = "0mwpu38co" as Epoch;
export const EARLIER_EPOCH = "000000zzz" as Epoch;
export const LATER_EPOCH = "0mwpu38cp" as Epoch;

export function eventAt(
  sequence: number,
  epoch = EPOCH,
  members: Partial<WeirEvent> = {},
): WeirEvent {
  const offset = offsetOf({ epoch, sequence });
  return {
    kind: "event",
    channel: "orders",
    offset,
    id: offset,
    type: "message",
    time: "2026-11-21T03:13:58.566Z",
    contentType: "application/json",
    data: sequence,
    ...members,
  };
}

/** Returns the rows in order: an event's sequence, or the kind of any other row. */
export function sequencesOf(rows: TimelineRows): readonly (number | TimelineRow["kind"])[] {
  return Array.from({ length: rows.length }, (_, index) => {
    const row = rows.at(index);
    if (row === undefined) throw new Error(`there is no line ${index}`);
    return row.kind === "event" ? parsePosition(row.key)?.sequence ?? NaN : row.kind;
  });
}
