import type { Gap, WeirEvent } from "../../lib/client/api.ts";
import { MESSAGE_TYPE, parseMessage } from "./message.ts";

/** One line of a room, in the order of its log. */
export type RoomLine = MessageLine | OtherLine | GapLine;

export interface MessageLine {
  readonly kind: "message";
  readonly offset: string;
  readonly id: string;
  /** RFC 3339, UTC: when it was stored. */
  readonly time: string;
  readonly name: string;
  readonly text: string;
  /** RFC 3339, UTC: when it was written, where that was long before. */
  readonly writtenAt?: string;
  readonly isMine: boolean;
}

/** Events of the room's channel that are no messages, and follow each other. */
export interface OtherLine {
  readonly kind: "other";
  /** Of the first. */
  readonly offset: string;
  readonly time: string;
  readonly type: string;
  readonly count: number;
}

export interface GapLine {
  readonly kind: "gap";
  /** Of the first event behind it. */
  readonly offset: string;
  readonly text: string;
}

/** By whom a visitor's own messages are told from those of others. */
export interface Author {
  /** Of this browser. The ids of its messages begin with it. */
  readonly member: string;
  /** Who is signed in: then the name says it. */
  readonly subject?: string | undefined;
}

/** Lines that a room has without being looked back in. Met: a page that is open for weeks. */
const MAX_LINES = 1_000;
const KEPT_LINES = 600;
/** How long a message has to wait before that is said, in ms. */
const LATE_MS = 60_000;

export function eventLine(event: WeirEvent, author: Author): MessageLine | OtherLine {
  const { offset, id, time, type } = event;
  const message = type === MESSAGE_TYPE ? parseMessage(event.data) : undefined;
  if (message === undefined) return { kind: "other", offset, time, type, count: 1 };
  const { name, text, at } = message;
  const isMine = author.subject === undefined
    ? id.startsWith(`${author.member}-`)
    : name === author.subject;
  const isLate = at !== undefined && Date.parse(time) - Date.parse(at) > LATE_MS;
  return {
    kind: "message",
    ...{ offset, id, time, name, text, isMine },
    ...isLate && { writtenAt: at },
  };
}

export function gapLine({ firstAvailable, reason, lost }: Gap): GapLine {
  return { kind: "gap", offset: firstAvailable, text: gapText(reason, lost) };
}

function gapText(reason: Gap["reason"], lost: number | null): string {
  switch (reason) {
    case "expired":
      return lost === null
        ? "Some messages here are no longer stored."
        : lost === 1
        ? "One message here is no longer stored."
        : `${lost} messages here are no longer stored.`;
    case "recreated":
      return "The room was deleted and created again. Others can't see the messages above.";
    case "ahead":
      return "The room was restored to an earlier state. Messages may be missing here.";
  }
}

/** With what came after them. Other events that follow each other become one line. */
export function appendLines(
  lines: readonly RoomLine[],
  added: readonly RoomLine[],
): readonly RoomLine[] {
  const all = [...lines];
  for (const line of added) {
    const last = all.at(-1);
    if (line.kind === "other" && last?.kind === "other" && last.type === line.type) {
      all[all.length - 1] = { ...last, count: last.count + line.count };
    } else {
      all.push(line);
    }
  }
  return all;
}

/** Without the oldest, where there are many. */
export function trimLines(lines: readonly RoomLine[]): readonly RoomLine[] {
  return lines.length > MAX_LINES ? lines.slice(-KEPT_LINES) : lines;
}

/** Messages of others behind `readTo`. */
export function countUnread(lines: readonly RoomLine[], readTo: string): number {
  let count = 0;
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i];
    if (line === undefined || line.offset <= readTo) break;
    if (isOthers(line)) count++;
  }
  return count;
}

/** The first message of somebody else behind `readTo`. */
export function firstUnread(lines: readonly RoomLine[], readTo: string): RoomLine | undefined {
  return lines.find((line) => line.offset > readTo && isOthers(line));
}

function isOthers(line: RoomLine): boolean {
  return line.kind === "message" && !line.isMine;
}
