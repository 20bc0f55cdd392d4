import { signal } from "@preact/signals";
import type { WeirEvent } from "../../lib/client/api.ts";
import { readHistory } from "../../lib/client/reading/history.ts";
import type { Link } from "../../lib/client/core/link.ts";
import type { WeirError } from "../../lib/client/client.ts";
import { FIGURES_TYPE, type Sample } from "../../lib/shared/figures.ts";
import { Samples } from "./samples.ts";

const CHANNEL = "$figures";
/** How long figures are kept, as on the server. */
const KEPT_MS = 60 * 60_000;
/** Events per page of history. */
const PAGE_EVENTS = 1_000;

/**
 * Reads recent figures and then each new one. After a reconnect the missed ones come from the log
 * and are sorted in by their own time.
 */
export class FiguresFeed implements Disposable {
  readonly samples = new Samples();
  /** Increases with each change of the samples. */
  readonly version = signal(0);
  readonly error = signal<WeirError>();
  /** Whether earlier figures are being read. */
  readonly isLoading = signal(false);
  readonly #link: Link;
  readonly #abort = new AbortController();
  /** Where the next earlier page ends; undefined if there is none. */
  #before: string | undefined;
  #wantedMs = 0;

  /** @param link closed with the feed */
  constructor(link: Link) {
    this.#link = link;
  }

  get state(): Link["state"] {
    return this.#link.state;
  }

  /** Reads the figures of the last `durationMs` and then follows new ones. */
  async start(durationMs: number): Promise<void> {
    const { signal } = this.#abort;
    // If this fails, the stream reports the error or delivers everything: only an hour is kept.
    const newest = await readHistory<Sample>(this.#link, CHANNEL, { limit: PAGE_EVENTS, signal })
      .catch(() => undefined);
    if (signal.aborted) return;
    this.#add(newest?.events ?? []);
    this.#before = newest?.before;
    this.#link.feed(CHANNEL, newest?.cursor ?? "earliest", {
      started() {},
      event: (event) => this.#add([event as WeirEvent<Sample>]), // #add() checks the type
      gap() {}, // the samples' times show what is missing
      ephemeral() {},
      ended: (error) => {
        if (error.code !== "closed") this.error.value = error;
      },
    });
    await this.loadBack(durationMs);
  }

  /** Reads earlier figures until those of the last `durationMs` are there, if they exist. */
  async loadBack(durationMs: number): Promise<void> {
    this.#wantedMs = durationMs;
    if (this.isLoading.peek()) return;
    this.isLoading.value = true;
    const { signal } = this.#abort;
    try {
      while (this.#before !== undefined && this.samples.durationMs < this.#wantedMs) {
        const page = await readHistory<Sample>(this.#link, CHANNEL, {
          before: this.#before,
          limit: PAGE_EVENTS,
          signal,
        });
        this.#add(page.events);
        this.#before = page.before;
      }
    } catch {
      // The visitor can choose the span again to retry.
    } finally {
      this.isLoading.value = false;
    }
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    void this.#link.close();
  }

  #add(events: readonly WeirEvent<Sample>[]): void {
    for (const { type, data } of events) if (type === FIGURES_TYPE) this.samples.add(data);
    this.samples.forgetBefore(this.samples.last - KEPT_MS);
    if (events.length > 0) this.version.value++;
  }
}
