import type { Context } from "hono";
import { z } from "zod";
import { decode, parseJson } from "../lib/log/draft.ts";
import type { ChannelInfo, Head, Retention } from "../lib/log/log.ts";
import type { Authority } from "../lib/auth/authority.ts";
import type { Caller } from "../lib/auth/caller.ts";
import {
  type Address,
  type Channel,
  channelOf,
  parseReadableChannel,
} from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import { epochTime, formatOffset } from "../lib/shared/offset.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";
import { requireRight } from "./access.ts";
import { NO_STORE } from "./admin.ts";
import { readBody } from "./body.ts";
import { integer, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

const MAX_BODY_BYTES = 4_096;
const MAX_LIMIT = 1_000;
/** Channels of a list that count as one subscribe. Met: lists without end, each a scan. */
const HEADS_PER_SUBSCRIBE = 10;
const DEFAULT_LIMIT = 100;

const settings = z.strictObject({
  retention: z.strictObject({
    /** Seconds. */
    age: z.int().min(1).max(36_500 * 86_400).optional(),
    events: z.int().min(1).max(1e12).optional(),
    bytes: z.int().min(1).optional(),
  }).default({}),
});

/** `GET /v1/channels`: the channels that the caller may see, by name. Others leave no trace. */
export async function listChannels(
  c: Context,
  weir: Weir,
  caller: Caller,
): Promise<Response> {
  const schema = z.object({
    after: z.string().default(""),
    limit: integer(1, MAX_LIMIT).optional(),
  });
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, schema);
  const found = await visibleChannels(weir, caller, after, limit + 1);
  const page = found.slice(0, limit);
  const next = found.length > limit ? page.at(-1)?.channel ?? null : null;
  return c.json(
    { channels: page.map((info) => describe(weir, info.channel, info)), next },
    200,
    NO_STORE,
  );
}

/**
 * The first `count` channels behind `after` that the caller may see, however many lie between:
 * a shorter page, or one that goes on behind a hidden channel, would tell of those.
 */
async function visibleChannels(
  { access, log }: Weir,
  caller: Caller,
  after: string,
  count: number,
): Promise<readonly ChannelInfo[]> {
  const { authority } = caller;
  const { subscribe, manage } = authority.grant.scope;
  if (subscribe.length === 0 && manage.length === 0) return [];
  const visible: ChannelInfo[] = [];
  for (let batch = count;; batch = MAX_LIMIT) {
    // A scan costs by what it reads, whoever may see how little of it.
    access.limiter.subscribe(caller, Math.ceil(batch / HEADS_PER_SUBSCRIBE));
    const found = await log.channels(authority.tenant, after, batch);
    visible.push(...found.filter(({ channel }) => maySee(authority, channel)));
    const last = found.at(-1);
    if (visible.length >= count || last === undefined || found.length < batch) return visible;
    after = last.channel;
  }
}

function maySee(authority: Authority, channel: Channel): boolean {
  return authority.may("subscribe", channel) || authority.may("manage", channel);
}

/** `GET /v1/channels/{channel}` */
export async function getChannel(
  c: Context,
  weir: Weir,
  caller: Caller,
): Promise<Response> {
  const address = pathChannel(c, weir, caller, parseReadableChannel);
  const isManaged = caller.authority.may("manage", channelOf(address));
  if (!isManaged) requireRight(weir, caller, "subscribe", channelOf(address));
  const head = await weir.log.head(address);
  if (head === undefined) throw notFound(channelOf(address));
  return c.json(describe(weir, channelOf(address), head), 200, NO_STORE);
}

/** `PUT /v1/channels/{channel}`: sets what it keeps, and makes it if it isn't there. */
export async function putChannel(
  c: Context,
  weir: Weir,
  caller: Caller,
): Promise<Response> {
  const address = managedChannel(c, weir, caller);
  const body = parseJson(decode(await readBody(c.req.raw, MAX_BODY_BYTES)));
  weir.access.requireGood(caller.authority); // the body may have taken its time
  const parsed = settings.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join(".") ?? "";
    const detail = `Cannot read the settings: ${
      where === "" ? "" : `${where}: `
    }${issue?.message}.`;
    throw new Problem("bad_body", detail);
  }
  const { age, events, bytes } = parsed.data.retention;
  const retention: Partial<Retention> = {
    ...age !== undefined && { age: age * 1_000 },
    ...events !== undefined && { events },
    ...bytes !== undefined && { bytes },
  };
  const head = await weir.log.configure(address, retention);
  return c.json(describe(weir, channelOf(address), head), 200, NO_STORE);
}

/** `DELETE /v1/channels/{channel}` */
export async function deleteChannel(
  c: Context,
  weir: Weir,
  caller: Caller,
): Promise<Response> {
  const address = managedChannel(c, weir, caller);
  if (!await weir.log.delete(address)) throw notFound(channelOf(address));
  return c.body(null, 204);
}

/** The channel of the path, which the caller may manage. */
function managedChannel(c: Context, weir: Weir, caller: Caller): Address {
  const address = pathChannel(c, weir, caller);
  requireRight(weir, caller, "manage", channelOf(address));
  return address;
}

/** The channel of the path, for a call of the store that counts as a subscribe. */
function pathChannel(
  c: Context,
  { access }: Weir,
  caller: Caller,
  parse?: (name: string) => Channel,
): Address {
  const url = splitUrl(c.req.raw.url);
  parseQuery(url.searchParams, z.object({}));
  access.limiter.subscribe(caller, 1);
  return parsePathChannel(caller.authority.tenant, url.path, parse);
}

function notFound(channel: Channel): Problem {
  return new Problem("channel_not_found", `There is no channel ${quote(channel)}.`);
}

function describe({ config }: Weir, channel: Channel, head: Head) {
  const { age, events, bytes } = { ...config.retention, ...head.retention };
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
