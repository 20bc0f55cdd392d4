import type { EndReason } from "../auth/connections.ts";
import type { CloseReason } from "../hub/sink.ts";

/** Clients reconnect spread over this time, so that those of a stopped server don't come at once. */
const SPREAD_MS = 3_000;

/** Why a client should continue at another server. Until it does, its connection works. */
export type MoveReason = Extract<GoodbyeReason, "stopping" | "rotate">;

/** Returns whether the client should continue at another server. */
export function isMove(reason: GoodbyeReason): reason is MoveReason {
  return reason === "stopping" || reason === "rotate";
}

/** The reason for which Weir ends a connection, as sent to the client. */
export type GoodbyeReason =
  | CloseReason
  | EndReason
  /** The connection has reached its greatest age. */
  | "rotate"
  /** The client lost the right to everything that it was subscribed to. */
  | "forbidden"
  /** The client did not authenticate in time. */
  | "unauthenticated"
  /** The client keeps sending more than its limits allow. */
  | "flooding";

/** Close codes of `weir.v1`, in the range that RFC 6455 §7.4.2 leaves to applications. */
export const CLOSE_CODES: Readonly<Record<GoodbyeReason, number>> = {
  stopping: 4000,
  rotate: 4000,
  slow: 4001,
  expired: 4401,
  forbidden: 4401,
  revoked: 4401,
  unauthenticated: 4401,
  flooding: 4429,
};

/** Close code after a frame, or a line where there are no frames, that was too large. */
export const FRAME_TOO_LARGE = 4002;

/** Returns a random number of milliseconds that one client should wait before it reconnects. */
export function reconnectDelay(random: () => number = Math.random): number {
  return Math.round(200 + random() * SPREAD_MS);
}
