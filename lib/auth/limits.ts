import { z } from "zod";

/** What is counted. Rates are a second's, and a second's worth may come at once. */
export const LIMIT_NAMES = ["publishes", "bytes", "subscribes", "connections"] as const;
export type LimitName = typeof LIMIT_NAMES[number];

/** Publishes, bytes published and subscribes a second, and connections open at once. */
export type Limits = Readonly<Record<LimitName, number>>;

const limit = z.int().min(0).max(1e12);

/** Limits as a token's claim or an API key names them; those not named are the server's. */
export const limitsSchema = z.strictObject(
  { publishes: limit, bytes: limit, subscribes: limit, connections: limit },
).partial();
