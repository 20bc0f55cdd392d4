import type { Draft, Log } from "../log/log.ts";
import { FIGURES_CHANNEL_KEY } from "../shared/channel.ts";
import { JSON_TYPE } from "../shared/event.ts";
import { FIGURES_TYPE, type Sample } from "../shared/figures.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { Audience } from "./audience.ts";
import type { Meter } from "./meter.ts";
import { type SampleGauges, Sampler } from "./sampler.ts";

/** How long figures are kept. */
const RETENTION_MS = 60 * 60 * 1_000;
/** How long closing waits for a store that does not answer. */
const CLOSE_TIMEOUT_MS = 1_000;

interface FiguresOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append" | "configure" | "head">;
  readonly meter: Meter;
  readonly gauges: () => SampleGauges;
  /** Returns whether the figures have subscribers in this isolate. */
  readonly isFollowed: () => boolean;
  /** Receives the error of a failed write. The next sample repeats it. */
  readonly onError: (cause: unknown) => void;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Milliseconds of a monotonic clock. @default {performance.now} */
  readonly monotonic?: () => number;
}

/**
 * Samples every second what this isolate does. While anyone views the figures of any isolate, the
 * samples are appended to `$figures`, starting with those of the last two minutes. Otherwise nothing
 * is written.
 */
export class Figures {
  readonly #options: FiguresOptions;
  readonly #audience: Audience;
  readonly #sampler: Sampler;
  /** How many of the samples that were ever taken are stored or dropped. */
  #stored = 0;
  #storing: Promise<void> | undefined;
  #isConfigured = false;
  #isClosed = false;

  constructor(options: FiguresOptions) {
    this.#options = options;
    const { kv, meter, gauges, onError } = options;
    const { now = Date.now, monotonic = () => performance.now() } = options;
    this.#audience = new Audience({ kv, now, onError });
    this.#sampler = new Sampler({
      take: () => meter.take(),
      gauges,
      onDelay: (delayMs) => meter.delayed(delayMs),
      onSample: () => this.#sampled(),
      now,
      monotonic,
    });
    meter.onFiguresRead = () => this.viewed();
  }

  /** Returns how many samples were ever taken. */
  get taken(): number {
    return this.#sampler.taken;
  }

  /** Reports that the figures are viewed: all isolates write theirs for the next ten minutes. */
  viewed(): void {
    if (this.#isClosed) return;
    this.#audience.renew();
    this.#store();
  }

  /** Stops sampling, and waits at most 1 s for the write under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sampler[Symbol.dispose]();
    await waitAtMost(Promise.all([this.#storing, this.#audience.close()]), CLOSE_TIMEOUT_MS);
  }

  #sampled(): void {
    if (this.#options.isFollowed()) this.#audience.renew();
    this.#audience.check();
    if (this.#audience.isPresent) this.#store();
  }

  /** Appends the samples that are not stored yet. There is one append at a time. */
  #store(): void {
    const { taken } = this.#sampler;
    const samples = this.#sampler.after(this.#stored);
    if (this.#storing !== undefined || samples.length === 0) return;
    this.#storing = this.#append(samples)
      .then(() => {
        this.#stored = taken;
      }, (cause) => this.#options.onError(cause))
      .finally(() => this.#storing = undefined);
  }

  async #append(samples: readonly Sample[]): Promise<void> {
    const { log } = this.#options;
    if (!this.#isConfigured) {
      const head = await log.head(FIGURES_CHANNEL_KEY);
      if (head?.retention.age !== RETENTION_MS) {
        await log.configure(FIGURES_CHANNEL_KEY, { age: RETENTION_MS });
      }
      this.#isConfigured = true;
    }
    await log.append(samples.map(draftOf));
  }
}

function draftOf(sample: Sample): Draft {
  const data = JSON.stringify(sample); // ASCII, so its length is its size in bytes
  return {
    channelKey: FIGURES_CHANNEL_KEY,
    id: undefined,
    type: FIGURES_TYPE,
    contentType: JSON_TYPE,
    data,
    bytes: data.length,
    key: undefined,
    publisher: undefined,
    ttlMs: undefined,
  };
}
