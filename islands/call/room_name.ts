import { type ParsedRoom, parsePeerRoom } from "../room_name.ts";

/** Rooms are the channels whose names start with this. */
const ROOM_PREFIX = "call:";
export const PATH = "/call";

export function channelOf(room: string): string {
  return ROOM_PREFIX + room;
}

/** Parses the name of a room, or a link to it. */
export function parseRoom(text: string): ParsedRoom {
  return parsePeerRoom(text, PATH);
}
