import type { RoomLine } from "./lines.ts";

/** A line with what its neighbors decide about how it is shown. */
export interface RoomRow {
  readonly line: RoomLine;
  /** Whether it starts a group of messages of one person. */
  readonly isFirst: boolean;
  /** Whether it is the first line of its day. */
  readonly isNewDay: boolean;
  /** Whether it is the first unread line. */
  readonly isNew: boolean;
}

/** Messages of one person form a group if they are closer than this. */
const GROUP_MS = 5 * 60_000;

/**
 * @param newLine the first unread line
 * @param dayOf returns the visitor's local day of an RFC 3339 time
 */
export function rowsOf(
  lines: readonly RoomLine[],
  newLine: RoomLine | undefined,
  dayOf: (time: string) => string,
): readonly RoomRow[] {
  let previous: RoomLine | undefined;
  let day: string | undefined;
  return lines.map((line) => {
    const lineDay = line.kind === "gap" ? day : dayOf(line.time);
    const isNewDay = lineDay !== day;
    const isNew = line === newLine;
    const isFirst = isNewDay || isNew || !isSameGroup(previous, line);
    previous = line;
    day = lineDay;
    return { line, isFirst, isNewDay, isNew };
  });
}

function isSameGroup(previous: RoomLine | undefined, line: RoomLine): boolean {
  return previous?.kind === "message" && line.kind === "message" &&
    previous.name === line.name && previous.isMine === line.isMine &&
    Date.parse(line.time) - Date.parse(previous.time) < GROUP_MS;
}
