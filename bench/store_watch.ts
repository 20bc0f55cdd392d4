/** Watches what a channel keeps and how large the file of the store is. */
import type { LoadOptions } from "./options.ts";
import { channelName } from "./wire.ts";

const INTERVAL_MS = 500;

/** The figures of a whole run. */
interface StoreFigures {
  readonly keptEvents: number | null;
  readonly storeGrowth: number | null;
}

/** Samples the first channel and the store during the timed part. */
export class StoreWatch {
  readonly #options: LoadOptions;
  readonly #sizes: number[] = [];
  #kept = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sampling: Promise<void> | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Starts, if the run has a store to watch. */
  start(): void {
    if (this.#options.storePath === "") return;
    this.#timer = setInterval(() => {
      this.#sampling ??= this.#sample().finally(() => this.#sampling = undefined);
    }, INTERVAL_MS);
  }

  async stop(): Promise<StoreFigures> {
    clearInterval(this.#timer);
    await this.#sampling;
    const [last, before] = [1, 2 / 3].map((share) => {
      return this.#sizes[Math.ceil(share * this.#sizes.length) - 1];
    });
    if (last === undefined || before === undefined) return { keptEvents: null, storeGrowth: null };
    return { keptEvents: this.#kept, storeGrowth: last / before };
  }

  async #sample(): Promise<void> {
    const { publishAt, storePath, token } = this.#options;
    const response = await fetch(`http://${publishAt}/v1/channels/${channelName(0)}`, {
      headers: token === "" ? {} : { Authorization: `Bearer ${token}` },
    });
    const { events } = await response.json();
    this.#kept = Math.max(this.#kept, Number(events));
    this.#sizes.push((await Deno.stat(storePath)).size);
  }
}
