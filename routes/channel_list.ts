import type { Authority } from "../lib/auth/authority.ts";
import type { Caller } from "../lib/auth/caller.ts";
import type { Config } from "../lib/config.ts";
import type { ChannelInfo, Head } from "../lib/log/log.ts";
import { retentionOf } from "../lib/log/retention_limits.ts";
import { type Channel, channelOfPresence, ownerOfInbox } from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import { epochTime, formatOffset } from "../lib/shared/offset.ts";
import type { Server } from "../lib/server.ts";

/** Channels in one page of the list, and in one read of the log. */
export const MAX_CHANNELS = 1_000;
/** Channels read that count as one subscribe. Guards against endless lists, each a scan. */
const HEADS_PER_SUBSCRIBE = 10;
/** A name that sorts after all presence channels and before inboxes. */
const AFTER_PRESENCE = "$presence;";
/** A name that sorts after all inboxes and before the channels of clients. */
const AFTER_INBOXES = "$signals;";

/** A channel's figures, as clients receive them. */
interface ChannelFigures {
  readonly channel: Channel;
  readonly created: string;
  readonly changed: string;
  readonly first: string | null;
  readonly last: string;
  readonly events: number;
  readonly bytes: number;
  /** Age in seconds. */
  readonly retention: { readonly age: number; readonly events: number; readonly bytes: number };
}

/** Returns a page of the channels that the caller may see, by name, without a trace of others. */
export async function channelsPage(
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<{ readonly channels: readonly ChannelFigures[]; readonly next: string | null }> {
  const found = await visibleChannels(server, caller, { after, count: limit + 1 });
  const page = found.slice(0, limit);
  const next = found.length > limit ? page.at(-1)?.channel ?? null : null;
  return { channels: page.map((info) => figuresOf(info.channel, info, server.config)), next };
}

/**
 * Returns the first `count` channels after `after` that the caller may see. It reads on past hidden
 * channels: a shorter page, or one that continues after a hidden channel, would reveal them.
 */
async function visibleChannels(
  { access, log }: Pick<Server, "access" | "log">,
  caller: Caller,
  { after, count }: { readonly after: string; readonly count: number },
): Promise<readonly ChannelInfo[]> {
  const { authority } = caller;
  const { subscribe, manage } = authority.grant.scope;
  if (subscribe.length === 0 && manage.length === 0) return [];
  const visible: ChannelInfo[] = [];
  let last = after;
  for (let batch = count;; batch = MAX_CHANNELS) {
    // A scan costs by the channels that it reads, even if the caller may see few of them.
    access.limiter.subscribe(caller, Math.ceil(batch / HEADS_PER_SUBSCRIBE));
    const found = await log.channels(authority.tenant, last, batch);
    visible.push(...found.filter(({ channel }) => maySee(authority, channel)));
    const channel = found.at(-1)?.channel;
    if (visible.length >= count || channel === undefined || found.length < batch) return visible;
    last = afterUnlisted(channel) ?? channel;
  }
}

/**
 * Returns a name after all channels of the kind of `channel` if they are not listed: presence
 * channels and inboxes belong to other channels.
 */
function afterUnlisted(channel: Channel): string | undefined {
  if (channelOfPresence(channel) !== undefined) return AFTER_PRESENCE;
  return ownerOfInbox(channel) === undefined ? undefined : AFTER_INBOXES;
}

function maySee(authority: Authority, channel: Channel): boolean {
  if (afterUnlisted(channel) !== undefined) return false;
  return authority.mayRead(channel) || authority.may("manage", channel);
}

/** Returns the channel's figures, with the server's retention where the channel has none. */
export function figuresOf(
  channel: Channel,
  head: Head,
  config: Pick<Config, "retention">,
): ChannelFigures {
  const { age, events, bytes } = retentionOf(channel, head.retention, config.retention);
  const isEmpty = head.first > head.last;
  return {
    channel,
    created: formatTime(epochTime(head.epoch)),
    changed: formatTime(head.time),
    first: isEmpty ? null : formatOffset(head.epoch, head.first),
    last: formatOffset(head.epoch, head.last),
    events: head.last - head.first + 1,
    bytes: head.bytes,
    retention: { age: age / 1_000, events, bytes },
  };
}
