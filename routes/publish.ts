import type { Context } from "hono";
import { z } from "zod";
import {
  draftOfBody,
  draftOfPublication,
  MAX_EVENTS_PER_PUBLISH,
  type Publication,
  publication,
} from "../lib/publish/draft.ts";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import { ephemeralEventOf } from "../lib/publish/ephemeral_draft.ts";
import type { AppendedEvent, Draft } from "../lib/log/log.ts";
import { rateLimitHeaders } from "./problem.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { channelOf, type Tenant } from "../lib/shared/channel.ts";
import { MAX_EPHEMERAL_BYTES } from "../lib/shared/ephemeral.ts";
import { MAX_EVENT_BYTES } from "../lib/shared/event.ts";
import { Problem, type Quota, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireAnyRight, requireRight } from "./access.ts";
import { announcedLength, readBody } from "./body.ts";
import { parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** Of `POST /v1/events`. Met: one request that takes the whole queue of the store. */
const MAX_BATCH_BYTES = 8 * MAX_EVENT_BYTES;

const noQuery = z.object({});
const batch = z.strictObject({ events: z.array(z.unknown()).min(1) });

/** `POST /v1/channels/{channel}/events`: the body is the event. */
export async function publishBody(c: Context, server: Server, caller: Caller): Promise<Response> {
  const request = c.req.raw;
  const url = splitUrl(request.url);
  parseQuery(url.searchParams, noQuery);
  const { authority } = caller;
  const channelKey = parsePathChannel(authority.tenant, url.path);
  requireRight(server, caller, "publish", channelOf(channelKey));
  const { headers } = request;
  const names = {
    id: headers.get("idempotency-key") ?? undefined,
    type: headers.get("weir-type") ?? undefined,
    key: headers.get("weir-key") ?? undefined,
    ttl: parseTtl(headers.get("weir-ttl")),
  };
  const isEphemeral = parseEphemeral(headers.get("weir-ephemeral"));
  const max = isEphemeral ? MAX_EPHEMERAL_BYTES : MAX_EVENT_BYTES;
  // Before the body, where its length was said: refusing costs little then.
  const { access, log } = server;
  const length = announcedLength(request, max);
  const early = length === undefined ? undefined : access.limiter.publish(caller, 1, length);
  const body = await readBody(request, max);
  access.credentials.requireValid(authority); // the body may have taken its time
  const quota = length === undefined ? access.limiter.publish(caller, 1, body.length) : early;
  const draft = draftOfBody(channelKey, headers.get("content-type") ?? undefined, body, names);
  if (isEphemeral) return publishEphemeral(server, draft, quota);
  const [appended] = await log.append([draft]);
  if (appended === undefined) throw new Error("one draft has one answer");
  return answer(appended.duplicate ? 200 : 201, acknowledgement(draft, appended), quota);
}

/** `POST /v1/events`: one event as JSON, or up to 100 over several channels, all or nothing. */
export async function publishJson(c: Context, server: Server, caller: Caller): Promise<Response> {
  const request = c.req.raw;
  parseQuery(splitUrl(request.url).searchParams, noQuery);
  requireAnyRight(server, caller, "publish");
  const { access, log } = server;
  const length = announcedLength(request, MAX_BATCH_BYTES);
  // Before the body, where its length was said: refusing costs little then.
  if (length !== undefined) access.limiter.publish(caller, 0, length);
  const value = parseJson(decodeUtf8(await readBody(request, MAX_BATCH_BYTES)));
  access.credentials.requireValid(caller.authority); // the body may have taken its time
  const isBatch = typeof value === "object" && value !== null && Object.hasOwn(value, "events");
  const { tenant } = caller.authority;
  const single = isBatch ? undefined : parsePublication(value);
  const drafts = single === undefined
    ? parseBatch(tenant, value)
    : [draftOfPublication(tenant, single)];
  for (const { channelKey } of drafts) {
    requireRight(server, caller, "publish", channelOf(channelKey));
  }
  const bytes = length === undefined ? drafts.reduce((sum, draft) => sum + draft.bytes, 0) : 0;
  const quota = access.limiter.publish(caller, drafts.length, bytes);
  const [only] = drafts;
  if (single?.ephemeral && only !== undefined) return publishEphemeral(server, only, quota);
  const appended = await log.append(drafts);
  const events = appended.map((one, i) => {
    const draft = drafts[i];
    if (draft === undefined) throw new Error("each answer has its draft");
    return acknowledgement(draft, one);
  });
  const status = appended.every(({ duplicate }) => duplicate) ? 200 : 201;
  return answer(status, `{"events":[${events.join(",")}]}`, quota);
}

function parseBatch(tenant: Tenant, value: unknown): readonly Draft[] {
  const parsed = batch.safeParse(value);
  if (!parsed.success) {
    throw new Problem("bad_body", `Cannot read the body: ${sentence(parsed.error)}.`);
  }
  const { events } = parsed.data;
  if (events.length > MAX_EVENTS_PER_PUBLISH) {
    throw new Problem(
      "too_many_events",
      `Cannot publish ${events.length} events at once: ${MAX_EVENTS_PER_PUBLISH} at the most.`,
    );
  }
  return events.map((event, index) => draftOfListed(tenant, event, index));
}

function draftOfListed(tenant: Tenant, value: unknown, index: number): Draft {
  const event = parsePublication(value, index);
  if (event.ephemeral) {
    throw new Problem("bad_body", `Event ${index}: publish an ephemeral event alone.`, { index });
  }
  try {
    return draftOfPublication(tenant, event);
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    throw new Problem(cause.code, `Event ${index}: ${cause.detail}`, { index, cause });
  }
}

function parsePublication(value: unknown, index?: number): Publication {
  const parsed = publication.safeParse(value);
  if (parsed.success) return parsed.data;
  const [where, of] = index === undefined ? ["the event", {}] : [`event ${index}`, { index }];
  throw new Problem("bad_body", `Cannot read ${where}: ${sentence(parsed.error)}.`, of);
}

/**
 * @throws {Problem} `bad_parameter`, `bad_content_type`, `event_too_large`, `rate_limited`,
 * `overloaded`
 */
function publishEphemeral(server: Server, draft: Draft, quota: Quota | undefined): Response {
  server.ephemeral.publish(draft.channelKey, ephemeralEventOf(draft, Date.now(), "bad_parameter"));
  const channel = JSON.stringify(channelOf(draft.channelKey));
  return answer(202, `{"channel":${channel},"ephemeral":true}`, quota);
}

function parseEphemeral(header: string | null): boolean {
  if (header === null || header === "1") return header === "1";
  throw new Problem("bad_parameter", `Cannot use ${quote(header)} as Weir-Ephemeral: it is 1.`);
}

/** The first thing that is wrong, without the value: that may be a payload. */
function sentence(error: z.ZodError): string {
  const [issue] = error.issues;
  const where = issue?.path.join(".") ?? "";
  return `${where === "" ? "" : `${where}: `}${issue?.message ?? "it has another form"}`;
}

function parseTtl(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  const detail = `Cannot use ${quote(header)} as Weir-TTL: it is a whole number of seconds.`;
  throw new Problem("bad_event_ttl", detail);
}

function acknowledgement(draft: Draft, { offset, id, duplicate }: AppendedEvent): string {
  const channel = JSON.stringify(channelOf(draft.channelKey));
  const end = duplicate ? `,"duplicate":true}` : "}";
  const idJson = draft.id === undefined ? `"${id}"` : JSON.stringify(id);
  return `{"channel":${channel},"offset":"${offset}","id":${idJson}${end}`;
}

const JSON_HEADERS = {
  "Cache-Control": "no-store",
  "Content-Type": "application/json",
  "X-Content-Type-Options": "nosniff",
};

function answer(status: 200 | 201 | 202, body: string, quota: Quota | undefined): Response {
  // Two more headers cost a twentieth of a publish: they come when it is time to look at them.
  const headers = quota === undefined || 2 * quota.remaining >= quota.limit
    ? JSON_HEADERS
    : { ...JSON_HEADERS, ...rateLimitHeaders(quota) };
  return new Response(body, { status, headers });
}
