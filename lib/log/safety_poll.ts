import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { NO_EPOCH, type Position } from "../shared/offset.ts";
import { getMany } from "./get_many.ts";
import type { StoredHead } from "./head.ts";
import type { LogListener } from "./log.ts";

/**
 * Heads that are read at once. Guards against a poll of thousands of channels that keeps the event
 * loop busy: each part waits for the answers to the one before.
 */
export const POLLED_AT_ONCE = 200;

interface SafetyPollOptions {
  readonly kv: Deno.Kv;
  readonly listeners: ReadonlyMap<ChannelKey, LogListener>;
  /** Between two polls; 0 disables them. */
  readonly intervalMs: number;
}

/**
 * Notifies listeners of channels whose head has changed and is not where the listener is, in case
 * the doorbell has failed.
 */
export class SafetyPoll {
  readonly #options: SafetyPollOptions;
  /** The versionstamp of each channel's head, as of the last poll. */
  readonly #polled = new Map<ChannelKey, string | null>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  /** The poll under way. The next one waits for its end, even if the store is slow. */
  #polling: Promise<void> | undefined;
  #isClosed = false;

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
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const channelKeys = [...this.#options.listeners.keys()];
    try {
      for (let at = 0; at < channelKeys.length && !this.#isClosed; at += POLLED_AT_ONCE) {
        await this.#pollSome(channelKeys.slice(at, at + POLLED_AT_ONCE));
      }
    } catch {
      // The store does not answer. The next poll comes soon, and streams wait until then.
    }
  }

  /** @throws {import("../shared/problem.ts").Problem} `storage_*` */
  async #pollSome(channelKeys: readonly ChannelKey[]): Promise<void> {
    const { kv, listeners } = this.#options;
    const heads = await withStoreTimeout(getMany<StoredHead>(kv, channelKeys.map(keys.head)));
    channelKeys.forEach((channelKey, i) => {
      const head = heads[i];
      const versionstamp = head?.versionstamp ?? null;
      const listener = listeners.get(channelKey);
      if (listener === undefined || this.#polled.get(channelKey) === versionstamp) return;
      this.#polled.set(channelKey, versionstamp);
      if (!isAt(listener.position, head?.value ?? null)) listener.changed();
    });
  }
}

/** Returns whether a listener at `position` has everything up to the end that `head` describes. */
function isAt({ epoch, sequence }: Position, head: StoredHead | null): boolean {
  if (head === null) return epoch === NO_EPOCH;
  return head.epoch === epoch && head.last <= sequence;
}
