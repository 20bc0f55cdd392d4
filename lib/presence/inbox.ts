import { keys } from "../kv/keys.ts";
import {
  type ChannelKey,
  channelKeyOf,
  channelOf,
  ownerOfInbox,
  tenantOf,
} from "../shared/channel.ts";
import { listedSessions } from "./listed_sessions.ts";
import type { StoredMember } from "./member_change.ts";

/**
 * Returns whether `channelKey` is the inbox of a session that is not listed any more. Nobody can
 * delete an inbox by request.
 */
export async function isInboxWithoutSession(
  kv: Deno.Kv,
  channelKey: ChannelKey,
): Promise<boolean> {
  const owner = ownerOfInbox(channelOf(channelKey));
  if (owner === undefined) return false;
  const presentIn = channelKeyOf(tenantOf(channelKey), owner.channel);
  const { value: row } = await kv.get<StoredMember>(keys.member(presentIn, owner.member));
  return row === null || !listedSessions(row).includes(owner.session);
}
