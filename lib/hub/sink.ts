import type { Run } from "../log/run.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";

/** Why Weir ends a subscription by itself. */
export type CloseReason =
  /** The subscriber took nothing for too long. */
  | "slow"
  /** The server stops. */
  | "stopping";

/** All that the hub knows of a transport: where the runs of one subscription go. */
export interface Sink {
  /**
   * Takes all of `runs`, in log order and without a hole that no gap says. False: it is full, and
   * gets nothing more before {@link Sink.drained}. Must not throw.
   */
  write(runs: readonly Run[]): boolean;
  /** Takes ephemeral events if it has room, else drops them. Must not throw. */
  deliverEphemeral(batch: EphemeralBatch): void;
  /** Whether it takes more now. The sinks of one connection share its room. */
  hasRoom(): boolean;
  /** Resolves when there is room again, or nobody will ever take anything again. */
  drained(): Promise<void>;
  /** Tells the subscriber the reason and ends. */
  close(reason: CloseReason): void;
}
