import { Run } from "../../lib/log/run.ts";
import type { ChannelKey } from "../../lib/shared/channel.ts";
import { DEFAULT_TYPE, type Gap, JSON_TYPE } from "../../lib/shared/event.ts";
import { epochAt } from "../../lib/shared/offset.ts";

/** The epoch of the runs of {@link testRun}. */
export const TEST_EPOCH = epochAt(1);

/** Makes a run with one event for each of `data`. */
export function testRun(
  channelKey: ChannelKey,
  after: number,
  data: readonly (string | Uint8Array)[],
  gap?: Gap,
): Run {
  const events = data.map((each, i) => ({
    sequence: after + i + 1,
    id: undefined,
    type: DEFAULT_TYPE,
    time: 0,
    contentType: typeof each === "string" ? JSON_TYPE : "application/octet-stream",
    data: each,
    key: undefined,
    publisher: undefined,
    traceparent: undefined,
    expiresAt: undefined,
  }));
  return new Run(channelKey, TEST_EPOCH, after, events, gap);
}
