import type { Transport, TransportHost } from "../connection/transport.ts";
import { pause } from "../../shared/async/delay.ts";
import { badAnswerError } from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { ChannelGroup } from "./channel_group.ts";
import { requestJson } from "./http.ts";
import { openHttp } from "./http_transport.ts";

/** Pause between two short polls that found nothing. */
const POLL_INTERVAL_MS = 2_000;
/** The server's limit for `wait`. */
const MAX_WAIT_SECONDS = 60;

/**
 * Reads by requests that wait for events.
 *
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export function openLongPoll(host: TransportHost): Promise<Transport> {
  return openHttp(host, (group) => poll(group, true), shortPoll);
}

/**
 * Reads by repeated requests.
 *
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export function openShortPoll(host: TransportHost): Promise<Transport> {
  return openHttp(host, shortPoll, shortPoll);
}

/** Reads a group by requests that are answered immediately. */
export function shortPoll(group: ChannelGroup): Promise<void> {
  return poll(group, false);
}

async function poll(group: ChannelGroup, isLong: boolean): Promise<void> {
  const { host, signal } = group;
  const { platform, timing } = host;
  // The first request does not wait: it shows that requests get through.
  for (let waitSeconds = 0; !signal.aborted;) {
    const timeoutMs = Math.max(2 * timing.heartbeatMs, 1_000 * (waitSeconds + 1));
    const path = group.path(waitSeconds > 0 ? `wait=${waitSeconds}` : "");
    if (path === undefined) return;
    const requestedAt = platform.now();
    const page = await requestJson(host, path, { signal, timeoutMs });
    if (signal.aborted) return;
    if (waitSeconds === 0 && typeof page["cursor"] !== "string") {
      throw badAnswerError("The answer has no cursor.");
    }
    group.started();
    const hasEvents = deliver(host, page, signal);
    const hasMore = page["upToDate"] === false;
    // A proxy may answer in the server's place instead of waiting.
    const isEarly = !hasEvents && platform.now() - requestedAt < 500 * waitSeconds;
    const heartbeatSeconds = Math.round(timing.heartbeatMs / 1_000);
    waitSeconds = isLong && !hasMore
      ? Math.min(Math.max(1, heartbeatSeconds), MAX_WAIT_SECONDS)
      : 0;
    if (isEarly || (!isLong && !hasMore)) {
      await pause(POLL_INTERVAL_MS, { signal, timers: platform });
    }
  }
}

/** Delivers what a page has. Returns whether it has anything. */
function deliver({ channels }: TransportHost, page: JsonObject, signal: AbortSignal): boolean {
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
