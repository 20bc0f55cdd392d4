import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Log } from "../log/log.ts";
import { type ChannelKey, channelOf } from "../shared/channel.ts";
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import type { MemberName } from "./member.ts";
import type { StoredMember } from "./member_change.ts";
import { presenceChannelKey } from "./presence_channel.ts";

/** A member as it was when the snapshot was read. */
export interface PresentMember extends StoredMember {
  readonly name: MemberName;
}

export interface Snapshot {
  /** In the order of `since`. */
  readonly members: readonly PresentMember[];
  /** Reading the presence channel from here returns every change that is not in the snapshot. */
  readonly cursor: Cursor;
}

/**
 * Reads who is present in the channel.
 *
 * @throws {Problem} `bad_channel`, `storage_*`
 */
export async function readSnapshot(
  kv: Deno.Kv,
  log: Pick<Log, "bounds">,
  channelKey: ChannelKey,
): Promise<Snapshot> {
  const changes = presenceChannelKey(channelKey);
  // The end comes first: changes during the read of the rows are after the cursor, and the
  // snapshot may already contain some of them.
  const { end } = await log.bounds(changes);
  const members = await withStoreTimeout(readMembers(kv, channelKey));
  return { members, cursor: formatCursor([channelOf(changes)], [end]) };
}

async function readMembers(kv: Deno.Kv, channelKey: ChannelKey): Promise<readonly PresentMember[]> {
  const members: PresentMember[] = [];
  const prefix = keys.members(channelKey);
  for await (const { key, value } of kv.list<StoredMember>({ prefix }, { batchSize: 500 })) {
    members.push({ ...value, name: key[3] as MemberName });
  }
  return members.sort((a, b) => a.since - b.since);
}
