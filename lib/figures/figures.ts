import type { Draft, Log } from "../log/log.ts";
import { FIGURES_CHANNEL_KEY } from "../shared/channel.ts";
import { JSON_TYPE } from "../shared/event.ts";
import { FIGURES_TYPE, type Sample } from "../shared/figures.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { Audience } from "./audience.ts";
import type { Meter } from "./meter.ts";
import { type SampleGauges, Sampler } from "./sampler.ts";

/** How long figures are kept, in ms. */
const RETENTION_MS = 60 * 60 * 1_000;
/** What the end of the isolate waits for a store that doesn't answer, in ms. */
const FAREWELL_MS = 1_000;

interface FiguresOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append" | "configure" | "head">;
  readonly meter: Meter;
  readonly gauges: () => SampleGauges;
  /** Whether somebody follows the figures in this isolate at the moment. */
  readonly isFollowed: () => boolean;
  /** Told of what was not stored: it is tried again with the next sample. */
  readonly onError: (cause: unknown) => void;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Milliseconds by a clock that nobody sets. @default {performance.now} */
  readonly monotonic?: () => number;
}

/**
 * What this isolate does, second by second. While somebody looks, wherever, it is appended to
 * `$figures`, beginning with the last two minutes; else nothing is written.
 */
export class Figures {
  readonly #options: FiguresOptions;
  readonly #audience: Audience;
  readonly #sampler: Sampler;
  /** The place behind the last sample that was stored. */
  #stored = 0;
  #sending: Promise<void> | undefined;
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
      onDelay: (milliseconds) => meter.delayed(milliseconds),
      onSample: () => this.#sampled(),
      now,
      monotonic,
    });
    meter.onFiguresRead = () => this.viewed();
  }

  /** Samples that were ever taken. */
  get taken(): number {
    return this.#sampler.taken;
  }

  /** Somebody looks: from now on, and for ten minutes, all isolates write their figures. */
  viewed(): void {
    if (this.#isClosed) return;
    this.#audience.renew();
    this.#send();
  }

  /** Ends the sampling, and waits for what is being written, 1 s at the most. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sampler[Symbol.dispose]();
    await waitAtMost(Promise.all([this.#sending, this.#audience.close()]), FAREWELL_MS);
  }

  #sampled(): void {
    if (this.#options.isFollowed()) this.#audience.renew();
    this.#audience.check();
    if (this.#audience.isPresent) this.#send();
  }

  /** Stores the samples that are not yet, all that are kept; one append at a time. */
  #send(): void {
    const { taken } = this.#sampler;
    const samples = this.#sampler.after(this.#stored);
    if (this.#sending !== undefined || samples.length === 0) return;
    this.#sending = this.#append(samples)
      .then(() => {
        this.#stored = taken;
      }, (cause) => this.#options.onError(cause))
      .finally(() => this.#sending = undefined);
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
  const data = JSON.stringify(sample); // ASCII: its length is its bytes
  return {
    channelKey: FIGURES_CHANNEL_KEY,
    id: undefined,
    type: FIGURES_TYPE,
    contentType: JSON_TYPE,
    data,
    bytes: data.length,
    key: undefined,
    ttlMs: undefined,
  };
}
