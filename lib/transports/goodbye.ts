import type { EndReason } from "../auth/connections.ts";
import type { CloseReason } from "../hub/sink.ts";

/** Subscribers of a server that stops come back spread over this time, in ms. */
const SPREAD_MS = 3_000;

/** Why a connection is ended by Weir, as its client is told. */
export type GoodbyeReason =
  | CloseReason
  | EndReason
  /** It has lost the right to all that it was subscribed to. */
  | "forbidden"
  /** It did not say who it is in time. */
  | "unauthenticated"
  /** It sends more than is let through, and goes on. */
  | "flooding";

/** Milliseconds that one client should wait before it reconnects, at random. */
export function reconnectDelay(random: () => number = Math.random): number {
  return Math.round(200 + random() * SPREAD_MS);
}
