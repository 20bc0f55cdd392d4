import type { Gap, WireEvent } from "../lib/shared/event.ts";
import { parseOffset } from "../lib/shared/offset.ts";

/** Newest first, and no more than these stay on the page. Met: a page open for days. */
export const MAX_ITEMS = 200;
/** Characters of one event's data that are shown. Met: a page of events of 1 MiB. */
const MAX_TEXT = 2_000;

export type Connection = "connecting" | "open" | "reconnecting" | "ended";

/** One line of the list: an event, or something that the stream says about itself. */
export type Item = EventItem | NoticeItem;

export interface EventItem {
  readonly kind: "event";
  readonly offset: string;
  readonly type: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly text: string;
}

export interface NoticeItem {
  readonly kind: "gap" | "goodbye" | "unheard" | "expiring";
  /** Tells notices apart; events have their offset. */
  readonly id: string;
  readonly text: string;
}

/** What a page knows of one channel. */
export interface Feed {
  readonly connection: Connection;
  /** Why nothing more will come, once that is so. */
  readonly ended?: string;
  readonly cursor: string;
  /** Newest first. */
  readonly items: readonly Item[];
  /** Events since the page was opened, also those that have left the list. */
  readonly received: number;
  readonly notices: number;
}

export function startFeed(cursor: string, items: readonly Item[]): Feed {
  return { connection: "connecting", cursor, items, received: 0, notices: 0 };
}

export function withConnection(feed: Feed, connection: Connection): Feed {
  return feed.connection === connection ? feed : { ...feed, connection };
}

/**
 * The feed after one more event. Sequences are dense, so a hole in them is events of types that
 * nobody here listens to: native `EventSource` drops those, and the page says so.
 */
export function withEvent(feed: Feed, event: WireEvent, cursor: string): Feed {
  const unheard = unheardBetween(feed.cursor, cursor);
  const before = unheard === 0 ? feed : withNotice(
    feed,
    "unheard",
    `${
      unheard === 1 ? "1 event" : `${unheard} events`
    } of other types passed. EventSource hears only types that it listens to: name them in “Types”.`,
    cursor,
  );
  const items = [eventItem(event), ...before.items].slice(0, MAX_ITEMS);
  return { ...before, cursor, items, received: before.received + 1 };
}

/** The feed after a gap notice, whose cursor is where reading goes on. */
export function withGap(feed: Feed, gap: Gap, cursor: string): Feed {
  return withNotice(feed, "gap", gapText(gap), cursor);
}

export function withGoodbye(feed: Feed, reason: string): Feed {
  return withNotice(
    feed,
    "goodbye",
    `The server said goodbye (${reason}); the browser reconnects by itself.`,
    feed.cursor,
  );
}

/** The feed after the notice that the credential ends in `expiresIn` ms. */
export function withExpiry(feed: Feed, expiresIn: number): Feed {
  const seconds = Math.max(1, Math.round(expiresIn / 1_000));
  const time = seconds === 1 ? "1 second" : `${seconds} seconds`;
  const text = `The session ends in ${time}. Sign in anew to go on after that.`;
  return withNotice(feed, "expiring", text, feed.cursor);
}

/** The feed after its end: the server will not let it go on. */
export function withEnd(feed: Feed, ended: string): Feed {
  return { ...feed, connection: "ended", ended };
}

export function eventItem(event: WireEvent): EventItem {
  const { offset, type, time, data } = event;
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return { kind: "event", offset, type, time, text: cut(text) };
}

export function gapItem(gap: Gap): NoticeItem {
  return { kind: "gap", id: `gap ${gap.firstAvailable}`, text: gapText(gap) };
}

function withNotice(feed: Feed, kind: NoticeItem["kind"], text: string, cursor: string): Feed {
  const notices = feed.notices + 1;
  const item: NoticeItem = { kind, id: `notice ${notices}`, text };
  return { ...feed, cursor, notices, items: [item, ...feed.items].slice(0, MAX_ITEMS) };
}

function gapText({ reason, lost }: Gap): string {
  const events = lost === null
    ? "an unknown number of events is"
    : lost === 1
    ? "1 event is"
    : `${lost} events are`;
  switch (reason) {
    case "expired":
      return `Gap: ${events} missing, because the channel no longer keeps them.`;
    case "recreated":
      return `Gap: ${events} missing, because the channel was deleted and made again.`;
    case "ahead":
      return `Gap: ${events} missing, because the cursor was ahead of the channel.`;
  }
}

function unheardBetween(before: string, now: string): number {
  const from = parseOffset(before);
  const to = parseOffset(now);
  return from.epoch === to.epoch ? Math.max(0, to.sequence - from.sequence - 1) : 0;
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
