import { accepts } from "hono/accepts";
import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { type ChannelKey, channelOf, parseReadableChannel } from "../lib/shared/channel.ts";
import { type Cursor, parseAfter, parseBefore, parseCursor } from "../lib/shared/cursor.ts";
import { Problem } from "../lib/shared/problem.ts";
import { longPoll } from "../lib/transports/poll/long_poll.ts";
import { type ReadPage, readPage } from "../lib/transports/poll/read_page.ts";
import { readPageBefore } from "../lib/transports/poll/read_page_before.ts";
import { sseStream } from "../lib/transports/sse/stream.ts";
import type { Server } from "../lib/server.ts";
import { requireRead } from "./access.ts";
import { READABLE_CHANNEL } from "./api_description/names.ts";
import { CHANNEL_RIGHT, CREDENTIAL, QUERY, STORE_READ } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { integer, parseChannels, parsePathChannel, parseQuery, splitUrl } from "./query.ts";
import { requireRunning } from "./stopping.ts";

/** Events in one page. Guards against one request that reads a whole log into memory. */
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;
/** Seconds of a long poll. Proxies cut longer requests. */
const MAX_WAIT_SECONDS = 60;

const STREAM = "text/event-stream";
const JSON_TYPE = "application/json";

const query = z.object({
  after: z.string().optional(),
  before: z.string().optional(),
  limit: integer(1, MAX_LIMIT).optional(),
  wait: integer(0, MAX_WAIT_SECONDS).optional(),
  envelope: z.enum(["0", "1"], "0 or 1").optional(),
  lastEventId: z.string().optional(),
  "last-event-id": z.string().optional(),
});
type Query = z.infer<typeof query>;

/** The form of an offset: its sequence is at most 2^53 - 1. */
const OFFSET = "[0-9a-z]{9}_([0-8][0-9]{15}|900[0-6][0-9]{12})";

/** What both ways to read have in common. */
const READ = {
  tag: "Read",
  needsCredential: true,
  takesTicket: true,
  query: described(query, {
    after: {
      text:
        "A cursor (exclusive), `earliest` or `latest`. The default is `earliest` for a short poll, `latest` for a stream or a long poll.",
      schema: { pattern: `^(earliest|latest|${OFFSET}|v[A-Za-z0-9_-]+)$` },
      example: "earliest",
    },
    before: {
      text:
        "JSON of one channel only. An offset (exclusive), or `latest` for the last events: reads backwards. Not together with `after` or `wait`.",
      schema: { pattern: `^(earliest|latest|${OFFSET})$` },
    },
    limit: { text: "JSON only. Events in a page.", schema: { default: DEFAULT_LIMIT } },
    wait: {
      text: "JSON only. Seconds to wait for an event. 0 is a short poll.",
      schema: { default: 0 },
      example: 20,
    },
    envelope: {
      text:
        "Streams only. With `1`, `data:` is the event in JSON; with `0` it is the data as published. The default is `1` for several channels and `0` for one.",
    },
    lastEventId: { text: "Streams only. For clients that cannot send `Last-Event-ID`." },
    "last-event-id": { text: "Streams only. The same as `lastEventId`." },
  }),
  headers: ["Accept", "Last-Event-ID", "If-None-Match"],
  answers: {
    200: {
      text: "A page of events, or a stream of them.",
      json: ["Page", "PageBefore"],
      other: {
        [STREAM]:
          "A stream of server-sent events; [`/asyncapi.json`](/asyncapi.json) has its events.",
      },
      headers: ["ETag", "Weir-Cursor", "Weir-Heartbeat", "Weir-Stream"],
    },
    204: {
      text: "The time of a long poll is over without an event.",
      headers: ["Weir-Cursor", "Weir-Heartbeat"],
    },
    304: { text: "Nothing is new since the `ETag`.", headers: ["ETag", "Weir-Cursor"] },
  },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...STORE_READ,
    ...CHANNEL_RIGHT,
    "bad_accept",
    "bad_cursor",
    "cursor_other_channels",
    "too_many_connections",
  ],
} as const satisfies Partial<RouteDescription>;

export const readChannelDescription: RouteDescription = {
  ...READ,
  id: "readChannel",
  summary: "Read a channel",
  text:
    "As a page (short poll), when there is something (long poll, `wait`), or as a stream of server-sent events (`Accept: text/event-stream`). Needs the right `subscribe` on the channel.",
  path: { channel: READABLE_CHANNEL },
};

export const readChannelsDescription: RouteDescription = {
  ...READ,
  id: "readChannels",
  summary: "Read several channels under one cursor",
  text: "As one channel is read. Needs the right `subscribe` on every channel.",
  lists: {
    channel: { ...READABLE_CHANNEL, text: "A channel. Repeat it for each one: at most 100." },
  },
  problems: [...READ.problems, "too_many_channels"],
};

type ReadParts = Pick<
  Server,
  | "access"
  | "config"
  | "goodbyes"
  | "hub"
  | "meter"
  | "openResponses"
  | "stopping"
  | "tracing"
  | "wheel"
>;

/** `GET /v1/channels/{channel}/events`: reads one channel. */
export async function readChannel(
  c: AppContext,
  server: ReadParts,
  caller: Caller,
): Promise<Response> {
  const url = splitUrl(c.req.raw.url);
  const channelKey = parsePathChannel(caller.authority.tenant, url.path, parseReadableChannel);
  const values = parseQuery(url.searchParams, query, ["ticket"]);
  return await answerRead({ c, server, caller, channelKeys: [channelKey], values });
}

/** `GET /v1/events?channel=a&channel=b`: reads several channels under one cursor. */
export async function readChannels(
  c: AppContext,
  server: ReadParts,
  caller: Caller,
): Promise<Response> {
  const { searchParams } = splitUrl(c.req.raw.url);
  const values = parseQuery(searchParams, query, ["channel", "ticket"]);
  const channelKeys = parseChannels(caller.authority.tenant, searchParams.getAll("channel"));
  return await answerRead({ c, server, caller, channelKeys, values });
}

interface ReadRequest {
  readonly c: AppContext;
  readonly server: ReadParts;
  readonly caller: Caller;
  readonly channelKeys: readonly ChannelKey[];
  readonly values: Query;
}

async function answerRead(request: ReadRequest): Promise<Response> {
  const { c, server, caller, channelKeys, values } = request;
  const { access, hub } = server;
  for (const channelKey of channelKeys) requireRead(access, caller, channelOf(channelKey));
  access.limiter.subscribe(caller, channelKeys.length);
  if (mediaType(c) === STREAM) return await stream(request);
  if (values.envelope !== undefined) {
    throw new Problem("bad_parameter", `"envelope" is for ${STREAM}: JSON always has an envelope.`);
  }
  if (lastEventIdOf(values) !== undefined) {
    throw new Problem("bad_parameter", `"lastEventId" is for ${STREAM}: use "after" for JSON.`);
  }
  if (values.before !== undefined) return await readBack(request, values.before);
  if (values.wait !== undefined && values.wait > 0) return await poll(request, values.wait * 1_000);
  const after = parseAfter(values.after ?? "earliest", channelKeys.map(channelOf));
  const { limit = DEFAULT_LIMIT } = values;
  const read = () => readPage(hub, after, { channelKeys, limit });
  return shortPollAnswer(c, await (server.tracing?.poll(0, read) ?? read()));
}

/** Answers with the page before `before`. */
async function readBack(
  { c, server, channelKeys, values }: ReadRequest,
  before: string,
): Promise<Response> {
  const [channelKey] = channelKeys;
  if (channelKey === undefined || channelKeys.length > 1) {
    throw new Problem("bad_parameter", `"before" reads one channel, not ${channelKeys.length}.`);
  }
  if (values.after !== undefined || values.wait !== undefined) {
    throw new Problem("bad_parameter", `"before" cannot be combined with "after" or "wait".`);
  }
  const position = parseBefore(before, channelOf(channelKey));
  const limit = values.limit ?? DEFAULT_LIMIT;
  return shortPollAnswer(c, await readPageBefore(server.hub, channelKey, position, limit));
}

async function poll(
  { c, server, caller, channelKeys, values }: ReadRequest,
  waitMs: number,
): Promise<Response> {
  const { goodbyes, hub, meter, openResponses, stopping, access: { limiter, connections } } =
    server;
  requireRunning(server);
  const after = parseAfter(values.after ?? "latest", channelKeys.map(channelOf));
  const counted = openResponses.untilSent(c.env?.completed, limiter.connect(caller));
  using _connection = meter.connected("longPoll", counted);
  openResponses.add(c.env?.completed);
  const read = () =>
    longPoll(hub, after, {
      channelKeys,
      limit: values.limit ?? DEFAULT_LIMIT,
      waitMs,
      goodbyes,
      signal: c.req.raw.signal,
      connections,
      authority: caller.authority,
    });
  const page = await (server.tracing?.poll(waitMs, read) ?? read());
  const headers = {
    ...pageHeaders(page.cursor),
    "Weir-Heartbeat": String(server.config.heartbeatMs),
    // The next poll is to reach another server.
    ...stopping.aborted && { "Connection": "close" },
  };
  return page.isEmpty ? new Response(null, { status: 204, headers }) : pageAnswer(page, headers);
}

/** Returns the media type that the client prefers. @throws {Problem} `bad_accept` */
function mediaType(c: AppContext): typeof STREAM | typeof JSON_TYPE {
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
    `Cannot answer with a type in Accept. Available: ${JSON_TYPE}, ${STREAM}.`,
  );
}

function matches(pattern: string, type: string): boolean {
  const essence = pattern.toLowerCase();
  return essence === "*/*" || essence === type || essence === `${type.split("/")[0]}/*`;
}

async function stream(
  { c, server, caller, channelKeys, values }: ReadRequest,
): Promise<Response> {
  if (values.wait !== undefined || values.limit !== undefined || values.before !== undefined) {
    throw new Problem(
      "bad_parameter",
      `"before", "wait" and "limit" are for ${JSON_TYPE}, not for streams.`,
    );
  }
  const headers = {
    "Content-Type": STREAM,
    "Cache-Control": "no-store",
    "Weir-Heartbeat": String(server.config.heartbeatMs),
    "X-Accel-Buffering": "no",
    "Incremental": "?1",
    "X-Content-Type-Options": "nosniff",
  };
  const channels = channelKeys.map(channelOf);
  // A reconnecting EventSource keeps its old URL, so the last event's id takes precedence.
  const last = c.req.raw.headers.get("last-event-id") || lastEventIdOf(values) || "";
  const after = last !== ""
    ? parseCursor(last, channels)
    : parseAfter(values.after ?? "latest", channels);
  if (c.req.raw.method === "HEAD") return new Response(null, { headers });
  const isEnveloped = values.envelope === undefined
    ? channelKeys.length > 1
    : values.envelope === "1";
  requireRunning(server);
  const { goodbyes, hub, wheel, meter, openResponses, access: { connections, limiter } } = server;
  const id = crypto.randomUUID();
  const counted = openResponses.untilSent(c.env?.completed, limiter.connect(caller));
  const countedConnection = meter.connected("sse", counted);
  openResponses.add(c.env?.completed);
  const body = await sseStream({
    hub,
    wheel,
    goodbyes,
    connections,
    id,
    authority: caller.authority,
    countedConnection,
    onGoodbye: meter.saidGoodbye,
    channelKeys,
    after,
    isEnveloped,
  });
  return new Response(body, { headers: { ...headers, "Weir-Stream": id } });
}

/** Returns the last event's id as clients send it that cannot set headers, such as polyfills. */
function lastEventIdOf(values: Query): string | undefined {
  return values.lastEventId ?? values["last-event-id"];
}

type Page = Pick<ReadPage, "body" | "cursor">;

/** Adds an ETag: for one URL, the cursor and the length show whether anything is new. */
function shortPollAnswer(c: AppContext, page: Page): Response {
  const etag = `"${page.cursor}-${page.body.length}"`;
  const headers = { ...pageHeaders(page.cursor), "ETag": etag };
  const known = c.req.raw.headers.get("if-none-match")?.split(",").map((tag) =>
    tag.trim().replace(/^W\//, "")
  );
  if (known?.includes(etag)) return new Response(null, { status: 304, headers });
  return pageAnswer(page, headers);
}

function pageAnswer(page: Page, headers: Record<string, string>): Response {
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
