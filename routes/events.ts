import type { Context } from "hono";
import { accepts } from "hono/accepts";
import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { type ChannelKey, channelOf, parseReadableChannel } from "../lib/shared/channel.ts";
import { type After, type Cursor, parseAfter, parseCursor } from "../lib/shared/cursor.ts";
import { Problem } from "../lib/shared/problem.ts";
import { longPoll } from "../lib/transports/poll/long_poll.ts";
import { type ReadPage, readPage } from "../lib/transports/poll/read_page.ts";
import { sseStream } from "../lib/transports/sse/stream.ts";
import type { Server } from "../lib/server.ts";
import { requireRead } from "./access.ts";
import { integer, parseChannels, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** Events in one page. Met: one request that reads a whole log into memory. */
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;
/** Seconds of a long poll. Met: requests that proxies cut. */
const MAX_WAIT = 60;

const STREAM = "text/event-stream";
const JSON_TYPE = "application/json";

const query = z.object({
  after: z.string().optional(),
  limit: integer(1, MAX_LIMIT).optional(),
  wait: integer(0, MAX_WAIT).optional(),
  envelope: z.enum(["0", "1"], "0 or 1").optional(),
});
type Query = z.infer<typeof query>;

/** `GET /v1/channels/{channel}/events` */
export async function readChannel(c: Context, server: Server, caller: Caller): Promise<Response> {
  const url = splitUrl(c.req.raw.url);
  const channelKey = parsePathChannel(caller.authority.tenant, url.path, parseReadableChannel);
  const values = parseQuery(url.searchParams, query, ["ticket"]);
  return await read({ c, server, caller, channelKeys: [channelKey], values });
}

/** `GET /v1/events?channel=a&channel=b` */
export async function readChannels(c: Context, server: Server, caller: Caller): Promise<Response> {
  const { searchParams } = splitUrl(c.req.raw.url);
  const values = parseQuery(searchParams, query, ["channel", "ticket"]);
  const channelKeys = parseChannels(caller.authority.tenant, searchParams.getAll("channel"));
  return await read({ c, server, caller, channelKeys, values });
}

/** One read that was asked for. */
interface Reading {
  readonly c: Context;
  readonly server: Server;
  readonly caller: Caller;
  readonly channelKeys: readonly ChannelKey[];
  readonly values: Query;
}

async function read(reading: Reading): Promise<Response> {
  const { c, server, caller, channelKeys, values } = reading;
  for (const channelKey of channelKeys) requireRead(server, caller, channelOf(channelKey));
  server.access.limiter.subscribe(caller, channelKeys.length);
  if (mediaType(c) === STREAM) return await stream(reading);
  if (values.envelope !== undefined) {
    throw new Problem("bad_parameter", `"envelope" is for ${STREAM}: JSON always has one.`);
  }
  const { limit = DEFAULT_LIMIT, wait = 0 } = values;
  const channels = channelKeys.map(channelOf);
  if (wait === 0) {
    const after: After = parseAfter(values.after ?? "earliest", channels);
    return shortPollAnswer(
      c,
      await readPage(server.hub, after, { channelKeys, limit }),
    );
  }
  const after = parseAfter(values.after ?? "latest", channels);
  const { authority } = caller;
  const { limiter, connections } = server.access;
  using _connection = server.meter.connected("longPoll", limiter.connect(caller));
  server.openResponses.add(c.env?.completed);
  const { signal } = c.req.raw;
  const options = {
    channelKeys,
    limit,
    waitMs: wait * 1_000,
    signal,
    connections,
    authority,
  };
  const page = await longPoll(server.hub, after, options);
  return page.isEmpty
    ? new Response(null, { status: 204, headers: pageHeaders(page.cursor) })
    : pageAnswer(page, pageHeaders(page.cursor));
}

/** What the client would rather have, of the two that there are. */
function mediaType(c: Context): typeof STREAM | typeof JSON_TYPE {
  const header = c.req.raw.headers.get("accept");
  if (header === null || header === "*/*") return JSON_TYPE;
  if (header === STREAM) return STREAM;
  const none = "none";
  const chosen = accepts(c, {
    header: "Accept",
    supports: [JSON_TYPE, STREAM],
    default: none,
    match: (accepted, { supports }) => {
      const wanted = accepted.filter(({ q }) => q > 0).sort((a, b) => b.q - a.q);
      for (const { type } of wanted) {
        const found = supports.find((own) => matches(type, own));
        if (found !== undefined) return found;
      }
      return none;
    },
  });
  if (chosen === STREAM || chosen === JSON_TYPE) return chosen;
  throw new Problem(
    "bad_accept",
    `Cannot answer as asked by Accept: there are ${JSON_TYPE} and ${STREAM}.`,
  );
}

function matches(pattern: string, type: string): boolean {
  const essence = pattern.toLowerCase();
  return essence === "*/*" || essence === type || essence === `${type.split("/")[0]}/*`;
}

async function stream(
  { c, server, caller, channelKeys, values }: Reading,
): Promise<Response> {
  if (values.wait !== undefined || values.limit !== undefined) {
    throw new Problem(
      "bad_parameter",
      `"wait" and "limit" are for ${JSON_TYPE}: a stream goes on.`,
    );
  }
  const headers = {
    "Content-Type": STREAM,
    "Cache-Control": "no-store",
    "Weir-Heartbeat": String(server.config.heartbeatMs),
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
  };
  const channels = channelKeys.map(channelOf);
  // A reconnecting EventSource keeps its old URL: what it saw last counts.
  const last = c.req.raw.headers.get("last-event-id") ?? "";
  const after = last !== ""
    ? parseCursor(last, channels)
    : parseAfter(values.after ?? "latest", channels);
  if (c.req.raw.method === "HEAD") return new Response(null, { headers });
  const isEnveloped = values.envelope === undefined
    ? channelKeys.length > 1
    : values.envelope === "1";
  const { hub, wheel, access: { connections, limiter } } = server;
  const id = crypto.randomUUID();
  const { authority } = caller;
  const connection = server.meter.connected("sse", limiter.connect(caller));
  server.openResponses.add(c.env?.completed);
  const options = {
    hub,
    wheel,
    connections,
    id,
    authority,
    connection,
    channelKeys,
    after,
    isEnveloped,
  };
  return new Response(await sseStream(options), { headers: { ...headers, "Weir-Stream": id } });
}

/** With an ETag: for one URL, the cursor and the length tell whether anything is new. */
function shortPollAnswer(c: Context, page: ReadPage): Response {
  const etag = `"${page.cursor}-${page.body.length}"`;
  const headers = { ...pageHeaders(page.cursor), "ETag": etag };
  const known = c.req.raw.headers.get("if-none-match")?.split(",").map((tag) =>
    tag.trim().replace(/^W\//, "")
  );
  if (known?.includes(etag)) return new Response(null, { status: 304, headers });
  return pageAnswer(page, headers);
}

function pageAnswer(page: ReadPage, headers: Record<string, string>): Response {
  return new Response(page.body, { headers: { ...headers, "Content-Type": JSON_TYPE } });
}

function pageHeaders(cursor: Cursor): Record<string, string> {
  return {
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization, Cookie",
    "Weir-Cursor": cursor,
    "X-Content-Type-Options": "nosniff",
  };
}
