import { type ParsedRoom, parseRoomName, roomUrl as urlOfRoom } from "../room_name.ts";

/** Rooms are the channels whose names start with this. */
export const ROOM_PREFIX = "chat:";
/** The room that new visitors see. */
export const FIRST_ROOM = "lobby";

/** UTF-8 bytes. Leaves space for the name of the room's presence channel. */
const MAX_BYTES = 256 - "$presence:".length - ROOM_PREFIX.length;

export function channelOf(room: string): string {
  return ROOM_PREFIX + room;
}

/** Parses the name of a room. */
export function parseRoom(text: string): ParsedRoom {
  return parseRoomName(text, MAX_BYTES);
}

export function roomUrl(room: string): string {
  return urlOfRoom("/chat", room);
}
