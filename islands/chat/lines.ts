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
  /** RFC 3339, UTC: when it was written, if that was long before. */
  readonly writtenAt?: string;
  readonly isMine: boolean;
}

/** Consecutive events of the room's channel that are not messages. */
interface OtherLine {
  readonly kind: "other";
  /** The offset of the first event. */
  readonly offset: string;
  readonly time: string;
  readonly type: string;
  readonly count: number;
}

interface GapLine {
  readonly kind: "gap";
  /** The offset of the first event after the gap. */
  readonly offset: string;
  readonly text: string;
}

/** Identifies the visitor, to tell their own messages from those of others. */
export interface Author {
  /** Identifies this browser. The ids of its messages start with it. */
  readonly member: string;
  /** The subject of the sign-in token: then messages are recognized by name. */
  readonly subject?: string | undefined;
}

/** Lines that a room keeps at most. Guards against a page that is open for weeks. */
const MAX_LINES = 1_000;
const KEPT_LINES = 600;
/** A message that was written this long before it was stored shows both times. */
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
    case "restored":
      return "The room was restored from a backup.";
    case "ahead":
      return "The room was restored to an earlier state. Messages may be missing here.";
  }
}

/** Appends lines. Consecutive other events of one type become one line. */
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

/** Drops the oldest lines when there are too many. */
export function trimLines(lines: readonly RoomLine[]): readonly RoomLine[] {
  return lines.length > MAX_LINES ? lines.slice(-KEPT_LINES) : lines;
}

/** Counts the messages of others after `readTo`. */
export function countUnread(lines: readonly RoomLine[], readTo: string): number {
  let count = 0;
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i];
    if (line === undefined || line.offset <= readTo) break;
    if (isOthers(line)) count++;
  }
  return count;
}

/** Finds the first message of someone else after `readTo`. */
export function firstUnread(lines: readonly RoomLine[], readTo: string): RoomLine | undefined {
  return lines.find((line) => line.offset > readTo && isOthers(line));
}

function isOthers(line: RoomLine): boolean {
  return line.kind === "message" && !line.isMine;
}
