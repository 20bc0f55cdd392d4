import { requestJson } from "./http.ts";
import { type Group, openHttp } from "./http_transport.ts";
import type { Answer } from "./link.ts";
import { pause } from "./pause.ts";
import { badAnswer } from "./refusal.ts";
import type { Host, Transport } from "./transport.ts";

/** Between two short polls that found nothing, in ms. */
const SHORT_POLL_MS = 2_000;
/** Of the server, in seconds. */
const MAX_WAIT_SECONDS = 60;

/** Requests that wait for events. @see {@link import("./transport.ts").OpenTransport} */
export function openLongPoll(host: Host): Promise<Transport> {
  return openHttp(host, (group) => poll(group, true));
}

/** Requests again and again. @see {@link import("./transport.ts").OpenTransport} */
export function openShortPoll(host: Host): Promise<Transport> {
  return openHttp(host, (group) => poll(group, false));
}

async function poll(group: Group, isLong: boolean): Promise<void> {
  const { host, signal } = group;
  // The first answers at once, and shows that requests get through.
  for (let wait = 0; !signal.aborted;) {
    const limit = Math.max(2 * host.timing.heartbeat, 1_000 * (wait + 1));
    const path = group.path(wait > 0 ? `wait=${wait}` : "");
    const page = await requestJson(host, path, { signal, limit });
    if (signal.aborted) return;
    if (wait === 0 && typeof page["cursor"] !== "string") throw badAnswer("There is no page.");
    group.began();
    take(host, page, signal);
    const isMore = page["upToDate"] === false;
    const heartbeat = Math.round(host.timing.heartbeat / 1_000);
    wait = isLong && !isMore ? Math.min(Math.max(1, heartbeat), MAX_WAIT_SECONDS) : 0;
    if (!isLong && !isMore) await pause(host.platform, SHORT_POLL_MS, signal);
  }
}

function take({ channels }: Host, page: Answer, signal: AbortSignal): void {
  const { gap, events = [], ephemeral = [] } = page as {
    readonly gap?: Answer;
    readonly events?: readonly Answer[];
    readonly ephemeral?: readonly Answer[];
  };
  if (gap !== undefined) channels.gap(gap);
  for (const event of events) {
    if (signal.aborted) return;
    channels.event(event, JSON.stringify(event.data).length);
  }
  for (const event of ephemeral) channels.ephemeral(event);
}
