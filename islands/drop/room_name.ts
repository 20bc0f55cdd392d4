import { type ParsedRoom, parsePeerRoom } from "../room_name.ts";

/** Rooms are the channels whose names start with this. */
const ROOM_PREFIX = "drop:";
/** The room that new visitors see. */
export const FIRST_ROOM = "lobby";
export const PATH = "/drop";

export function channelOf(room: string): string {
  return ROOM_PREFIX + room;
}

/** Parses the name of a room, or a link to it. */
export function parseRoom(text: string): ParsedRoom {
  return parsePeerRoom(text, PATH);
}
