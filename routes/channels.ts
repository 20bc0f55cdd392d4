import type { Context } from "hono";
import { z } from "zod";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import type { Retention } from "../lib/log/log.ts";
import type { Caller } from "../lib/auth/caller.ts";
import {
  type Channel,
  type ChannelKey,
  channelOf,
  parseReadableChannel,
} from "../lib/shared/channel.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireRead, requireRight } from "./access.ts";
import { NO_STORE } from "./admin.ts";
import { readBody } from "./body.ts";
import { channelsPage, figuresOf, MAX_CHANNELS } from "./channel_list.ts";
import { integer, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

const MAX_BODY_BYTES = 4_096;
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
  server: Server,
  caller: Caller,
): Promise<Response> {
  const schema = z.object({
    after: z.string().default(""),
    limit: integer(1, MAX_CHANNELS).optional(),
  });
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, schema);
  return c.json(await channelsPage(server, caller, { after, limit }), 200, NO_STORE);
}

/** `GET /v1/channels/{channel}` */
export async function getChannel(
  c: Context,
  server: Server,
  caller: Caller,
): Promise<Response> {
  const channelKey = pathChannel(c, server, caller, parseReadableChannel);
  const isManaged = caller.authority.may("manage", channelOf(channelKey));
  if (!isManaged) requireRead(server, caller, channelOf(channelKey));
  const head = await server.log.head(channelKey);
  if (head === undefined) throw notFound(channelOf(channelKey));
  return c.json(figuresOf(server, channelOf(channelKey), head), 200, NO_STORE);
}

/** `PUT /v1/channels/{channel}`: sets what it keeps, and makes it if it isn't there. */
export async function putChannel(
  c: Context,
  server: Server,
  caller: Caller,
): Promise<Response> {
  const channelKey = managedChannel(c, server, caller);
  const body = parseJson(decodeUtf8(await readBody(c.req.raw, MAX_BODY_BYTES)));
  server.access.credentials.requireValid(caller.authority); // the body may have taken its time
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
  const head = await server.log.configure(channelKey, retention);
  return c.json(figuresOf(server, channelOf(channelKey), head), 200, NO_STORE);
}

/** `DELETE /v1/channels/{channel}` */
export async function deleteChannel(
  c: Context,
  server: Server,
  caller: Caller,
): Promise<Response> {
  const channelKey = managedChannel(c, server, caller);
  if (!await server.log.delete(channelKey)) throw notFound(channelOf(channelKey));
  return c.body(null, 204);
}

/** The channel of the path, which the caller may manage. */
function managedChannel(c: Context, server: Server, caller: Caller): ChannelKey {
  const channelKey = pathChannel(c, server, caller);
  requireRight(server, caller, "manage", channelOf(channelKey));
  return channelKey;
}

/** The channel of the path, for a call of the store that counts as a subscribe. */
function pathChannel(
  c: Context,
  { access }: Server,
  caller: Caller,
  parse?: (name: string) => Channel,
): ChannelKey {
  const url = splitUrl(c.req.raw.url);
  parseQuery(url.searchParams, z.object({}));
  access.limiter.subscribe(caller, 1);
  return parsePathChannel(caller.authority.tenant, url.path, parse);
}

function notFound(channel: Channel): Problem {
  return new Problem("channel_not_found", `There is no channel ${quote(channel)}.`);
}
