import type { Hub } from "../hub/hub.ts";
import type { Address } from "../shared/channel.ts";
import type { After } from "../shared/cursor.ts";
import type { Position } from "../shared/offset.ts";

/** The positions that `after` means for each of `addresses`. @throws {Problem} `storage_*` */
export async function startPositions(
  hub: Hub,
  addresses: readonly Address[],
  after: After,
): Promise<readonly Position[]> {
  if (typeof after !== "string") return after;
  return await Promise.all(
    addresses.map((address) => after === "earliest" ? hub.earliest(address) : hub.latest(address)),
  );
}
