import { computed, signal } from "@preact/signals";
import { type ChannelFigures, request } from "./requests.ts";
import { placeOf } from "./timeline.ts";

/** Channels of a page of the list. */
const PAGE_CHANNELS = 100;
/** How often the list is read, in ms. Met: a page in each of a hundred tabs. */
const EVERY = 2_000;

/** A channel in the list, and how fast it grows; unknown until it was seen twice. */
export interface ListedChannel extends ChannelFigures {
  readonly rate: number | undefined;
}

/** A page of the list, as the server gives it. */
export interface ChannelsPage {
  readonly channels: readonly ChannelFigures[];
  readonly next: string | null;
}

/** The tenant's channels, and their rates: by what their last offsets differ in from poll to poll. */
export class ChannelList {
  readonly channels = signal<readonly ListedChannel[]>([]);
  readonly hasMore = signal(false);
  readonly problem = signal<string>();
  readonly search = signal("");
  /** Those whose name has what is searched; the system's own only where that is one's name. */
  readonly found = computed(() => {
    const wanted = this.search.value.trim().toLowerCase();
    return this.channels.value.filter(({ channel }) =>
      channel.toLowerCase().includes(wanted) &&
      (wanted.startsWith("$") || !channel.startsWith("$"))
    );
  });

  #pages = 1;
  #readAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isReading = false;
  #isStarted = false;

  constructor({ channels, next }: ChannelsPage) {
    this.channels.value = channels.map((figures) => ({ ...figures, rate: undefined }));
    this.hasMore.value = next !== null;
  }

  /** Polls while the page is seen. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  stop(): void {
    this.#isStarted = false;
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#timer);
  }

  async showMore(): Promise<void> {
    this.#pages++;
    await this.refresh();
  }

  /** Reads all pages that are shown, now. */
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

  readonly #look = (): void => {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.refresh();
  };

  /** Answers how long to wait for the next time; none: it is no use. */
  async #read(): Promise<number | undefined> {
    const channels: ChannelFigures[] = [];
    let next: string | null = "";
    for (let page = 0; page < this.#pages && next !== null; page++) {
      const query: string = `limit=${PAGE_CHANNELS}&after=${encodeURIComponent(next)}`;
      const answer = await request<ChannelsPage>("GET", `/v1/channels?${query}`);
      if (!answer.ok) {
        // That nobody answers, or the session has ended, stands elsewhere.
        const isSaid = answer.status === 0 || answer.status === 401;
        this.problem.value = isSaid ? undefined : answer.detail;
        const isRefused = answer.status === 401 || answer.status === 403;
        return isRefused ? undefined : Math.max(EVERY, answer.retryAfter);
      }
      channels.push(...answer.body.channels);
      next = answer.body.next;
    }
    const now = performance.now();
    this.problem.value = undefined;
    this.channels.value = withRates(channels, this.channels.value, now - this.#readAt);
    this.hasMore.value = next !== null;
    this.#readAt = now;
    return EVERY;
  }
}

/** @param elapsed ms since `before`. */
export function withRates(
  channels: readonly ChannelFigures[],
  before: readonly ChannelFigures[],
  elapsed: number,
): readonly ListedChannel[] {
  const lasts = new Map(before.map(({ channel, last }) => [channel, last]));
  return channels.map((figures) => {
    const last = lasts.get(figures.channel);
    const count = last === undefined ? undefined : countBetween(last, figures.last);
    return { ...figures, rate: count === undefined ? undefined : count * 1_000 / elapsed };
  });
}

/** Events between two offsets; of a channel that was made again, those that it has. */
function countBetween(before: string, after: string): number | undefined {
  const [from, to] = [placeOf(before), placeOf(after)];
  if (from === undefined || to === undefined) return undefined;
  return from.epoch === to.epoch ? Math.max(0, to.sequence - from.sequence) : to.sequence;
}
