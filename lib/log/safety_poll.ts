import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { getMany } from "./get_many.ts";
import type { LogListener } from "./log.ts";

interface SafetyPollOptions {
  readonly kv: Deno.Kv;
  readonly listeners: ReadonlyMap<ChannelKey, LogListener>;
  /** Between two polls; 0 disables them. */
  readonly intervalMs: number;
}

/** Notifies listeners of channels whose head has changed, in case the doorbell has failed. */
export class SafetyPoll {
  readonly #options: SafetyPollOptions;
  /** The versionstamp of each channel's head, as of the last poll. */
  readonly #polled = new Map<ChannelKey, string | null>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  /** The poll under way. The next one waits for its end, even if the store is slow. */
  #polling: Promise<void> | undefined;

  constructor(options: SafetyPollOptions) {
    this.#options = options;
    if (options.intervalMs === 0) return;
    this.#timer = setInterval(() => {
      this.#polling ??= this.#poll().finally(() => this.#polling = undefined);
    }, options.intervalMs);
  }

  /** Removes what is known of a channel that has no listener any more. */
  forget(channelKey: ChannelKey): void {
    this.#polled.delete(channelKey);
  }

  /** Stops polling. Resolves once the poll under way has ended. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const { kv, listeners } = this.#options;
    const channelKeys = [...listeners.keys()];
    try {
      const heads = await withStoreTimeout(getMany(kv, channelKeys.map(keys.head)));
      channelKeys.forEach((channelKey, i) => {
        const versionstamp = heads[i]?.versionstamp ?? null;
        const before = this.#polled.get(channelKey);
        const listener = listeners.get(channelKey);
        if (listener === undefined) return;
        this.#polled.set(channelKey, versionstamp);
        if (before !== versionstamp) listener.changed();
      });
    } catch {
      // The store does not answer. The next poll comes soon, and streams wait until then.
    }
  }
}
