/** Rooms are the channels whose names begin so. */
export const ROOM_PREFIX = "chat:";
/** Where who comes for the first time is. */
export const FIRST_ROOM = "lobby";

/** UTF-8 bytes: so that the system channel of the room's presence has a name too. */
const MAX_BYTES = 256 - "$presence:".length - ROOM_PREFIX.length;
// deno-lint-ignore no-control-regex -- which is what it is for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export function channelOf(room: string): string {
  return ROOM_PREFIX + room;
}

/** The room that somebody asks for, or a sentence about why there can't be one of that name. */
export function parseRoom(text: string): { readonly room: string } | { readonly fault: string } {
  const room = text.trim().replaceAll(/\s+/g, " ").replace(/^#/, "");
  if (room === "") return { fault: "Enter a room name." };
  if (CONTROL.test(room) || !room.isWellFormed()) {
    return { fault: "The name contains an invisible character." };
  }
  if (new TextEncoder().encode(room).length > MAX_BYTES) {
    return { fault: `The name is too long: at most ${MAX_BYTES} bytes.` };
  }
  return { room };
}

export function roomUrl(room: string): string {
  return `/chat?${new URLSearchParams({ room })}`;
}
