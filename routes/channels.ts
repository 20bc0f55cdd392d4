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
import { CHANNEL, READABLE_CHANNEL } from "./api_description/names.ts";
import {
  CHANNEL_RIGHT,
  CREDENTIAL,
  JSON_BODY,
  QUERY,
  STORE_READ,
  STORE_WRITE,
} from "./api_description/problem_groups.ts";
import { described, jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import { readBody } from "./body.ts";
import { channelsPage, figuresOf, MAX_CHANNELS } from "./channel_list.ts";
import type { AppContext } from "./context.ts";
import { integer, noQuery, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

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

const listQuery = z.object({
  after: z.string().refine(fitsChannelName, `at most ${MAX_CHANNEL_BYTES} bytes`).default(""),
  limit: integer(1, MAX_CHANNELS).optional(),
});

export const listChannelsDescription: RouteDescription = {
  id: "listChannels",
  tag: "Channels",
  summary: "List channels",
  text:
    "Lists the channels that the credential may read or manage, by name. Presence channels and inboxes are not listed.",
  needsCredential: true,
  query: described(listQuery, {
    after: {
      text: "Lists channels after this name.",
      schema: { maxLength: MAX_CHANNEL_BYTES },
      example: "orders",
    },
    limit: { text: "Channels in a page.", schema: { default: DEFAULT_LIMIT } },
  }),
  answers: { 200: { text: "A page of channels.", json: "Channels" } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_READ],
};

/** `GET /v1/channels`: lists the channels that the caller may see, by name. */
export async function listChannels(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "log">,
  caller: Caller,
): Promise<Response> {
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, listQuery);
  return c.json(await channelsPage(server, caller, { after, limit }), 200, NO_STORE);
}

export const getChannelDescription: RouteDescription = {
  id: "getChannel",
  tag: "Channels",
  summary: "Get a channel's figures",
  text: "Needs the right `subscribe` or `manage` on the channel.",
  needsCredential: true,
  path: { channel: READABLE_CHANNEL },
  query: described(noQuery, {}),
  answers: { 200: { text: "The channel's figures.", json: "Channel" } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_READ, ...CHANNEL_RIGHT, "channel_not_found"],
};

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

export const putChannelDescription: RouteDescription = {
  id: "putChannel",
  tag: "Channels",
  summary: "Set a channel's retention",
  text: "Creates the channel if necessary. Needs the right `manage` on the channel.",
  needsCredential: true,
  path: { channel: CHANNEL },
  query: described(noQuery, {}),
  needsBody: true,
  body: jsonBody({
    name: "ChannelSettings",
    schema: settings,
    members: {
      retention: { text: "How much of the channel is kept. Missing members are the defaults." },
    },
    inner: {
      "retention.age": { text: "Seconds.", example: 86_400 },
      "retention.events": { text: "Events.", example: 10_000 },
      "retention.bytes": { text: "Bytes.", example: 1_048_576 },
    },
    example: { retention: { age: 86_400, events: 10_000 } },
  }),
  answers: { 200: { text: "The channel's figures.", json: "Channel" } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...JSON_BODY,
    ...STORE_WRITE,
    ...CHANNEL_RIGHT,
    "tenant_limit",
  ],
};

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

export const deleteChannelDescription: RouteDescription = {
  id: "deleteChannel",
  tag: "Channels",
  summary: "Delete a channel",
  text: "Readers receive a `recreated` gap. Needs the right `manage` on the channel.",
  needsCredential: true,
  path: { channel: CHANNEL },
  query: described(noQuery, {}),
  answers: { 204: { text: "The channel is deleted." } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_WRITE, ...CHANNEL_RIGHT, "channel_not_found"],
};

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
  parseQuery(url.searchParams, noQuery);
  access.limiter.subscribe(caller, 1);
  return parsePathChannel(caller.authority.tenant, url.path, parse);
}

function notFound(channel: Channel): Problem {
  return new Problem("channel_not_found", `There is no channel ${quote(channel)}.`);
}
