import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { EphemeralEvent, History, Listening, Weir, WeirEvent } from "../../lib/client/api.ts";
import {
  type Author,
  countUnread,
  eventLine,
  gapLine,
  type Line,
  type MessageLine,
  trimmed,
  withLines,
} from "./lines.ts";
import type { Memory } from "./memory.ts";
import { nameIn, TYPING_TYPE } from "./message.ts";
import { Outgoing } from "./outgoing.ts";
import { patiently, reasonOf } from "./patient.ts";
import { channelOf } from "./room_name.ts";
import { Typists } from "./typing.ts";

/** Events of one page of history. */
const PAGE = 50;
/** How long events are gathered before they are shown together, in ms. */
const GATHER = 16;
/** Messages that a screen reader may still be reading out. */
const ANNOUNCED = 5;

/** What is in front of the first line. */
export type Past =
  | { readonly status: "loading" | "more" }
  /** The room's first message is there, or the first that is still kept. */
  | { readonly status: "begins" | "forgotten" }
  | { readonly status: "failed"; readonly reason: string };

export interface RoomContext {
  readonly weir: Weir;
  readonly memory: Memory;
  readonly author: Author;
}

/** How the room is looked at. */
interface View {
  /** It is the room on the page, and somebody sees the page. */
  readonly isSeen: boolean;
  readonly isAtEnd: boolean;
}

/** One room: what was said in it, what comes, what is on its way, and how far it was read. */
export class Room implements Disposable {
  readonly lines = signal<readonly Line[]>([]);
  readonly past = signal<Past>({ status: "loading" });
  /** Why nothing more comes. */
  readonly problem = signal<string | undefined>(undefined);
  /** The offset behind which the mark "new" stands. */
  readonly newAfter = signal<string | undefined>(undefined);
  /** Messages of others that came while the room was seen. */
  readonly announced = signal<readonly MessageLine[]>([]);
  readonly unread: ReadonlySignal<number>;
  readonly outgoing: Outgoing;
  readonly typists = new Typists();
  readonly #readTo;
  readonly #context: RoomContext;
  readonly #closing = new AbortController();
  #listening: Listening | undefined;
  /** Give it to the history for what is in front of the first line. */
  #before: string | undefined;
  #last = "";
  #view: View = { isSeen: false, isAtEnd: true };
  #incoming: Line[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly name: string, context: RoomContext) {
    this.#context = context;
    this.outgoing = new Outgoing(context.weir, channelOf(name), context.memory.unsent(name));
    this.#readTo = signal(context.memory.readTo(name) ?? "");
    this.unread = computed(() => countUnread(this.lines.value, this.#readTo.value));
  }

  /** What is written and not sent. */
  get draft(): string {
    return this.#context.memory.draft(this.name);
  }

  set draft(text: string) {
    this.#context.memory.setDraft(this.name, text);
  }

  /** Reads the newest page, and from its end what comes. */
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

  /** Reads a page in front of the first line, if there is one and none is under way. */
  async loadEarlier(): Promise<void> {
    const { status } = this.past.value;
    if (this.#before === undefined || (status !== "more" && status !== "failed")) return;
    this.past.value = { status: "loading" };
    try {
      const history = await this.#history(this.#before);
      batch(() => this.#prepend(history));
    } catch (cause) {
      if (this.#closing.signal.aborted) return;
      this.past.value = { status: "failed", reason: reasonOf(cause) };
    }
  }

  /** Says how the room is looked at: what is seen is read. */
  look(view: View): void {
    this.#view = view;
    batch(() => this.#readWhatIsSeen());
  }

  /** The mark has done its service. */
  forgetNew(): void {
    this.newAfter.value = undefined;
  }

  /** Another tab of the visitor has read so far. */
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
    const options = { before, limit: PAGE, signal };
    return await patiently(weir, () => weir.history(channelOf(this.name), options), signal);
  }

  #prepend({ events, isComplete, before, cursor }: History<unknown>): void {
    const { author } = this.#context;
    const earlier = withLines([], events.map((event) => eventLine(event, author)));
    for (const { id } of events) this.outgoing.arrived(id);
    this.lines.value = [...earlier, ...this.lines.value];
    this.#before = before;
    const first = this.lines.value[0]?.offset;
    const isWhole = first === undefined ? sequenceOf(cursor) === 0 : sequenceOf(first) <= 1;
    this.past.value = { status: !isComplete ? "more" : isWhole ? "begins" : "forgotten" };
  }

  #listen(cursor: string): void {
    const { weir, author } = this.#context;
    this.#listening = weir.listen(channelOf(this.name), {
      after: cursor,
      signal: this.#closing.signal,
      onEvent: (event) => this.#take(event, author),
      onGap: (gap) => this.#gather(gapLine(gap)),
      onEphemeral: (event) => this.#note(event, author),
      onError: ({ detail }) => this.problem.value = detail,
    });
  }

  #take(event: WeirEvent, author: Author): void {
    this.#last = event.offset;
    this.#gather(eventLine(event, author));
  }

  #gather(line: Line): void {
    this.#incoming.push(line);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      batch(() => this.#show(this.#incoming.splice(0)));
    }, GATHER);
  }

  #show(added: readonly Line[]): void {
    const messages = added.filter((line) => line.kind === "message");
    const others = messages.filter(({ isMine }) => !isMine);
    const wasRead = this.unread.value === 0;
    const { isSeen, isAtEnd } = this.#view;
    const lines = withLines(this.lines.value, added);
    this.lines.value = isAtEnd ? this.#trimmed(lines) : lines;
    for (const { id } of messages) this.outgoing.arrived(id);
    for (const { name } of messages) this.typists.said(name);
    if (isSeen && others.length > 0) {
      this.announced.value = [...this.announced.value, ...others].slice(-ANNOUNCED);
    }
    if (wasRead && others.length > 0 && !(isSeen && isAtEnd)) {
      this.newAfter.value = this.#readTo.value;
    }
    this.#readWhatIsSeen();
  }

  #trimmed(lines: readonly Line[]): readonly Line[] {
    // What is being read has to fit in front of what is there.
    const kept = this.past.value.status === "loading" ? lines : trimmed(lines);
    const [first] = kept;
    if (kept === lines || first === undefined) return lines;
    this.#before = first.offset;
    this.past.value = { status: "more" };
    return kept;
  }

  #note({ type, data }: EphemeralEvent, { member: own }: Author): void {
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
    this.#context.memory.setReadTo(this.name, offset);
  }
}

/** The sequence of an offset; see docs/protocol.md, "Terms". */
function sequenceOf(offset: string): number {
  return Number(offset.slice(offset.indexOf("_") + 1));
}
