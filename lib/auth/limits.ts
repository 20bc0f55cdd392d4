import { z } from "zod";

/** What is limited: rates per second, of which a second's worth may come at once, and connections. */
export const LIMIT_NAMES = ["publishes", "bytes", "subscribes", "connections"] as const;
export type LimitName = typeof LIMIT_NAMES[number];

/** Publishes, published bytes and subscribes per second, and connections open at the same time. */
export type Limits = Readonly<Record<LimitName, number>>;

const limit = z.int().min(0).max(1e12);

/** The limits in a token's claim or an API key; the server's limits apply for missing ones. */
export const limitsSchema = z.strictObject(
  { publishes: limit, bytes: limit, subscribes: limit, connections: limit },
).partial();
