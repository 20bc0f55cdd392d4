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

/**
 * Bytes of the name of a room in which peers connect. Leaves space for the name of an inbox:
 * `$signals:`, the channel, the member and the session.
 */
const MAX_PEER_ROOM_BYTES = 100;
/** Hexadecimal digits at the end of a new room's name: 48 random bits, which nobody guesses. */
const RANDOM_DIGITS = 12;

/** Parses the name of a room in which peers connect, or a link to it on the page at `path`. */
export function parsePeerRoom(text: string, path: string): ParsedRoom {
  return parseRoomName(roomInLink(text.trim(), path) ?? text, MAX_PEER_ROOM_BYTES);
}

/** Returns the URL of a room on the page at `path`. */
export function roomUrl(path: string, room: string): string {
  return `${path}?${new URLSearchParams({ room })}`;
}

/**
 * Makes up a name that nobody guesses.
 *
 * @param words that people can say, such as `Brisk Otter`
 * @param id 128 random bits in hexadecimal
 */
export function newRoomName(words: string, id: string): string {
  return `${words.toLowerCase().replaceAll(" ", "-")}-${id.slice(0, RANDOM_DIGITS)}`;
}

/** Returns the room that a link such as `https://…/drop?room=…` leads to. */
function roomInLink(text: string, path: string): string | undefined {
  if (!/^https?:\/\//.test(text)) return undefined;
  const url = URL.parse(text);
  return url?.pathname === path ? url.searchParams.get("room") ?? undefined : undefined;
}
