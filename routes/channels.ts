import type { Context } from "hono";
import { z } from "zod";
import { decode, parseJson } from "../lib/log/draft.ts";
import type { Head, Retention } from "../lib/log/log.ts";
import { type Channel, channelOf, DEFAULT_TENANT } from "../lib/shared/channel.ts";
import { formatTime } from "../lib/shared/event.ts";
import { epochTime, formatOffset } from "../lib/shared/offset.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";
import { readBody } from "./body.ts";
import { integer, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

const MAX_BODY_BYTES = 4_096;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

const settings = z.strictObject({
  retention: z.strictObject({
    /** Seconds. */
    age: z.int().min(1).max(36_500 * 86_400).optional(),
    events: z.int().min(1).max(1e12).optional(),
    bytes: z.int().min(1).optional(),
  }).default({}),
});

/** `GET /v1/channels`: all channels by name, a page at a time. */
export async function listChannels(c: Context, weir: Weir): Promise<Response> {
  const schema = z.object({
    after: z.string().default(""),
    limit: integer(1, MAX_LIMIT).optional(),
  });
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, schema);
  const found = await weir.log.channels(DEFAULT_TENANT, after, limit + 1);
  const page = found.slice(0, limit);
  const next = found.length > limit ? page.at(-1)?.channel ?? null : null;
  return c.json({ channels: page.map((info) => describe(weir, info.channel, info)), next });
}

/** `GET /v1/channels/{channel}` */
export async function getChannel(c: Context, weir: Weir): Promise<Response> {
  const address = pathChannel(c);
  const head = await weir.log.head(address);
  if (head === undefined) throw notFound(channelOf(address));
  return c.json(describe(weir, channelOf(address), head));
}

/** `PUT /v1/channels/{channel}`: sets what it keeps, and makes it if it isn't there. */
export async function putChannel(c: Context, weir: Weir): Promise<Response> {
  const address = pathChannel(c);
  const body = parseJson(decode(await readBody(c.req.raw, MAX_BODY_BYTES)));
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
  return c.json(describe(weir, channelOf(address), await weir.log.configure(address, retention)));
}

/** `DELETE /v1/channels/{channel}` */
export async function deleteChannel(c: Context, weir: Weir): Promise<Response> {
  const address = pathChannel(c);
  if (!await weir.log.delete(address)) throw notFound(channelOf(address));
  return c.body(null, 204);
}

function pathChannel(c: Context) {
  const url = splitUrl(c.req.raw.url);
  parseQuery(url.searchParams, z.object({}));
  return parsePathChannel(DEFAULT_TENANT, url.path);
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
