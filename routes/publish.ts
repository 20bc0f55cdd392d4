import type { Context } from "hono";
import { z } from "zod";
import {
  decode,
  draftOfBody,
  draftOfPublication,
  MAX_EVENTS,
  parseJson,
  publication,
} from "../lib/log/draft.ts";
import type { Appended, Draft } from "../lib/log/log.ts";
import { rateLimitHeaders } from "./problem.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { channelOf, type Tenant } from "../lib/shared/channel.ts";
import { MAX_EVENT_BYTES } from "../lib/shared/event.ts";
import { Problem, type Quota, quote } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";
import { requireAnyRight, requireRight } from "./access.ts";
import { announcedLength, readBody } from "./body.ts";
import { parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** Of `POST /v1/events`. Met: one request that takes the whole queue of the store. */
const MAX_BATCH_BYTES = 8 * MAX_EVENT_BYTES;

const noQuery = z.object({});
const batch = z.strictObject({ events: z.array(z.unknown()).min(1) });

/** `POST /v1/channels/{channel}/events`: the body is the event. */
export async function publishBody(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const request = c.req.raw;
  const url = splitUrl(request.url);
  parseQuery(url.searchParams, noQuery);
  const { authority } = caller;
  const address = parsePathChannel(authority.tenant, url.path);
  requireRight(weir, caller, "publish", channelOf(address));
  const { headers } = request;
  const names = {
    id: headers.get("idempotency-key") ?? undefined,
    type: headers.get("weir-type") ?? undefined,
    key: headers.get("weir-key") ?? undefined,
    ttl: parseTtl(headers.get("weir-ttl")),
  };
  // Before the body, where its length was said: refusing costs little then.
  const { access, log } = weir;
  const length = announcedLength(request, MAX_EVENT_BYTES);
  const early = length === undefined ? undefined : access.limiter.publish(caller, 1, length);
  const body = await readBody(request, MAX_EVENT_BYTES);
  access.requireGood(authority); // the body may have taken its time
  const quota = length === undefined ? access.limiter.publish(caller, 1, body.length) : early;
  const draft = draftOfBody(address, headers.get("content-type") ?? undefined, body, names);
  const [appended] = await log.append([draft]);
  if (appended === undefined) throw new Error("one draft has one answer");
  return answer(appended.duplicate ? 200 : 201, acknowledgement(draft, appended), quota);
}

/** `POST /v1/events`: one event as JSON, or up to 100 over several channels, all or nothing. */
export async function publishJson(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const request = c.req.raw;
  parseQuery(splitUrl(request.url).searchParams, noQuery);
  requireAnyRight(weir, caller, "publish");
  const { access, log } = weir;
  const length = announcedLength(request, MAX_BATCH_BYTES);
  // Before the body, where its length was said: refusing costs little then.
  if (length !== undefined) access.limiter.publish(caller, 0, length);
  const value = parseJson(decode(await readBody(request, MAX_BATCH_BYTES)));
  access.requireGood(caller.authority); // the body may have taken its time
  const isBatch = typeof value === "object" && value !== null && Object.hasOwn(value, "events");
  const { authority } = caller;
  const drafts = isBatch
    ? parseBatch(authority.tenant, value)
    : [parsePublication(authority.tenant, value)];
  for (const { address } of drafts) {
    requireRight(weir, caller, "publish", channelOf(address));
  }
  const bytes = length === undefined ? drafts.reduce((sum, draft) => sum + draft.bytes, 0) : 0;
  const quota = access.limiter.publish(caller, drafts.length, bytes);
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
  if (events.length > MAX_EVENTS) {
    throw new Problem(
      "too_many_events",
      `Cannot publish ${events.length} events at once: ${MAX_EVENTS} at the most.`,
    );
  }
  return events.map((event, index) => parsePublication(tenant, event, index));
}

function parsePublication(tenant: Tenant, value: unknown, index?: number): Draft {
  const of = index === undefined ? {} : { index };
  const parsed = publication.safeParse(value);
  if (!parsed.success) {
    const where = index === undefined ? "the event" : `event ${index}`;
    throw new Problem("bad_body", `Cannot read ${where}: ${sentence(parsed.error)}.`, of);
  }
  try {
    return draftOfPublication(tenant, parsed.data);
  } catch (cause) {
    if (!(cause instanceof Problem) || index === undefined) throw cause;
    throw new Problem(cause.code, `Event ${index}: ${cause.detail}`, { ...of, cause });
  }
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

function acknowledgement(draft: Draft, { offset, id, duplicate }: Appended): string {
  const channel = JSON.stringify(channelOf(draft.address));
  const end = duplicate ? `,"duplicate":true}` : "}";
  const idJson = draft.id === undefined ? `"${id}"` : JSON.stringify(id);
  return `{"channel":${channel},"offset":"${offset}","id":${idJson}${end}`;
}

const JSON_HEADERS = {
  "Cache-Control": "no-store",
  "Content-Type": "application/json",
  "X-Content-Type-Options": "nosniff",
};

function answer(status: 200 | 201, body: string, quota: Quota | undefined): Response {
  // Two more headers cost a twentieth of a publish: they come when it is time to look at them.
  const headers = quota === undefined || 2 * quota.remaining >= quota.limit
    ? JSON_HEADERS
    : { ...JSON_HEADERS, ...rateLimitHeaders(quota) };
  return new Response(body, { status, headers });
}
