import { requestJson } from "./http.ts";
import { type Group, openHttp } from "./http_transport.ts";
import type { JsonObject } from "../core/json_object.ts";
import { delay } from "../core/delay.ts";
import { badAnswerError } from "../core/errors.ts";
import type { Transport, TransportHost } from "../connection/transport.ts";

/** Between two polls that found nothing, unless they have waited for it, in ms. */
const PAUSE_MS = 2_000;
/** Of the server, in seconds. */
const MAX_WAIT_SECONDS = 60;

/** Requests that wait for events. @see {@link import("../connection/transport.ts").OpenTransport} */
export function openLongPoll(host: TransportHost): Promise<Transport> {
  return openHttp(host, (group) => poll(group, true), shortPoll);
}

/** Requests again and again. @see {@link import("../connection/transport.ts").OpenTransport} */
export function openShortPoll(host: TransportHost): Promise<Transport> {
  return openHttp(host, shortPoll, shortPoll);
}

/** @see {@link import("./http_transport.ts").ReadGroup} */
export function shortPoll(group: Group): Promise<void> {
  return poll(group, false);
}

async function poll(group: Group, isLong: boolean): Promise<void> {
  const { host, signal } = group;
  // The first answers at once, and shows that requests get through.
  for (let wait = 0; !signal.aborted;) {
    const limit = Math.max(2 * host.timing.heartbeatMs, 1_000 * (wait + 1));
    const path = group.path(wait > 0 ? `wait=${wait}` : "");
    if (path === undefined) return;
    const askedAt = host.platform.now();
    const page = await requestJson(host, path, { signal, timeoutMs: limit });
    if (signal.aborted) return;
    if (wait === 0 && typeof page["cursor"] !== "string") throw badAnswerError("There is no page.");
    group.began();
    const hasNews = take(host, page, signal);
    const isMore = page["upToDate"] === false;
    // Something on the way answers in the server's place.
    const isEarly = !hasNews && host.platform.now() - askedAt < 500 * wait;
    const heartbeat = Math.round(host.timing.heartbeatMs / 1_000);
    wait = isLong && !isMore ? Math.min(Math.max(1, heartbeat), MAX_WAIT_SECONDS) : 0;
    if (isEarly || (!isLong && !isMore)) await delay(host.platform, PAUSE_MS, signal);
  }
}

/** Whether there was something. */
function take({ channels }: TransportHost, page: JsonObject, signal: AbortSignal): boolean {
  const { gap, events = [], ephemeral = [] } = page as {
    readonly gap?: JsonObject;
    readonly events?: readonly JsonObject[];
    readonly ephemeral?: readonly JsonObject[];
  };
  if (gap !== undefined) channels.gap(gap);
  for (const event of events) {
    if (signal.aborted) return true;
    channels.event(event, JSON.stringify(event.data).length);
  }
  for (const event of ephemeral) channels.ephemeral(event);
  return gap !== undefined || events.length + ephemeral.length > 0;
}
