import { z } from "zod";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import type { Retention } from "../lib/log/log.ts";
import type { Access } from "../lib/auth/access.ts";
import type { Caller } from "../lib/auth/caller.ts";
import {
  type Channel,
  type ChannelKey,
  channelOf,
  MAX_CHANNEL_BYTES,
  parseReadableChannel,
} from "../lib/shared/channel.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireRead, requireRight } from "./access.ts";
import { NO_STORE } from "./admin.ts";
import { readBody } from "./body.ts";
import { channelsPage, figuresOf, MAX_CHANNELS } from "./channel_list.ts";
import type { AppContext } from "./context.ts";
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

/** Guards against a name that no key of the store has room for. */
function fitsChannelName(after: string): boolean {
  return new TextEncoder().encode(after).length <= MAX_CHANNEL_BYTES;
}

/** `GET /v1/channels`: lists the channels that the caller may see, by name. */
export async function listChannels(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
): Promise<Response> {
  const schema = z.object({
    after: z.string().refine(fitsChannelName, `at most ${MAX_CHANNEL_BYTES} bytes`).default(""),
    limit: integer(1, MAX_CHANNELS).optional(),
  });
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, schema);
  return c.json(await channelsPage(server, caller, { after, limit }), 200, NO_STORE);
}

/** `GET /v1/channels/{channel}`: returns the channel's figures. */
export async function getChannel(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
): Promise<Response> {
  const channelKey = pathChannel(c, { access: server.access, caller }, parseReadableChannel);
  const isManaged = caller.authority.may("manage", channelOf(channelKey));
  if (!isManaged) requireRead(server.access, caller, channelOf(channelKey));
  const head = await server.log.head(channelKey);
  if (head === undefined) throw notFound(channelOf(channelKey));
  return c.json(figuresOf(channelOf(channelKey), head, server.config), 200, NO_STORE);
}

/** `PUT /v1/channels/{channel}`: sets the retention, and creates the channel if necessary. */
export async function putChannel(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
): Promise<Response> {
  const channelKey = managedChannel(c, server.access, caller);
  const body = parseJson(
    decodeUtf8(await readBody(c.req.raw, { maxBytes: MAX_BODY_BYTES, caller })),
  );
  server.access.credentials.requireValid(caller.authority); // it may have ended while the body arrived
  const parsed = settings.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join(".") ?? "";
    const detail = `Cannot use the settings: ${where === "" ? "" : `${where}: `}${issue?.message}.`;
    throw new Problem("bad_body", detail);
  }
  const { age, events, bytes } = parsed.data.retention;
  const retention: Partial<Retention> = {
    ...age !== undefined && { age: age * 1_000 },
    ...events !== undefined && { events },
    ...bytes !== undefined && { bytes },
  };
  const head = await server.log.configure(channelKey, retention);
  return c.json(figuresOf(channelOf(channelKey), head, server.config), 200, NO_STORE);
}

/** `DELETE /v1/channels/{channel}`: deletes the channel. */
export async function deleteChannel(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
): Promise<Response> {
  const channelKey = managedChannel(c, server.access, caller);
  if (!await server.log.delete(channelKey)) throw notFound(channelOf(channelKey));
  return c.body(null, 204);
}

/** Returns the channel of the path, and requires the right to manage it. */
function managedChannel(c: AppContext, access: Access, caller: Caller): ChannelKey {
  const channelKey = pathChannel(c, { access, caller });
  requireRight(access, caller, { action: "manage", channel: channelOf(channelKey) });
  return channelKey;
}

/** Returns the channel of the path. Counts the call as a subscribe, because it reads the store. */
function pathChannel(
  c: AppContext,
  { access, caller }: { readonly access: Access; readonly caller: Caller },
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
