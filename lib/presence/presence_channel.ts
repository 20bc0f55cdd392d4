import { keys } from "../kv/keys.ts";
import {
  type ChannelKey,
  channelKeyOf,
  channelOf,
  channelOfPresence,
  presenceChannel,
  tenantOf,
} from "../shared/channel.ts";

/**
 * Returns the key of the channel that has the changes of a channel's presence.
 *
 * @throws {Problem} `bad_channel`
 */
export function presenceChannelKey(channelKey: ChannelKey): ChannelKey {
  return channelKeyOf(tenantOf(channelKey), presenceChannel(channelOf(channelKey)));
}

/**
 * Returns whether `channelKey` is a presence channel without members. Nobody can delete such a
 * channel by request, and it counts as one of its tenant's channels.
 */
export async function isPresenceWithoutMembers(
  kv: Deno.Kv,
  channelKey: ChannelKey,
): Promise<boolean> {
  const present = channelOfPresence(channelOf(channelKey));
  if (present === undefined) return false;
  const prefix = keys.members(channelKeyOf(tenantOf(channelKey), present));
  for await (const _ of kv.list({ prefix }, { limit: 1 })) return false;
  return true;
}
