import { computed, signal } from "@preact/signals";
import { type ApiResult, type ChannelFigures, request } from "./requests.ts";
import { parsePosition } from "./timeline.ts";

/** Channels per page of the list. */
const PAGE_CHANNELS = 100;
/** Channels per page of a search, and pages that it reads at most. */
const SEARCH_CHANNELS = 1_000;
const SEARCH_PAGES = 10;
/** How often the list is read. Guards against load from a page in each of a hundred tabs. */
const POLL_INTERVAL_MS = 2_000;

/** A channel and its events per second. The rate is undefined until the second poll. */
export interface ListedChannel extends ChannelFigures {
  readonly rate: number | undefined;
}

/** A page of the list, as the server returns it. */
export interface ChannelsPage {
  readonly channels: readonly ChannelFigures[];
  readonly next: string | null;
}

/** The tenant's channels. Rates are the differences of their last offsets between polls. */
export class ChannelListModel {
  readonly channels = signal<readonly ListedChannel[]>([]);
  readonly hasMore = computed(() => this.#next.value !== null);
  readonly problem = signal<string>();
  readonly search = signal("");
  /**
   * The channels whose names include the search. System channels are hidden unless it starts with
   * `$`.
   */
  readonly found = computed(() => {
    const wanted = this.search.value.trim().toLowerCase();
    const known = new Map(this.channels.value.map((one) => [one.channel, one]));
    for (const one of this.#searched.value) {
      if (!known.has(one.channel)) known.set(one.channel, one);
    }
    return [...known.values()].filter(({ channel }) =>
      channel.toLowerCase().includes(wanted) &&
      (wanted.startsWith("$") || !channel.startsWith("$"))
    );
  });

  /** Where the next page of the list starts; null on the last page. */
  readonly #next = signal<string | null>(null);
  /** Channels beyond the pages that are shown. They are read once per search. */
  readonly #searched = signal<readonly ListedChannel[]>([]);
  #pages = 1;
  #readAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isReading = false;
  #isStarted = false;

  constructor({ channels, next }: ChannelsPage) {
    this.channels.value = channels.map(withoutRate);
    this.#next.value = next;
  }

  /** Searches all channels, not only those that are shown. An empty text ends the search. */
  async find(text: string): Promise<void> {
    const wasSearching = this.search.value.trim() !== "";
    this.search.value = text;
    if (text.trim() === "") this.#searched.value = [];
    else if (!wasSearching) await this.#searchAll();
  }

  /** Polls while the page is visible. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    document.addEventListener("visibilitychange", this.#onVisibilityChange);
    this.#onVisibilityChange();
  }

  stop(): void {
    this.#isStarted = false;
    document.removeEventListener("visibilitychange", this.#onVisibilityChange);
    clearTimeout(this.#timer);
  }

  async showMore(): Promise<void> {
    this.#pages++;
    await this.refresh();
  }

  /** Reads all pages that are shown. */
  async refresh(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    clearTimeout(this.#timer);
    const wait = await this.#read();
    this.#isReading = false;
    if (wait !== undefined && this.#isStarted && !document.hidden) {
      this.#timer = setTimeout(() => void this.refresh(), wait);
    }
  }

  readonly #onVisibilityChange = (): void => {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.refresh();
  };

  async #searchAll(): Promise<void> {
    let next = this.#next.value;
    for (let page = 0; page < SEARCH_PAGES && next !== null; page++) {
      const answer = await readPage(next, SEARCH_CHANNELS);
      if (this.search.value.trim() === "") return;
      if (!answer.ok) return void (this.problem.value = answer.detail);
      this.#searched.value = [...this.#searched.value, ...answer.body.channels.map(withoutRate)];
      next = answer.body.next;
    }
  }

  /** Returns the delay before the next poll, or undefined if polling is pointless. */
  async #read(): Promise<number | undefined> {
    const channels: ChannelFigures[] = [];
    let next: string | null = "";
    for (let page = 0; page < this.#pages && next !== null; page++) {
      const answer: ApiResult<ChannelsPage> = await readPage(next, PAGE_CHANNELS);
      if (!answer.ok) {
        // The page already says that the server is unreachable or the visitor was signed out.
        const isKnown = answer.status === 0 || answer.status === 401;
        this.problem.value = isKnown ? undefined : answer.detail;
        const isRefused = answer.status === 401 || answer.status === 403;
        return isRefused ? undefined : Math.max(POLL_INTERVAL_MS, answer.retryAfterMs);
      }
      channels.push(...answer.body.channels);
      next = answer.body.next;
    }
    const now = performance.now();
    this.problem.value = undefined;
    this.channels.value = withRates(channels, this.channels.value, now - this.#readAt);
    this.#next.value = next;
    this.#readAt = now;
    return POLL_INTERVAL_MS;
  }
}

function readPage(after: string, limit: number): Promise<ApiResult<ChannelsPage>> {
  const query = `limit=${limit}&after=${encodeURIComponent(after)}`;
  return request<ChannelsPage>("GET", `/v1/channels?${query}`);
}

function withoutRate(figures: ChannelFigures): ListedChannel {
  return { ...figures, rate: undefined };
}

/** Adds rates. @param elapsedMs since `before` */
export function withRates(
  channels: readonly ChannelFigures[],
  before: readonly ChannelFigures[],
  elapsedMs: number,
): readonly ListedChannel[] {
  const lasts = new Map(before.map(({ channel, last }) => [channel, last]));
  return channels.map((figures) => {
    const last = lasts.get(figures.channel);
    const count = last === undefined ? undefined : countBetween(last, figures.last);
    return { ...figures, rate: count === undefined ? undefined : count * 1_000 / elapsedMs };
  });
}

/** Counts the events between two offsets. A channel that was recreated counts from its start. */
function countBetween(before: string, after: string): number | undefined {
  const [from, to] = [parsePosition(before), parsePosition(after)];
  if (from === undefined || to === undefined) return undefined;
  return from.epoch === to.epoch ? Math.max(0, to.sequence - from.sequence) : to.sequence;
}
