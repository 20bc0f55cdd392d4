import type { Authority } from "../lib/auth/authority.ts";
import type { Caller } from "../lib/auth/caller.ts";
import type { ChannelInfo, Head } from "../lib/log/log.ts";
import { retentionOf } from "../lib/log/retention_limits.ts";
import { type Channel, watchedChannel } from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import { epochTime, formatOffset } from "../lib/shared/offset.ts";
import type { Server } from "../lib/server.ts";

/** Channels that are read at once on the way to those that may be seen. */
export const MAX_CHANNELS = 1_000;
/** Channels of a list that count as one subscribe. Met: lists without end, each a scan. */
const HEADS_PER_SUBSCRIBE = 10;
/** A name behind those of all presence channels, and before those of clients' own. */
const BEHIND_PRESENCE = "$presence;";

/** A channel's figures, as clients get them. */
export interface ChannelFigures {
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

/** A page of the channels that the caller may see, by name. Others leave no trace. */
export async function channelsPage(
  server: Server,
  caller: Caller,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<{ readonly channels: readonly ChannelFigures[]; readonly next: string | null }> {
  const found = await visibleChannels(server, caller, after, limit + 1);
  const page = found.slice(0, limit);
  const next = found.length > limit ? page.at(-1)?.channel ?? null : null;
  return { channels: page.map((info) => figuresOf(server, info.channel, info)), next };
}

/**
 * The first `count` channels behind `after` that the caller may see, however many lie between:
 * a shorter page, or one that goes on behind a hidden channel, would tell of those.
 */
async function visibleChannels(
  { access, log }: Server,
  caller: Caller,
  after: string,
  count: number,
): Promise<readonly ChannelInfo[]> {
  const { authority } = caller;
  const { subscribe, manage } = authority.grant.scope;
  if (subscribe.length === 0 && manage.length === 0) return [];
  const visible: ChannelInfo[] = [];
  for (let batch = count;; batch = MAX_CHANNELS) {
    // A scan costs by what it reads, whoever may see how little of it.
    access.limiter.subscribe(caller, Math.ceil(batch / HEADS_PER_SUBSCRIBE));
    const found = await log.channels(authority.tenant, after, batch);
    visible.push(...found.filter(({ channel }) => maySee(authority, channel)));
    const last = found.at(-1);
    if (visible.length >= count || last === undefined || found.length < batch) return visible;
    after = watchedChannel(last.channel) === undefined ? last.channel : BEHIND_PRESENCE;
  }
}

/** Presence channels have no place in the list: each belongs to another channel. */
function maySee(authority: Authority, channel: Channel): boolean {
  if (watchedChannel(channel) !== undefined) return false;
  return authority.mayRead(channel) || authority.may("manage", channel);
}

export function figuresOf({ config }: Server, channel: Channel, head: Head): ChannelFigures {
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
