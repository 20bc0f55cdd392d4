import type { ChannelKey } from "../shared/channel.ts";

/**
 * Tells other isolates which channels have new events. It may ring too often or, if a connection
 * breaks, not at all: listeners read the log, which also has a safety poll.
 */
export interface Doorbell {
  /** Adds to a commit the writes that wake other isolates. */
  prepare(atomic: Deno.AtomicOperation, channelKeys: readonly ChannelKey[]): void;
  /**
   * Must be called after the commit. `versionstamp` is undefined if the commit had no answer and was
   * found in the log.
   */
  committed(channelKeys: readonly ChannelKey[], versionstamp: string | undefined): void;
  /** Calls `onRing` when another isolate may have stored events in the channel. */
  listen(channelKey: ChannelKey, onRing: () => void): Disposable;
  close(): Promise<void>;
}
