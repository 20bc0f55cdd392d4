import { signal } from "@preact/signals";
import type { WeirEvent } from "../../lib/client/api.ts";
import { readHistory } from "../../lib/client/reading/history.ts";
import type { Link } from "../../lib/client/core/link.ts";
import type { WeirError } from "../../lib/client/core/weir_error.ts";
import { FIGURES_TYPE, type Sample } from "../../lib/shared/figures.ts";
import { Samples } from "./samples.ts";

const CHANNEL = "$figures";
/** How long figures are kept, here as on the server, in ms. */
const KEPT_MS = 60 * 60_000;
/** Events of one look back. */
const PAGE_EVENTS = 1_000;

/**
 * The figures that the page has: first those of a time back, then each new one. What was missed
 * while away comes from the log and is put where it belongs by its own time.
 */
export class FiguresFeed implements Disposable {
  readonly samples = new Samples();
  /** Counts up with each change of the samples. */
  readonly version = signal(0);
  readonly error = signal<WeirError>();
  /** Whether earlier figures are being fetched. */
  readonly isLoading = signal(false);
  readonly #link: Link;
  readonly #abort = new AbortController();
  /** Where an earlier page would end; none: there is nothing earlier. */
  #before: string | undefined;
  #wantedMs = 0;

  /** @param link is closed with the feed. */
  constructor(link: Link) {
    this.#link = link;
  }

  get state(): Link["state"] {
    return this.#link.state;
  }

  /** Fetches the figures of the last `milliseconds`, then follows. */
  async start(milliseconds: number): Promise<void> {
    const { signal } = this.#abort;
    // Where it fails the stream says why, or has it all: no more is kept than an hour.
    const newest = await readHistory<Sample>(this.#link, CHANNEL, { limit: PAGE_EVENTS, signal })
      .catch(() => undefined);
    if (signal.aborted) return;
    this.#add(newest?.events ?? []);
    this.#before = newest?.before;
    this.#link.feed(CHANNEL, newest?.cursor ?? "earliest", {
      started() {},
      event: (event) => this.#add([event as WeirEvent<Sample>]), // by its type, which is looked at
      gap() {}, // what is missing shows by the samples' times
      ephemeral() {},
      ended: (error) => {
        if (error.code !== "closed") this.error.value = error;
      },
    });
    await this.loadBack(milliseconds);
  }

  /** Fetches earlier figures until those of the last `milliseconds` are there, as far as they are. */
  async loadBack(milliseconds: number): Promise<void> {
    this.#wantedMs = milliseconds;
    if (this.isLoading.peek()) return;
    this.isLoading.value = true;
    const { signal } = this.#abort;
    try {
      while (this.#before !== undefined && this.#loadedMs < this.#wantedMs) {
        const page = await readHistory<Sample>(this.#link, CHANNEL, {
          before: this.#before,
          limit: PAGE_EVENTS,
          signal,
        });
        this.#add(page.events);
        this.#before = page.before;
      }
    } catch {
      // Who wants it can choose the span again; what there is stays.
    } finally {
      this.isLoading.value = false;
    }
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    void this.#link.close();
  }

  get #loadedMs(): number {
    const { first, last } = this.samples;
    return first > last ? 0 : last - first;
  }

  #add(events: readonly WeirEvent<Sample>[]): void {
    for (const { type, data } of events) if (type === FIGURES_TYPE) this.samples.add(data);
    this.samples.forgetBefore(this.samples.last - KEPT_MS);
    if (events.length > 0) this.version.value++;
  }
}
