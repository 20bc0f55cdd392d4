import type { FeedListener } from "../core/link.ts";

/** A place to start reading whose offset is not known yet. */
export type Anchor = "latest" | "earliest";

/** One feed of a channel. */
export interface Reader {
  readonly listener: FeedListener;
  /** The offset after which it reads; an {@link Anchor} until that is known. */
  after: string;
  isPaused: boolean;
  /** Whether the transport reads for it: then `after` is an offset. */
  isLive: boolean;
  /** Whether its listener knows that reading has started. */
  isStarted: boolean;
}

/** A channel that is read once for all of its readers. */
export interface TrackedChannel {
  readonly channel: string;
  readonly readers: Set<Reader>;
  /** How far the transport has read. Undefined while no transport reads the channel. */
  reading: string | undefined;
  revision: number;
}

export function isAnchor(after: string): after is Anchor {
  return after === "latest" || after === "earliest";
}

export function activeReaders({ readers }: TrackedChannel): readonly Reader[] {
  return [...readers].filter(({ isPaused }) => !isPaused);
}

/** Returns the distinct positions of the active readers. */
export function activePositions(tracked: TrackedChannel): readonly string[] {
  return [...new Set(activeReaders(tracked).map(({ after }) => after))];
}

/** Returns where reading has to start for all positions: at an anchor only if there is no offset. */
export function firstPosition(positions: readonly string[]): string | undefined {
  const [first] = positions.filter((position) => !isAnchor(position)).sort();
  return first ?? positions[0];
}

/** Whether the transport will read everything after the reader's position. */
export function isCovered({ after }: Reader, { reading }: TrackedChannel): boolean {
  return !!reading && !isAnchor(after) && after >= reading;
}

export function goLive(reader: Reader): void {
  reader.isLive = true;
  if (reader.isStarted) return;
  reader.isStarted = true;
  reader.listener.started(reader.after);
}
