import type { Hub } from "../../hub/hub.ts";
import { type ChannelKey, channelOf } from "../../shared/channel.ts";
import { formatCursor } from "../../shared/cursor.ts";
import { formatOffset, type Position } from "../../shared/offset.ts";
import { jsonMembers } from "../json_encoding.ts";
import type { ReadPage } from "./read_page.ts";

/**
 * Reads the page of a channel before the event at `before`, or before the end of the log if it is
 * undefined. Its body is `{events, cursor, before}` as JSON text, with the events in log order.
 *
 * @throws {import("../../shared/problem.ts").Problem} `storage_*`
 */
export async function readPageBefore(
  hub: Pick<Hub, "readBefore">,
  channelKey: ChannelKey,
  before: Position | undefined,
  limit: number,
): Promise<Pick<ReadPage, "body" | "cursor">> {
  const { runs, start, end } = await hub.readBefore(channelKey, before, limit);
  const events = runs.flatMap((run) => run.encode(jsonMembers).map((members) => `{${members}}`));
  const cursor = formatCursor([channelOf(channelKey)], [end]);
  const previous = start === undefined ? null : formatOffset(start.epoch, start.sequence + 1);
  const rest = JSON.stringify({ cursor, before: previous });
  return { body: `{"events":[${events.join(",")}],${rest.slice(1)}`, cursor };
}
