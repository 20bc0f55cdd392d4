import type { Context } from "hono";
import { type Channel, channelKeyOf, DEFAULT_TENANT } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";

/** No client can make a channel of this name: the read only shows that the store answers. */
const PROBE = channelKeyOf(DEFAULT_TENANT, "$ready" as Channel);

/** `GET /healthz`: the process runs. */
export function healthz(c: Context): Response {
  return c.json({ status: "ok" });
}

/** `GET /readyz`: the process serves: the store answers, and it isn't stopping. */
export async function readyz(c: Context, server: Server): Promise<Response> {
  if (server.isStopping()) throw new Problem("shutting_down", "This server is stopping.");
  await server.log.head(PROBE);
  return c.json({ status: "ok" });
}
