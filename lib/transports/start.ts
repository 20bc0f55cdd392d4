import type { Hub } from "../hub/hub.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { After } from "../shared/cursor.ts";
import type { Position } from "../shared/offset.ts";

/** The positions that `after` means for each of `addresses`. @throws {Problem} `storage_*` */
export async function startPositions(
  hub: Hub,
  channelKeys: readonly ChannelKey[],
  after: After,
): Promise<readonly Position[]> {
  if (typeof after !== "string") return after;
  return await Promise.all(
    channelKeys.map((channelKey) =>
      after === "earliest" ? hub.earliest(channelKey) : hub.latest(channelKey)
    ),
  );
}
