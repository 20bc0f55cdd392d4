import { VisitorStorage } from "../visitor_storage.ts";
import { type Message, parseMessage } from "./message.ts";
import type { UnsentStore } from "./outgoing.ts";

/** Rooms that are followed at once. Guards against a page that reads hundreds of rooms. */
export const MAX_ROOMS = 20;

const KEYS = {
  rooms: "rooms",
  read: "read:",
  draft: "draft:",
  unsent: "unsent:",
} as const;

/**
 * What the browser stores for one visitor of the chat.
 */
export class ChatStorage extends VisitorStorage {
  /** The rooms that the visitor follows, the current one last. */
  get rooms(): readonly string[] {
    return parseRooms(this.get(KEYS.rooms));
  }

  set rooms(rooms: readonly string[]) {
    this.set(KEYS.rooms, JSON.stringify(rooms.slice(-MAX_ROOMS)));
  }

  /** Returns the offset up to which the room was read. */
  readTo(room: string): string | undefined {
    return this.get(KEYS.read + room);
  }

  setReadTo(room: string, offset: string): void {
    this.set(KEYS.read + room, offset);
  }

  /** Returns what was typed in the room and not sent. */
  draft(room: string): string {
    return this.get(KEYS.draft + room) ?? "";
  }

  setDraft(room: string, text: string): void {
    this.set(KEYS.draft + room, text);
  }

  /** Returns the room's messages that are not acknowledged. Tabs share them. */
  unsent(room: string): UnsentStore {
    const key = KEYS.unsent + room;
    const all = () => parseUnsent(this.get(key));
    const set = (unsent: ReturnType<typeof all>) => this.set(key, JSON.stringify([...unsent]));
    return {
      all,
      keep: (id, message) => set(all().set(id, message)),
      forget: (id) => {
        const unsent = all();
        if (unsent.delete(id)) set(unsent);
      },
    };
  }

  /** Returns the room whose read offset has the key of a `storage` event. */
  roomOf(key: string | null): string | undefined {
    const prefix = this.keyOf(KEYS.read);
    return key?.startsWith(prefix) ? key.slice(prefix.length) : undefined;
  }
}

function parseUnsent(text: string | undefined): Map<string, Message> {
  const unsent = new Map<string, Message>();
  for (const entry of parseList(text)) {
    const [id, data] = Array.isArray(entry) ? entry : [];
    const message = parseMessage(data);
    if (typeof id === "string" && message !== undefined) unsent.set(id, message);
  }
  return unsent;
}

function parseRooms(text: string | undefined): readonly string[] {
  return parseList(text).filter((room) => typeof room === "string");
}

function parseList(text: string | undefined): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? list : [];
  } catch {
    return []; // not written by this page
  }
}
