import type { Run } from "../log/run.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";

/** Why the hub ends a subscription. */
export type CloseReason =
  /** The subscriber has taken nothing for too long. */
  | "slow"
  /** The server is stopping. */
  | "stopping";

/** Where a subscription writes its events: all that the hub knows of a transport. */
export interface Sink {
  /**
   * Approximate bytes that an encoding adds to the data of each event. Of few values, since the
   * pieces of a run are shared by the sinks with the same value.
   */
  readonly eventBytes: number;
  /**
   * Takes all of `runs`. They are in log order; each follows the one before or begins with a gap.
   * Called right after {@link Sink.hasRoom} returned true. Must not throw.
   */
  write(runs: readonly Run[]): void;
  /**
   * Takes ephemeral events, or drops them if there is no room, and returns how many it takes. Must
   * not throw.
   */
  deliverEphemeral(batch: EphemeralBatch): number;
  /** When the connection last took some of what was written, by `performance.now()`. */
  readonly takenAt: number;
  /**
   * Returns whether there is room for a write of `bytes`: they fit, or nothing else waits. The sinks
   * of one connection share its room.
   *
   * @param hasWaited whether drained() has resolved since the last write. Otherwise there is no room
   * while other sinks of the connection wait. @default false
   */
  hasRoom(bytes: number, hasWaited?: boolean): boolean;
  /**
   * Resolves once there is room for a write of `bytes`, after that of the sinks that waited before,
   * or the connection has ended.
   */
  drained(bytes: number): Promise<void>;
  /** Sends the reason to the subscriber and ends. */
  close(reason: CloseReason): void;
}
