import { ROOM_PREFIX } from "./room_name.ts";

/** Rooms in the list at most, so that the list stays readable. */
const MAX_LISTED = 100;

/** The rooms that the visitor may see, or why they are unknown. */
export type Directory =
  | { readonly rooms: readonly string[]; readonly isWhole: boolean }
  | { readonly problem: string };

type Fetch = (path: string) => Promise<Response>;

/** Reads the names of the rooms in the server's order. */
export async function readDirectory(fetch: Fetch): Promise<Directory> {
  // The prefix itself is not a room. All names that start with it sort after it.
  const query = new URLSearchParams({ after: ROOM_PREFIX, limit: String(MAX_LISTED) });
  try {
    const response = await fetch(`/v1/channels?${query}`);
    const body = await response.json();
    if (!response.ok) return { problem: String(body.detail) };
    return directoryOf(body);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { problem: `Can't reach the server: ${reason}.` };
  }
}

interface ChannelList {
  readonly channels: readonly { readonly channel: string }[];
  readonly next: string | null;
}

export function directoryOf({ channels, next }: ChannelList): Directory {
  const names = channels.map(({ channel }) => channel);
  const rooms = names.filter((name) => name.startsWith(ROOM_PREFIX));
  return {
    rooms: rooms.map((name) => name.slice(ROOM_PREFIX.length)),
    isWhole: next === null || rooms.length < names.length,
  };
}
