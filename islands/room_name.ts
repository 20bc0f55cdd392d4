/** Names of rooms. A room is what pages call a channel with their prefix. */

// deno-lint-ignore no-control-regex -- matches control characters on purpose
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** The name of a room, or a sentence that says why no room can have that name. */
export type ParsedRoom = { readonly room: string } | { readonly fault: string };

/** Parses the name of a room, of at most `maxBytes` of UTF-8. */
export function parseRoomName(text: string, maxBytes: number): ParsedRoom {
  const room = text.trim().replaceAll(/\s+/g, " ").replace(/^#/, "");
  if (room === "") return { fault: "Enter a room name." };
  if (CONTROL.test(room) || !room.isWellFormed()) {
    return { fault: "The name contains an invisible character." };
  }
  if (new TextEncoder().encode(room).length > maxBytes) {
    return { fault: `The name is too long: at most ${maxBytes} bytes.` };
  }
  return { room };
}
