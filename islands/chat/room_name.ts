/** Rooms are the channels whose names start with this. */
export const ROOM_PREFIX = "chat:";
/** The room that new visitors see. */
export const FIRST_ROOM = "lobby";

/** UTF-8 bytes. Leaves space for the name of the room's presence channel. */
const MAX_BYTES = 256 - "$presence:".length - ROOM_PREFIX.length;
// deno-lint-ignore no-control-regex -- matches control characters on purpose
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export function channelOf(room: string): string {
  return ROOM_PREFIX + room;
}

/** Parses the name of a room. Returns a sentence if there cannot be a room with that name. */
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
