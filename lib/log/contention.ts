import type { CommitNews, Doorbell } from "../kv/doorbell.ts";
import { type Channel, type ChannelKey, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { StoredHead } from "./head.ts";
import type { HeadCache } from "./head_cache.ts";
import { type OtherWriter, Writers } from "./writers.ts";

/**
 * The channel key that rings when an isolate asks for its turn. No tenant or channel can have these
 * names. Its shard is that of the control journal, which every isolate watches anyway.
 */
const ASK_KEY = channelKeyOf("$weir" as Tenant, "$ask" as Channel);

/** A channel without commits of other isolates is no longer contended after this time. */
const QUIET_MS = 1_000;

/** What an isolate says that asks for its turn. */
interface Ask {
  readonly asks: ChannelKey;
}

/** What is known of a channel that several isolates append to. */
interface Contended {
  readonly channelKey: ChannelKey;
  readonly writers: Writers;
  readonly listening: Disposable;
  /** Of the newest commit of another isolate, until its head is adopted. */
  news: CommitNews | undefined;
  /** The versionstamp of the newest news so far. */
  newest: string;
  /** When another isolate was last noticed, in ms of `performance.now()`. */
  noticedAt: number;
  /** Called when news come. */
  readonly waiting: Set<() => void>;
}

/**
 * Lets isolates that append to the same channel commit in turn, so that none of them loses one
 * conflict after the other. It only delays commits: their checks alone decide whether they succeed.
 *
 * An isolate that has committed to a contended channel waits for the others: the one whose last
 * commit is the oldest comes next. Each hears of the others' commits, and their new heads, from the
 * doorbell. Nobody waits for long for an isolate from which nothing comes, so a doorbell that fails
 * costs time only. A channel is contended while there are conflicts, or commits of others; no other
 * channel has any timer or listener.
 */
export class Contention implements Disposable {
  readonly #doorbell: Doorbell;
  readonly #heads: HeadCache;
  readonly #channels = new Map<ChannelKey, Contended>();
  readonly #asks: Disposable;
  #sweep: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;

  constructor(doorbell: Doorbell, heads: HeadCache) {
    this.#doorbell = doorbell;
    this.#heads = heads;
    this.#asks = doorbell.listen(ASK_KEY, (news) => this.#asked(news));
  }

  /** Returns whether other isolates append to the channel, too. */
  has(channelKey: ChannelKey): boolean {
    return this.#channels.has(channelKey);
  }

  /** Notices that this isolate has committed. `versionstamp` is undefined if it is unknown. */
  committed(channelKey: ChannelKey, versionstamp: string | undefined): void {
    if (versionstamp === undefined) return;
    this.#channels.get(channelKey)?.writers.committed(versionstamp);
  }

  /** Notices that another isolate has kept this one from committing, and asks it for a turn. */
  lost(channelKey: ChannelKey): void {
    if (this.#isClosed) return;
    const channel = this.#contended(channelKey);
    channel.noticedAt = performance.now();
    const versionstamp = this.#heads.peek(channelKey)?.row.versionstamp ?? "";
    if (versionstamp !== "") channel.writers.noticed(versionstamp);
    this.#doorbell.ring({ channelKey: ASK_KEY, head: { asks: channelKey } satisfies Ask });
  }

  /**
   * Resolves when it is this isolate's turn to commit to the channel; undefined if it is now. It
   * waits for a limited time, even if nothing is heard of the others.
   */
  giveWay(channelKey: ChannelKey): Promise<void> | undefined {
    const channel = this.#channels.get(channelKey);
    const next = channel?.writers.next();
    if (channel === undefined || next === undefined) return undefined;
    return this.#wait(channel, next);
  }

  async #wait(channel: Contended, first: OtherWriter): Promise<void> {
    let next: OtherWriter | undefined = first;
    while (next !== undefined && !this.#isClosed) {
      const since = performance.now();
      const isHeard = await this.#hears(channel, channel.writers.timeoutMs);
      if (isHeard) channel.writers.heardAfter(performance.now() - since);
      else channel.writers.missed(next);
      next = channel.writers.next();
    }
  }

  /** Resolves when news of one of these channels come, or `pause` is over. */
  async heard(channelKeys: Iterable<ChannelKey>, pause: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const channels = [...channelKeys].flatMap((channelKey) => this.#channels.get(channelKey) ?? []);
    for (const { waiting } of channels) waiting.add(resolve);
    await Promise.race([pause, promise]);
    for (const { waiting } of channels) waiting.delete(resolve);
  }

  /**
   * Takes the newest head of the channel that was heard of into the cache, and returns whether it is
   * newer than the one there. Must not be called while a commit to the channel may still arrive: the
   * head could be one after it, and the events be stored again.
   */
  adopt(channelKey: ChannelKey): boolean {
    const channel = this.#channels.get(channelKey);
    const news = channel?.news;
    if (channel === undefined || news === undefined) return false;
    // Once: after this isolate has forgotten a newer head, it must not come back.
    channel.news = undefined;
    const known = this.#heads.peek(channelKey)?.row.versionstamp ?? "";
    if (news.versionstamp <= known) return false;
    if (news.head === undefined) this.#heads.forget(channelKey);
    // A committer passes no other value on.
    else this.#heads.setCommitted(channelKey, news.head as StoredHead, news.versionstamp);
    return true;
  }

  /** Ends all waiting. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#asks[Symbol.dispose]();
    clearInterval(this.#sweep);
    for (const channel of this.#channels.values()) this.#end(channel);
  }

  #contended(channelKey: ChannelKey): Contended {
    const known = this.#channels.get(channelKey);
    if (known !== undefined) return known;
    const channel: Contended = {
      channelKey,
      writers: new Writers(),
      listening: this.#doorbell.listen(channelKey, (news) => this.#hear(channel, news)),
      news: undefined,
      newest: "",
      noticedAt: performance.now(),
      waiting: new Set(),
    };
    this.#channels.set(channelKey, channel);
    this.#sweep ??= setInterval(() => this.#forgetQuiet(), QUIET_MS / 2);
    return channel;
  }

  #hear(channel: Contended, news: CommitNews | undefined): void {
    if (news === undefined || this.#isClosed) return;
    channel.noticedAt = performance.now();
    if (news.versionstamp > channel.newest) {
      channel.newest = news.versionstamp;
      channel.news = news;
    }
    channel.writers.heard(news.by, news.versionstamp);
    wake(channel);
  }

  #asked(news: CommitNews | undefined): void {
    const channelKey = (news?.head as Ask | undefined)?.asks;
    // Others need no turn from an isolate that has not appended to the channel.
    if (news === undefined || channelKey === undefined || this.#isClosed) return;
    const entry = this.#heads.peek(channelKey);
    if (entry === undefined) return;
    const isNew = !this.has(channelKey);
    const channel = this.#contended(channelKey);
    if (isNew) channel.writers.committed(entry.row.versionstamp ?? "");
    channel.noticedAt = performance.now();
    channel.writers.asked(news.by);
  }

  #forgetQuiet(): void {
    const oldest = performance.now() - QUIET_MS;
    for (const channel of this.#channels.values()) {
      if (channel.noticedAt <= oldest) this.#end(channel);
    }
    if (this.#channels.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #end(channel: Contended): void {
    this.#channels.delete(channel.channelKey);
    channel.listening[Symbol.dispose]();
    wake(channel);
  }

  /** Resolves with whether news have come within this time. */
  #hears({ waiting }: Contended, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const heard = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        waiting.delete(heard);
        resolve(false);
      }, timeoutMs);
      waiting.add(heard);
    });
  }
}

function wake({ waiting }: Contended): void {
  const waiters = [...waiting];
  waiting.clear();
  for (const resolve of waiters) resolve();
}
