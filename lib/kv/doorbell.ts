import type { ChannelKey } from "../shared/channel.ts";

/** What a commit does to a channel. */
export interface ChannelChange {
  readonly channelKey: ChannelKey;
  /** The value that the commit sets the channel's head to. @default not passed on */
  readonly head?: unknown;
  /**
   * What the commit appends to the channel, as plain data that only the log understands.
   *
   * @default not passed on
   */
  readonly carried?: unknown;
}

/** Returns the heads of `changes`, in their order, or undefined if there is none to pass on. */
export function headsOf(changes: readonly ChannelChange[]): readonly unknown[] | undefined {
  const hasHeads = changes.some(({ head }) => head !== undefined);
  return hasHeads ? changes.map(({ head }) => head) : undefined;
}

/** What is known of a commit of another isolate, for one of its channels. */
export interface CommitNews {
  /** The isolate. Its name has no meaning elsewhere. */
  readonly by: string;
  /** The value of the channel's head since the commit; undefined if it was not passed on. */
  readonly head: unknown;
  /** What the commit has appended to the channel; undefined if it was not passed on. */
  readonly carried?: unknown;
  /** The commit's, and that of all rows that it set. */
  readonly versionstamp: string;
}

/**
 * Tells other isolates which channels have new events. It may ring too often or, if a connection
 * breaks, not at all: listeners read the log, which also has a safety poll. The news of commits may
 * be late.
 */
export interface Doorbell {
  /**
   * Upper bound of the bytes that the changes of a commit may carry.
   *
   * @default 0, so that nothing is passed on
   */
  readonly maxCarriedBytes?: number;
  /** Adds to a commit the writes that wake other isolates. */
  prepare(atomic: Deno.AtomicOperation, changes: readonly ChannelChange[]): void;
  /**
   * Must be called after the commit. `versionstamp` is undefined if the commit had no answer and was
   * found in the log.
   */
  committed(changes: readonly ChannelChange[], versionstamp: string | undefined): void;
  /** Rings for a change that is in no commit. The versionstamp in its news has no meaning. */
  ring(change: ChannelChange): void;
  /**
   * Calls `onRing` when another isolate may have stored events in the channel, with the news of each
   * commit at most once. They may come before those of earlier commits, as their versionstamps tell,
   * and are undefined if nothing is known.
   */
  listen(channelKey: ChannelKey, onRing: (news?: CommitNews) => void): Disposable;
  close(): Promise<void>;
}
