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
   * Takes all of `runs`. They are in log order; each follows the one before or begins with a gap.
   * Returns whether there is room for more: after false, nothing is written until
   * {@link Sink.drained} resolves. Must not throw.
   */
  write(runs: readonly Run[]): boolean;
  /** Takes ephemeral events, or drops them if there is no room. Must not throw. */
  deliverEphemeral(batch: EphemeralBatch): void;
  /** Returns whether there is room. The sinks of one connection share its room. */
  hasRoom(): boolean;
  /** Resolves once there is room, or the connection has ended. */
  drained(): Promise<void>;
  /** Sends the reason to the subscriber and ends. */
  close(reason: CloseReason): void;
}
