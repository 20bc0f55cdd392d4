import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { EphemeralEvent, History, Listening, Weir, WeirEvent } from "../../lib/client/api.ts";
import { sequenceOf } from "../../lib/shared/offset.ts";
import {
  appendLines,
  type Author,
  countUnread,
  eventLine,
  gapLine,
  type MessageLine,
  type RoomLine,
  trimLines,
} from "./lines.ts";
import type { ChatStorage } from "./chat_storage.ts";
import { nameIn } from "../person_name.ts";
import { TYPING_TYPE } from "./message.ts";
import { Outgoing } from "./outgoing.ts";
import { reasonOf } from "../reason.ts";
import { retryTemporaryErrors } from "./retry.ts";
import { channelOf } from "./room_name.ts";
import { Typists } from "./typing.ts";

/** Events per page of history. */
const PAGE_EVENTS = 50;
/** Events that arrive within this time are shown together. */
const BATCH_DELAY_MS = 16;
/** Messages kept for screen readers, which may still be reading them. */
const MAX_ANNOUNCED = 5;

/** Whether there are messages before the first line. */
export type EarlierState =
  | { readonly status: "loading" | "more" }
  /** The first line is the room's first message, or the first that is still stored. */
  | { readonly status: "begins" | "forgotten" }
  | { readonly status: "failed"; readonly reason: string };

interface RoomContext {
  readonly weir: Weir;
  readonly storage: ChatStorage;
  readonly author: Author;
}

/** How the page shows the room. */
interface RoomView {
  /** Whether it is the current room and the page is visible. */
  readonly isSeen: boolean;
  readonly isAtEnd: boolean;
}

/** One room: its messages, those being sent, who is typing, and how far it was read. */
export class Room implements Disposable {
  readonly lines = signal<readonly RoomLine[]>([]);
  readonly earlier = signal<EarlierState>({ status: "loading" });
  /** Why reading has ended. */
  readonly problem = signal<string | undefined>(undefined);
  /** The mark "New" stands after this offset. */
  readonly newAfter = signal<string | undefined>(undefined);
  /** Messages of others that arrived while the room was visible. */
  readonly announced = signal<readonly MessageLine[]>([]);
  readonly unread: ReadonlySignal<number>;
  readonly outgoing: Outgoing;
  readonly typists = new Typists();
  readonly #readTo;
  readonly #context: RoomContext;
  readonly #closing = new AbortController();
  #listening: Listening | undefined;
  /** Where the next earlier page of history ends. */
  #before: string | undefined;
  #last = "";
  #view: RoomView = { isSeen: false, isAtEnd: true };
  #incoming: RoomLine[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly name: string, context: RoomContext) {
    this.#context = context;
    this.outgoing = new Outgoing(context.weir, channelOf(name), context.storage.unsent(name));
    this.#readTo = signal(context.storage.readTo(name) ?? "");
    this.unread = computed(() => countUnread(this.lines.value, this.#readTo.value));
  }

  /** The text that was typed and not sent. */
  get draft(): string {
    return this.#context.storage.draft(this.name);
  }

  set draft(text: string) {
    this.#context.storage.setDraft(this.name, text);
  }

  /** Reads the newest page of history and then follows the room. */
  async open(): Promise<void> {
    try {
      const history = await this.#history(undefined);
      const isFirstVisit = this.#readTo.peek() === "";
      this.#last = history.cursor;
      batch(() => {
        if (isFirstVisit) this.#read(history.cursor);
        this.#prepend(history);
        if (this.unread.value > 0) this.newAfter.value = this.#readTo.value;
        this.#readWhatIsSeen();
      });
      this.#listen(history.cursor);
    } catch (cause) {
      if (!this.#closing.signal.aborted) this.problem.value = reasonOf(cause);
    }
  }

  /** Reads the page before the first line, unless that is already under way. */
  async loadEarlier(): Promise<void> {
    const { status } = this.earlier.value;
    if (this.#before === undefined || (status !== "more" && status !== "failed")) return;
    this.earlier.value = { status: "loading" };
    try {
      const history = await this.#history(this.#before);
      batch(() => this.#prepend(history));
    } catch (cause) {
      if (this.#closing.signal.aborted) return;
      this.earlier.value = { status: "failed", reason: reasonOf(cause) };
    }
  }

  /** Sets how the page shows the room. What is visible counts as read. */
  setView(view: RoomView): void {
    this.#view = view;
    batch(() => this.#readWhatIsSeen());
  }

  /** Removes the mark "New". */
  clearNewMark(): void {
    this.newAfter.value = undefined;
  }

  /** Applies how far another tab of the visitor has read. */
  readElsewhere(offset: string): void {
    if (offset > this.#readTo.value) this.#readTo.value = offset;
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#listening?.close();
    this.typists[Symbol.dispose]();
  }

  async #history(before: string | undefined): Promise<History<unknown>> {
    const { weir } = this.#context;
    const { signal } = this.#closing;
    const options = { before, limit: PAGE_EVENTS, signal };
    return await retryTemporaryErrors(
      weir,
      () => weir.history(channelOf(this.name), options),
      signal,
    );
  }

  #prepend({ events, isComplete, before, cursor }: History<unknown>): void {
    const { author } = this.#context;
    const earlier = appendLines([], events.map((event) => eventLine(event, author)));
    for (const { id } of events) this.outgoing.arrived(id);
    this.lines.value = [...earlier, ...this.lines.value];
    this.#before = before;
    const first = this.lines.value[0]?.offset;
    const isWhole = first === undefined ? sequenceOf(cursor) === 0 : sequenceOf(first) <= 1;
    this.earlier.value = { status: !isComplete ? "more" : isWhole ? "begins" : "forgotten" };
  }

  #listen(cursor: string): void {
    const { weir, author } = this.#context;
    this.#listening = weir.listen(channelOf(this.name), {
      after: cursor,
      signal: this.#closing.signal,
      onEvent: (event) => this.#onEvent(event, author),
      onGap: (gap) => this.#addSoon(gapLine(gap)),
      onEphemeral: (event) => this.#onEphemeral(event, author),
      onError: ({ detail }) => this.problem.value = detail,
    });
  }

  #onEvent(event: WeirEvent, author: Author): void {
    this.#last = event.offset;
    this.#addSoon(eventLine(event, author));
  }

  #addSoon(line: RoomLine): void {
    this.#incoming.push(line);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      batch(() => this.#add(this.#incoming.splice(0)));
    }, BATCH_DELAY_MS);
  }

  #add(added: readonly RoomLine[]): void {
    const messages = added.filter((line) => line.kind === "message");
    const others = messages.filter(({ isMine }) => !isMine);
    const wasRead = this.unread.value === 0;
    const { isSeen, isAtEnd } = this.#view;
    const lines = appendLines(this.lines.value, added);
    this.lines.value = isAtEnd ? this.#trimmed(lines) : lines;
    for (const { id } of messages) this.outgoing.arrived(id);
    for (const { name } of messages) this.typists.said(name);
    if (isSeen && others.length > 0) {
      this.announced.value = [...this.announced.value, ...others].slice(-MAX_ANNOUNCED);
    }
    if (wasRead && others.length > 0 && !(isSeen && isAtEnd)) {
      this.newAfter.value = this.#readTo.value;
    }
    this.#readWhatIsSeen();
  }

  #trimmed(lines: readonly RoomLine[]): readonly RoomLine[] {
    // The page that is being read has to join the first line.
    const kept = this.earlier.value.status === "loading" ? lines : trimLines(lines);
    const [first] = kept;
    if (kept === lines || first === undefined) return lines;
    this.#before = first.offset;
    this.earlier.value = { status: "more" };
    return kept;
  }

  #onEphemeral({ type, data }: EphemeralEvent, { member: own }: Author): void {
    const name = nameIn(data);
    if (type !== TYPING_TYPE || name === undefined) return;
    const member = typeof data === "object" && data !== null && "member" in data
      ? String(data.member)
      : name;
    if (member !== own) this.typists.types(member, name);
  }

  #readWhatIsSeen(): void {
    const { isSeen, isAtEnd } = this.#view;
    if (isSeen && isAtEnd && this.#last !== "") this.#read(this.#last);
  }

  #read(offset: string): void {
    if (offset <= this.#readTo.value) return;
    this.#readTo.value = offset;
    this.#context.storage.setReadTo(this.name, offset);
  }
}
