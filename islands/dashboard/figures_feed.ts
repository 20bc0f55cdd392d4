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
const PAGE = 1_000;

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
  readonly isLooking = signal(false);
  readonly #link: Link;
  readonly #abort = new AbortController();
  /** Where an earlier page would end; none: there is nothing earlier. */
  #before: string | undefined;
  #wanted = 0;

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
    const newest = await readHistory<Sample>(this.#link, CHANNEL, { limit: PAGE, signal })
      .catch(() => undefined);
    if (signal.aborted) return;
    this.#take(newest?.events ?? []);
    this.#before = newest?.before;
    this.#link.feed(CHANNEL, newest?.cursor ?? "earliest", {
      started() {},
      event: (event) => this.#take([event as WeirEvent<Sample>]), // by its type, which is looked at
      gap() {}, // what is missing shows by the samples' times
      ephemeral() {},
      ended: (error) => {
        if (error.code !== "closed") this.error.value = error;
      },
    });
    await this.reachBack(milliseconds);
  }

  /** Fetches earlier figures until those of the last `milliseconds` are there, as far as they are. */
  async reachBack(milliseconds: number): Promise<void> {
    this.#wanted = milliseconds;
    if (this.isLooking.peek()) return;
    this.isLooking.value = true;
    const { signal } = this.#abort;
    try {
      while (this.#before !== undefined && this.#reached < this.#wanted) {
        const page = await readHistory<Sample>(this.#link, CHANNEL, {
          before: this.#before,
          limit: PAGE,
          signal,
        });
        this.#take(page.events);
        this.#before = page.before;
      }
    } catch {
      // Who wants it can choose the span again; what there is stays.
    } finally {
      this.isLooking.value = false;
    }
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    void this.#link.close();
  }

  get #reached(): number {
    const { first, last } = this.samples;
    return first > last ? 0 : last - first;
  }

  #take(events: readonly WeirEvent<Sample>[]): void {
    for (const { type, data } of events) if (type === FIGURES_TYPE) this.samples.add(data);
    this.samples.forgetBefore(this.samples.last - KEPT_MS);
    if (events.length > 0) this.version.value++;
  }
}
