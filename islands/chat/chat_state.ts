import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Weir } from "../../lib/client/api.ts";
import { randomId } from "../../lib/shared/random_id.ts";
import { may, type Rights } from "../rights.ts";
import { type Directory, readDirectory } from "./directory.ts";
import type { ServerActivity } from "./server_activity.ts";
import type { Author } from "./lines.ts";
import type { ChatStorage } from "./chat_storage.ts";
import { friendlyName } from "../person_name.ts";
import { TYPING_TYPE } from "./message.ts";
import { People } from "./people.ts";
import { Room } from "./room.ts";
import { channelOf, FIRST_ROOM } from "./room_name.ts";
import { TypingSender } from "./typing.ts";

interface ChatOptions {
  readonly weir: Weir;
  readonly activity: ServerActivity;
  readonly storage: ChatStorage;
  readonly rights: Rights;
  /** The subject of the sign-in token, if any. */
  readonly subject?: string | undefined;
  readonly room: string;
}

/** The chat of one visitor: the rooms that they follow and the one that the page shows. */
export class ChatState implements Disposable {
  readonly weir: Weir;
  readonly activity: ServerActivity;
  readonly author: Author;
  readonly name;
  readonly isNameChosen;
  /** Sorted by name. */
  readonly rooms = signal<readonly Room[]>([]);
  readonly current;
  readonly people = signal<People | undefined>(undefined);
  readonly directory = signal<Directory>({ rooms: [], isWhole: true });
  /** Unread messages of others in all rooms. */
  readonly unread: ReadonlySignal<number>;
  readonly #storage: ChatStorage;
  readonly #rights: Rights;
  #typing: TypingSender;
  #isVisible = true;
  /** False until the page has scrolled. */
  #isAtEnd = false;

  constructor({ weir, activity, storage, rights, subject, room }: ChatOptions) {
    this.weir = weir;
    this.activity = activity;
    this.#storage = storage;
    this.#rights = rights;
    this.author = { member: storage.member(randomId), subject };
    this.name = signal(subject ?? storage.name ?? friendlyName(Math.random));
    this.isNameChosen = signal(subject !== undefined || storage.name !== undefined);
    this.#typing = this.#makeTypingSender(room);
    this.current = signal(this.#openRoom(room));
    for (const visited of storage.rooms) {
      if (visited !== room && this.may("subscribe", visited)) this.#openRoom(visited);
    }
    this.#saveRooms();
    this.#enter();
    this.unread = computed(() =>
      this.rooms.value.reduce((sum, { unread }) => sum + unread.value, 0)
    );
  }

  get mayRename(): boolean {
    return this.author.subject === undefined;
  }

  may(right: "publish" | "subscribe" | "presence", room: string): boolean {
    return may(this.#rights, right, channelOf(room));
  }

  /** Whether closing the page now would lose a message. */
  get hasWaiting(): boolean {
    return !this.#storage.isPersistent &&
      this.rooms.value.some(({ outgoing }) =>
        outgoing.messages.value.some(({ status }) => status === "waiting")
      );
  }

  /** Shows the room and follows it. */
  go(name: string): void {
    const left = this.current.value;
    if (left.name === name) return;
    batch(() => {
      left.setView({ isSeen: false, isAtEnd: true });
      left.clearNewMark();
      this.current.value = this.rooms.value.find((room) => room.name === name) ??
        this.#openRoom(name);
      this.#typing = this.#makeTypingSender(name);
      this.#isAtEnd = false;
      this.#saveRooms();
      this.#enter();
    });
  }

  /** Stops following the current room. Returns the name of the room shown instead. */
  leave(): string {
    const left = this.current.value;
    const next = this.rooms.value.find((room) => room !== left)?.name ?? FIRST_ROOM;
    if (next === left.name) return next;
    this.go(next);
    this.rooms.value = this.rooms.value.filter((room) => room !== left);
    left[Symbol.dispose]();
    this.#saveRooms();
    return next;
  }

  send(text: string): void {
    const { outgoing } = this.current.value;
    const id = `${this.author.member}-${randomId()}`;
    const at = new Date().toISOString();
    this.current.value.clearNewMark();
    this.#typing.reset();
    outgoing.send(id, { name: this.name.value, text, at });
  }

  rename(name: string): void {
    if (this.#storage.name !== name) this.#storage.name = name;
    batch(() => {
      this.isNameChosen.value = true;
      if (name === this.name.value) return;
      this.name.value = name;
      void this.people.value?.enter(name);
    });
  }

  /** Tells others in the room that the visitor is typing. */
  onTyped(): void {
    if (this.weir.state.value.status === "open") this.#typing.typed(performance.now());
  }

  /** Sets whether the page is visible and whether it is scrolled to the last line. */
  setView({ isVisible = this.#isVisible, isAtEnd = this.#isAtEnd }): void {
    this.#isVisible = isVisible;
    this.#isAtEnd = isAtEnd;
    this.current.value.setView({ isSeen: isVisible, isAtEnd });
  }

  /** Applies what another tab has written to the browser's storage under this key. */
  onStorage(key: string | null): void {
    if (this.#storage.isName(key)) return this.rename(this.#storage.name ?? this.name.value);
    const name = this.#storage.roomOf(key);
    const offset = name === undefined ? undefined : this.#storage.readTo(name);
    if (offset === undefined) return;
    this.rooms.value.find((room) => room.name === name)?.readElsewhere(offset);
  }

  async refreshDirectory(): Promise<void> {
    this.directory.value = await readDirectory(this.activity.fetch);
  }

  [Symbol.dispose](): void {
    this.people.value?.[Symbol.dispose]();
    for (const room of this.rooms.value) room[Symbol.dispose]();
    void this.weir.close();
  }

  #openRoom(name: string): Room {
    const room = new Room(name, { weir: this.weir, storage: this.#storage, author: this.author });
    this.rooms.value = [...this.rooms.value, room]
      .sort((a, b) => a.name < b.name ? -1 : 1);
    if (this.may("subscribe", name)) void room.open();
    else room.problem.value = "You don't have permission to read this room.";
    return room;
  }

  /** Saves the rooms with the current one last, and closes those that no longer fit. */
  #saveRooms(): void {
    const { name } = this.current.value;
    const known = new Set(this.rooms.value.map((room) => room.name));
    const before = this.#storage.rooms.filter((room) => room !== name && known.has(room));
    this.#storage.rooms = [...before, name];
    const followed = new Set(this.#storage.rooms);
    for (const room of this.rooms.value) {
      if (!followed.has(room.name)) room[Symbol.dispose]();
    }
    this.rooms.value = this.rooms.value.filter((room) => followed.has(room.name));
  }

  #enter(): void {
    this.people.value?.[Symbol.dispose]();
    const { name } = this.current.value;
    if (!this.may("presence", name)) return void (this.people.value = undefined);
    this.people.value = new People(this.weir, name, this.author);
    void this.people.value.enter(this.name.value);
  }

  #makeTypingSender(room: string): TypingSender {
    return new TypingSender(() => {
      if (!this.may("publish", room)) return;
      const event = { member: this.author.member, name: this.name.value };
      const options = { type: TYPING_TYPE, ephemeral: true };
      // A lost typing event has no consequences.
      this.weir.publish(channelOf(room), event, options).catch(() => {});
    });
  }
}
