/** Subscribers of a server that stops come back spread over this time, in ms. */
const SPREAD_MS = 3_000;

/** Milliseconds that one client should wait before it reconnects, at random. */
export function reconnectDelay(random: () => number = Math.random): number {
  return Math.round(200 + random() * SPREAD_MS);
}
