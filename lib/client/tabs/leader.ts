import type { Feed, Link } from "../core/link.ts";
import { offsetBefore } from "../core/offset.ts";
import type { WeirError } from "../core/weir_error.ts";
import type { FeedUpdate, TabMessage, TabMessageOf } from "./message.ts";

/**
 * How long members of a tab stay after it is gone. As long as the server's grace period, so that a
 * page that is reloaded neither leaves nor joins.
 */
const GRACE_MS = 10_000;

/** A feed of the connection for all reads that continue from the same position. */
interface SharedFeed {
  readonly channel: string;
  readonly after: string;
  /** Where its reads are. Undefined until it has started. */
  position: string | undefined;
  /** The tab of each read, by the read's id. */
  readonly reads: Map<string, string>;
  feed: Feed | undefined;
}

/** Serves all tabs by the connection of the tab that leads. */
export class TabLeader {
  readonly #link: Link;
  readonly #post: (message: TabMessage) => unknown;
  readonly #watchTab: (tab: string, onGone: () => void) => void;
  readonly #feeds = new Set<SharedFeed>();
  readonly #tabs = new Set<string>();
  /** The tabs that entered each member, by {@link memberKey}. */
  readonly #entered = new Map<string, Set<string>>();

  /** @param watchTab calls back when the tab is gone. */
  constructor(
    link: Link,
    post: (message: TabMessage) => unknown,
    watchTab: (tab: string, onGone: () => void) => void,
  ) {
    this.#link = link;
    this.#post = post;
    this.#watchTab = watchTab;
  }

  receive(message: TabMessage): void {
    if (message.kind === "stop") this.#stop(message.id);
    if (message.kind !== "read" && message.kind !== "call") return;
    const { tab } = message;
    if (!this.#tabs.has(tab)) this.#watchTab(tab, () => this.#forgetTab(tab));
    this.#tabs.add(tab);
    if (message.kind === "read") this.#read(message);
    else void this.#call(message);
  }

  /** Joins a feed that is at the read's position, or opens one. */
  #read(read: TabMessageOf<"read">): void {
    const { tab, id, channel, after } = read;
    for (const shared of this.#feeds) {
      if (shared.channel !== channel || !this.#canJoin(shared, after)) continue;
      const { position, reads } = shared;
      reads.set(id, tab);
      if (position) this.#deliver([id], position, ["started", position]);
      return;
    }
    this.#openFeed(read);
  }

  #canJoin({ after: start, position }: SharedFeed, after: string): boolean {
    if (position === after) return true;
    if (start !== after) return false;
    // A connected feed that started at the latest event is at the end of the log.
    const isOpen = this.#link.state.value.status === "open";
    return !position || (after === "latest" && isOpen);
  }

  #openFeed({ tab, id, channel, after }: TabMessageOf<"read">): void {
    const reads = new Map([[id, tab]]);
    const shared: SharedFeed = { channel, after, position: undefined, reads, feed: undefined };
    const deliver = (position: string | undefined, ...update: FeedUpdate) => {
      shared.position = position;
      this.#deliver([...reads.keys()], position, update);
    };
    this.#feeds.add(shared);
    shared.feed = this.#link.feed(channel, after, {
      started: (cursor) => deliver(cursor, "started", cursor),
      event: (event, size) => deliver(event.offset, "event", event, size),
      gap: (gap) => deliver(offsetBefore(gap.firstAvailable), "gap", gap),
      ephemeral: (event) => deliver(shared.position, "ephemeral", event),
      ended: (error) => {
        this.#feeds.delete(shared);
        deliver(undefined, "ended", { ...error });
      },
    });
    if (reads.size === 0) shared.feed.close(); // stopped while the feed was opening
  }

  #deliver(ids: readonly string[], position: string | undefined, update: FeedUpdate): void {
    this.#post({ kind: "deliver", ids, position, update });
  }

  #stop(id: string): void {
    for (const shared of this.#feeds) {
      if (!shared.reads.delete(id) || shared.reads.size > 0) continue;
      shared.feed?.close();
      this.#feeds.delete(shared);
    }
  }

  async #call({ tab, id, call }: TabMessageOf<"call">): Promise<void> {
    try {
      const isShared = call.op === "leave" && this.#left(memberKey(call), tab);
      const answer = isShared ? {} : await this.#link.call(call);
      if (call.op === "enter") this.#joined(memberKey({ ...answer, ...call }), tab);
      this.#post({ kind: "answer", id, answer });
    } catch (cause) {
      const error = cause as WeirError; // links throw nothing else
      this.#post({ kind: "answer", id, error: { ...error } });
    }
  }

  #joined(key: string, tab: string): void {
    const tabs = this.#entered.get(key) ?? new Set();
    this.#entered.set(key, tabs.add(tab));
    if (!this.#tabs.has(tab)) this.#forgetTab(tab); // it went meanwhile
  }

  /** Notes that a tab has left. Returns whether another tab has entered the same member. */
  #left(key: string, tab: string): boolean {
    const tabs = this.#entered.get(key);
    tabs?.delete(tab);
    if (tabs?.size === 0) this.#entered.delete(key);
    return this.#entered.has(key);
  }

  /** Ends the reads and, after the grace period, the members of a tab that is gone. */
  #forgetTab(tab: string): void {
    this.#tabs.delete(tab);
    for (const { reads } of this.#feeds) {
      for (const [id, reader] of reads) if (reader === tab) this.#stop(id);
    }
    for (const [key, tabs] of this.#entered) {
      if (!tabs.has(tab) || this.#left(key, tab)) continue;
      setTimeout(() => {
        if (this.#entered.has(key)) return;
        // If this fails, the member leaves with the connection or when its lease ends.
        this.#link.call({ op: "leave", ...JSON.parse(key) }).catch(() => {});
      }, GRACE_MS);
    }
  }
}

/** Returns what identifies a session of a member as JSON: the arguments of `leave`. */
function memberKey(
  { channel, member, session }: {
    readonly channel: string;
    readonly member?: unknown;
    readonly session?: unknown;
  },
) {
  return JSON.stringify({ channel, member, session });
}
