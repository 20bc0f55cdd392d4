import type { Context } from "hono";
import { addressOf, type Channel, DEFAULT_TENANT } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";

/** No client can make a channel of this name: the read only shows that the store answers. */
const PROBE = addressOf(DEFAULT_TENANT, "$ready" as Channel);

/** `GET /healthz`: the process runs. */
export function healthz(c: Context): Response {
  return c.json({ status: "ok" });
}

/** `GET /readyz`: the process serves: the store answers, and it isn't stopping. */
export async function readyz(c: Context, weir: Weir): Promise<Response> {
  if (weir.isStopping()) throw new Problem("shutting_down", "This server is stopping.");
  await weir.log.head(PROBE);
  return c.json({ status: "ok" });
}
