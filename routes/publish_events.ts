import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { acknowledgement } from "../lib/publish/acknowledgement.ts";
import { draftOfBody, MAX_EVENTS_PER_PUBLISH, publication } from "../lib/publish/draft.ts";
import { batch, parseJsonBody } from "../lib/publish/json_body.ts";
import { ephemeralEventOf } from "../lib/publish/ephemeral_draft.ts";
import type { Draft } from "../lib/log/log.ts";
import { channelOf } from "../lib/shared/channel.ts";
import { MAX_EPHEMERAL_BYTES } from "../lib/shared/ephemeral.ts";
import { MAX_EVENT_BYTES } from "../lib/shared/event.ts";
import { Problem, type Quota, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireAnyRight, requireRight } from "./access.ts";
import { announcedLength, readBody } from "./body.ts";
import { CHANNEL, PUBLICATION } from "./api_description/names.ts";
import {
  BODY,
  CHANNEL_RIGHT,
  CREDENTIAL,
  JSON_BODY,
  QUERY,
  STORE_WRITE,
} from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { rateLimitHeaders } from "./problem.ts";
import { producerOf } from "./producer.ts";
import { isNdjson, publishStream, type StreamParts } from "./publish_stream.ts";
import { noQuery, parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** Bytes of `POST /v1/events`. Guards against one request that fills the queue of the store. */
const MAX_BATCH_BYTES = 8 * MAX_EVENT_BYTES;

type PublishParts = Pick<Server, "access" | "ephemeral" | "log">;

/** Refusals of both ways to publish. */
const PUBLISH_PROBLEMS = [
  ...CREDENTIAL,
  ...QUERY,
  ...BODY,
  ...STORE_WRITE,
  ...CHANNEL_RIGHT,
  "bad_encoding",
  "bad_event_id",
  "bad_event_key",
  "bad_event_ttl",
  "bad_event_type",
  "bad_json",
  "idempotency_conflict",
  "tenant_limit",
] as const;

const QUOTA_HEADERS = ["RateLimit", "RateLimit-Policy"] as const;

export const publishBodyDescription: RouteDescription = {
  id: "publishBody",
  tag: "Publish",
  summary: "Publish the body as one event",
  text:
    "The body is the event's data, of any type, at most 1,048,576 bytes. Needs the right `publish` on the channel.",
  needsCredential: true,
  path: { channel: CHANNEL },
  query: described(noQuery, {}),
  headers: [
    "Content-Type",
    "Idempotency-Key",
    "Weir-Type",
    "Weir-Key",
    "Weir-TTL",
    "Weir-Ephemeral",
    "traceparent",
  ],
  needsBody: true,
  body: {
    "application/json": { text: "Any JSON.", plain: {}, example: { amount: 3 } },
    "text/plain": { text: "Text in UTF-8.", plain: { type: "string" }, example: "hello" },
    "application/octet-stream": { text: "Any bytes.", plain: { type: "string", format: "binary" } },
  },
  answers: {
    200: {
      text: "The event was stored before under its id.",
      json: "Acknowledgement",
      headers: QUOTA_HEADERS,
    },
    201: { text: "The event is durable.", json: "Acknowledgement", headers: QUOTA_HEADERS },
    202: {
      text: "The ephemeral event is delivered.",
      json: "EphemeralAcknowledgement",
      headers: QUOTA_HEADERS,
    },
  },
  problems: [...PUBLISH_PROBLEMS, "bad_content_type"],
};

/** `POST /v1/channels/{channel}/events`: publishes the body as one event. */
export async function publishBody(
  c: AppContext,
  { access, ephemeral, log }: PublishParts,
  caller: Caller,
): Promise<Response> {
  const request = c.req.raw;
  const url = splitUrl(request.url);
  parseQuery(url.searchParams, noQuery);
  const { authority } = caller;
  const channelKey = parsePathChannel(authority.tenant, url.path);
  requireRight(access, caller, { action: "publish", channel: channelOf(channelKey) });
  const { headers } = request;
  const names = {
    id: headers.get("idempotency-key") ?? undefined,
    type: headers.get("weir-type") ?? undefined,
    key: headers.get("weir-key") ?? undefined,
    ttl: parseTtl(headers.get("weir-ttl")),
  };
  const isEphemeral = parseEphemeral(headers.get("weir-ephemeral"));
  const maxBytes = isEphemeral ? MAX_EPHEMERAL_BYTES : MAX_EVENT_BYTES;
  // If the length is announced, limits apply before the body is read: a refusal then costs little.
  const length = announcedLength(request, maxBytes);
  const early = length === undefined ? undefined : access.limiter.publish(caller, 1, length);
  const body = await readBody(request, { maxBytes, caller });
  const quota = length === undefined ? access.limiter.publish(caller, 1, body.length) : early;
  const contentType = headers.get("content-type") ?? undefined;
  const target = { ...producerOf(caller, request), channelKey };
  const draft = await draftOfBody(target, contentType, body, names);
  access.credentials.requireValid(authority); // it may have ended in the meantime
  if (isEphemeral) return publishEphemeral(ephemeral, draft, quota);
  const [appended] = await log.append([draft]);
  if (appended === undefined) throw new Error("the log returned no result for the draft");
  return answer(appended.duplicate ? 200 : 201, acknowledgement(draft, appended), quota);
}

export const publishJsonDescription: RouteDescription = {
  id: "publish",
  tag: "Publish",
  summary: "Publish one event, up to 100 events, or a stream of events",
  text:
    "Several events are stored all or none; a stream of events, one JSON object per line, is answered line by line while it arrives. Needs the right `publish` on every channel.",
  needsCredential: true,
  query: described(noQuery, {}),
  headers: ["Content-Type", "traceparent"],
  needsBody: true,
  body: {
    "application/json": {
      name: "PublishRequest",
      schema: z.union([publication, batch]),
      members: {
        ...PUBLICATION,
        events: {
          text: "The events.",
          schema: {
            maxItems: MAX_EVENTS_PER_PUBLISH,
            items: { $ref: "#/components/schemas/Publication" },
          },
        },
      },
      example: { channel: "orders", data: { amount: 3 } },
    },
    "application/x-ndjson": {
      text: "One event per line, as `Publication`.",
      plain: { type: "string" },
      example: '{"channel":"orders","data":1}\n{"channel":"orders","data":2}\n',
    },
  },
  answers: {
    200: {
      text: "All events were stored before under their ids; or the answers to a stream.",
      json: "Acknowledgements",
      other: { "application/x-ndjson": "One line per event, as `PublishAnswer`." },
      headers: QUOTA_HEADERS,
    },
    201: { text: "The events are durable.", json: "Acknowledgements", headers: QUOTA_HEADERS },
    202: {
      text: "The ephemeral event is delivered.",
      json: "EphemeralAcknowledgement",
      headers: QUOTA_HEADERS,
    },
  },
  problems: [
    ...PUBLISH_PROBLEMS,
    ...JSON_BODY,
    "too_many_channels",
    "too_many_connections",
    "too_many_events",
  ],
};

/**
 * `POST /v1/events`: publishes one event as JSON, or up to 100 events, all or nothing; or a stream of
 * events as NDJSON.
 */
export async function publishJson(
  c: AppContext,
  server: PublishParts & StreamParts,
  caller: Caller,
): Promise<Response> {
  const { access, ephemeral, log } = server;
  const request = c.req.raw;
  parseQuery(splitUrl(request.url).searchParams, noQuery);
  requireAnyRight(access, caller, "publish");
  if (isNdjson(request.headers.get("content-type"))) return publishStream(c, server, caller);
  const length = announcedLength(request, MAX_BATCH_BYTES);
  // If the length is announced, limits apply before the body is read: a refusal then costs little.
  if (length !== undefined) access.limiter.publish(caller, 0, length);
  const body = await readBody(request, { maxBytes: MAX_BATCH_BYTES, caller });
  const { drafts, isEphemeral } = await parseJsonBody(producerOf(caller, request), body);
  access.credentials.requireValid(caller.authority); // it may have ended in the meantime
  for (const { channelKey } of drafts) {
    requireRight(access, caller, { action: "publish", channel: channelOf(channelKey) });
  }
  const bytes = length === undefined ? drafts.reduce((sum, draft) => sum + draft.bytes, 0) : 0;
  const quota = access.limiter.publish(caller, drafts.length, bytes);
  const [only] = drafts;
  if (isEphemeral && only !== undefined) {
    return publishEphemeral(ephemeral, only, quota);
  }
  const appended = await log.append(drafts);
  const events = appended.map((result, i) => {
    const draft = drafts[i];
    if (draft === undefined) throw new Error("the log returned a result without a draft");
    return acknowledgement(draft, result);
  });
  const status = appended.every(({ duplicate }) => duplicate) ? 200 : 201;
  return answer(status, `{"events":[${events.join(",")}]}`, quota);
}

/** @throws {Problem} `bad_parameter`, `bad_content_type`, `event_too_large`, `rate_limited`, `overloaded` */
function publishEphemeral(
  publisher: Server["ephemeral"],
  draft: Draft,
  quota: Quota | undefined,
): Response {
  publisher.publish(draft.channelKey, ephemeralEventOf(draft, Date.now(), "bad_parameter"));
  const channel = JSON.stringify(channelOf(draft.channelKey));
  return answer(202, `{"channel":${channel},"ephemeral":true}`, quota);
}

function parseEphemeral(header: string | null): boolean {
  if (header === null || header === "1") return header === "1";
  throw new Problem(
    "bad_parameter",
    `Cannot use ${quote(header)} as Weir-Ephemeral: it must be 1.`,
  );
}

function parseTtl(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  const detail = `Cannot use ${quote(header)} as Weir-TTL: it must be a whole number of seconds.`;
  throw new Problem("bad_event_ttl", detail);
}

const JSON_HEADERS = {
  "Cache-Control": "no-store",
  "Content-Type": "application/json",
  "X-Content-Type-Options": "nosniff",
};

function answer(status: 200 | 201 | 202, body: string, quota: Quota | undefined): Response {
  // The two headers cost 5 % of a publish, so they are sent only once half of the limit is used.
  const headers = quota === undefined || 2 * quota.remaining >= quota.limit
    ? JSON_HEADERS
    : { ...JSON_HEADERS, ...rateLimitHeaders(quota) };
  return new Response(body, { status, headers });
}
