import { offsetBefore } from "../core/offset.ts";
import type { Feed, Link } from "../core/link.ts";
import type { Message, News } from "./message.ts";
import type { WeirError } from "../core/weir_error.ts";

/**
 * How long members stay whose tab has gone, in ms: as the server's grace time, so that a page that
 * is loaded anew neither leaves nor enters.
 */
const GRACE_MS = 10_000;

type Wish<K> = Extract<Message, { kind: K }>;

interface SharedFeed {
  readonly channel: string;
  readonly after: string;
  /** What it has been told so far ends here. */
  position: string | undefined;
  /** Who reads, by id, and in which tab. */
  readonly readers: Map<string, string>;
  feed: Feed | undefined;
}

/** The tab that has the connection, as the others see it: it does for them what they can't. */
export class TabLeader {
  readonly #link: Link;
  readonly #say: (message: Message) => unknown;
  readonly #watch: (tab: string, gone: () => void) => void;
  readonly #feeds = new Set<SharedFeed>();
  readonly #tabs = new Set<string>();
  /** By channel and member: the tabs that entered it. */
  readonly #entered = new Map<string, Set<string>>();

  /** @param watch calls back when the tab has gone. */
  constructor(
    link: Link,
    say: (message: Message) => unknown,
    watch: (tab: string, gone: () => void) => void,
  ) {
    this.#link = link;
    this.#say = say;
    this.#watch = watch;
  }

  hear(message: Message): void {
    if (message.kind === "stop") this.#stop(message.id);
    if (message.kind !== "read" && message.kind !== "call") return;
    const { tab } = message;
    if (!this.#tabs.has(tab)) this.#watch(tab, () => this.#forget(tab));
    this.#tabs.add(tab);
    if (message.kind === "read") this.#read(message);
    else void this.#call(message);
  }

  /** One feed for all that go on from one place. Who was paused, or came late, has one of its own. */
  #read({ tab, id, channel, after }: Wish<"read">): void {
    const isOpen = this.#link.state.value.status === "open";
    for (const one of this.#feeds) {
      const { position, readers } = one;
      // The latest is where the log ends now, or where one has begun that is not cut off from it.
      const isSameStart = one.after === after && (!position || (after === "latest" && isOpen));
      if (one.channel !== channel || (position !== after && !isSameStart)) continue;
      readers.set(id, tab);
      if (position) this.#tell([id], position, ["started", position]);
      return;
    }
    const readers = new Map([[id, tab]]);
    const shared: SharedFeed = { channel, after, position: undefined, readers, feed: undefined };
    const tell = (position: string | undefined, ...news: News) => {
      shared.position = position;
      this.#tell([...readers.keys()], position, news);
    };
    this.#feeds.add(shared);
    shared.feed = this.#link.feed(channel, after, {
      started: (cursor) => tell(cursor, "started", cursor),
      event: (event, size) => tell(event.offset, "event", event, size),
      gap: (gap) => tell(offsetBefore(gap.firstAvailable), "gap", gap),
      ephemeral: (event) => tell(shared.position, "ephemeral", event),
      ended: (error) => {
        this.#feeds.delete(shared);
        tell(undefined, "ended", { ...error });
      },
    });
    if (readers.size === 0) shared.feed.close(); // stopped while it began
  }

  #tell(ids: readonly string[], position: string | undefined, news: News): void {
    this.#say({ kind: "told", ids, position, news });
  }

  #stop(id: string): void {
    for (const shared of this.#feeds) {
      if (!shared.readers.delete(id) || shared.readers.size > 0) continue;
      shared.feed?.close();
      this.#feeds.delete(shared);
    }
  }

  async #call({ tab, id, call }: Wish<"call">): Promise<void> {
    try {
      const isShared = call.op === "leave" && this.#leave(nameOf(call), tab);
      const answer = isShared ? {} : await this.#link.call(call);
      if (call.op === "enter") this.#enter(nameOf({ ...answer, ...call }), tab);
      this.#say({ kind: "answer", id, answer });
    } catch (cause) {
      const error = cause as WeirError; // links throw nothing else
      this.#say({ kind: "answer", id, error: { ...error } });
    }
  }

  #enter(name: string, tab: string): void {
    const tabs = this.#entered.get(name) ?? new Set();
    this.#entered.set(name, tabs.add(tab));
    if (!this.#tabs.has(tab)) this.#forget(tab); // it has gone meanwhile
  }

  /** Whether the member is there by another tab too. */
  #leave(name: string, tab: string): boolean {
    const tabs = this.#entered.get(name);
    tabs?.delete(tab);
    if (tabs?.size === 0) this.#entered.delete(name);
    return this.#entered.has(name);
  }

  /** What a tab that has gone had of the leader. */
  #forget(tab: string): void {
    this.#tabs.delete(tab);
    for (const { readers } of this.#feeds) {
      for (const [id, reader] of readers) if (reader === tab) this.#stop(id);
    }
    for (const [name, tabs] of this.#entered) {
      if (!tabs.has(tab) || this.#leave(name, tab)) continue;
      setTimeout(() => {
        if (this.#entered.has(name)) return;
        // Refused or not: whom nobody renews leaves with the connection, or when the lease ends.
        this.#link.call({ op: "leave", ...JSON.parse(name) }).catch(() => {});
      }, GRACE_MS);
    }
  }
}

/** Of a member: what `leave` has of it. */
function nameOf({ channel, member }: { readonly channel: string; readonly member?: unknown }) {
  return JSON.stringify({ channel, member });
}
