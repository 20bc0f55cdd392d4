import { SerialQueue } from "../shared/async/serial_queue.ts";
import type { WakeRow } from "./journal_row.ts";
import { keys } from "./keys.ts";
import { KV_LIMITS } from "./limits.ts";

/** Pause before a broken watch is started again. The log's safety poll covers the time between. */
const RESTART_DELAY_MS = 1_000;

/** The last commit in a shard. */
export interface Wake {
  readonly shard: number;
  /** That of the shard's wake key; empty if nothing was ever written to it. */
  readonly versionstamp: string;
  /** Undefined if the wake key does not have it. */
  readonly row: WakeRow | undefined;
}

interface WakeWatchOptions {
  /** A handle for the watch alone: on a shared handle, watching made all requests slower. */
  readonly kv: Deno.Kv;
  /** Returns the shards to watch. */
  readonly shards: () => readonly number[];
  /** Receives all watched shards when the watch starts and whenever one was written to. */
  readonly onWake: (wakes: readonly Wake[]) => void;
}

/** Watches the wake keys of shards, with a single watch for all. */
export class WakeWatch {
  readonly #options: WakeWatchOptions;
  #watch:
    | { readonly reader: ReadableStreamDefaultReader; readonly done: Promise<void> }
    | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Two restarts at once would leave a watch that is never ended. */
  readonly #restarts = new SerialQueue();
  #isClosed = false;

  constructor(options: WakeWatchOptions) {
    this.#options = options;
  }

  /** Starts the watch again, because there are other shards to watch. */
  restart(delayMs = 0): void {
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#restarts.run(() => this.#start());
    }, delayMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#restarts.idle();
    await this.#stop();
  }

  async #start(): Promise<void> {
    await this.#stop();
    if (this.#isClosed) return;
    const shards = this.#options.shards().slice(0, KV_LIMITS.watch);
    if (shards.length === 0) return;
    const reader = this.#options.kv.watch<unknown[]>(shards.map(keys.wake)).getReader();
    this.#watch = { reader, done: this.#read(reader, shards) };
  }

  async #stop(): Promise<void> {
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch === undefined) return;
    await watch.reader.cancel().catch(() => {}); // a broken watch has ended already
    await watch.done;
  }

  async #read(
    reader: ReadableStreamDefaultReader<Deno.KvEntryMaybe<unknown>[]>,
    shards: readonly number[],
  ): Promise<void> {
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const entries = read.value;
        this.#options.onWake(
          shards.map((shard, i) => ({
            shard,
            versionstamp: entries[i]?.versionstamp ?? "",
            row: rowOf(entries[i]?.value),
          })),
        );
      }
    } catch {
      // The store does not answer.
    }
    if (this.#watch?.reader === reader) this.restart(RESTART_DELAY_MS);
  }
}

function rowOf(value: unknown): WakeRow | undefined {
  return typeof value === "object" && value !== null ? value as WakeRow : undefined;
}
