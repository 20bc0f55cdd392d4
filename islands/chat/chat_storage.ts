import type { WebStorage } from "../../lib/client/reading/web_storage.ts";
import { type Message, parseMessage } from "./message.ts";
import type { UnsentStore } from "./outgoing.ts";

/** Rooms that are followed at once. Guards against a page that reads hundreds of rooms. */
export const MAX_ROOMS = 20;

const KEYS = {
  name: "name",
  member: "member",
  rooms: "rooms",
  read: "read:",
  draft: "draft:",
  unsent: "unsent:",
} as const;
const PREFIX = "weir-chat:";

/**
 * What the browser stores for one visitor. If storage is denied or full, it lasts as long as the
 * page.
 */
export class ChatStorage {
  readonly #prefix: string;
  readonly #open: () => WebStorage;
  readonly #fallback = new Map<string, string>();

  /**
   * @param subject of the sign-in token. Each subject has its own data in a browser.
   * @param open returns the storage or throws, as `() => localStorage` does
   */
  constructor(subject: string | undefined, open: () => WebStorage) {
    this.#prefix = subject === undefined ? PREFIX : `${PREFIX}${JSON.stringify(subject)}:`;
    this.#open = open;
  }

  get name(): string | undefined {
    return this.#get(KEYS.name);
  }

  set name(name: string) {
    this.#set(KEYS.name, name);
  }

  /** Returns the id of this browser as a member. `make` creates it the first time. */
  member(make: () => string): string {
    const known = this.#get(KEYS.member);
    if (known !== undefined && /^[0-9a-z]{1,32}$/.test(known)) return known;
    const made = make();
    this.#set(KEYS.member, made);
    return made;
  }

  /** The rooms that the visitor follows, the current one last. */
  get rooms(): readonly string[] {
    return parseRooms(this.#get(KEYS.rooms));
  }

  set rooms(rooms: readonly string[]) {
    this.#set(KEYS.rooms, JSON.stringify(rooms.slice(-MAX_ROOMS)));
  }

  /** Returns the offset up to which the room was read. */
  readTo(room: string): string | undefined {
    return this.#get(KEYS.read + room);
  }

  setReadTo(room: string, offset: string): void {
    this.#set(KEYS.read + room, offset);
  }

  /** Returns what was typed in the room and not sent. */
  draft(room: string): string {
    return this.#get(KEYS.draft + room) ?? "";
  }

  setDraft(room: string, text: string): void {
    this.#set(KEYS.draft + room, text);
  }

  /** Returns the room's messages that are not acknowledged. Tabs share them. */
  unsent(room: string): UnsentStore {
    const key = KEYS.unsent + room;
    const all = () => parseUnsent(this.#get(key));
    const set = (unsent: ReturnType<typeof all>) => this.#set(key, JSON.stringify([...unsent]));
    return {
      all,
      keep: (id, message) => set(all().set(id, message)),
      forget: (id) => {
        const unsent = all();
        if (unsent.delete(id)) set(unsent);
      },
    };
  }

  /** Whether everything is still there when the page is opened again. */
  get isPersistent(): boolean {
    return this.#fallback.size === 0;
  }

  /** Tells whether the key of a `storage` event is that of the name. */
  isName(key: string | null): boolean {
    return key === this.#prefix + KEYS.name;
  }

  /** Returns the room whose read offset has the key of a `storage` event. */
  roomOf(key: string | null): string | undefined {
    const prefix = this.#prefix + KEYS.read;
    return key?.startsWith(prefix) ? key.slice(prefix.length) : undefined;
  }

  #get(key: string): string | undefined {
    const value = this.#fallback.get(key);
    if (value !== undefined) return value;
    try {
      return this.#open().getItem(this.#prefix + key) ?? undefined;
    } catch {
      return undefined; // storage is denied
    }
  }

  #set(key: string, value: string): void {
    try {
      this.#open().setItem(this.#prefix + key, value);
      this.#fallback.delete(key);
    } catch {
      this.#fallback.set(key, value);
    }
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
