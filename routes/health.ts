import { type Channel, channelKeyOf, DEFAULT_TENANT } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import type { AppContext } from "./context.ts";

/** Clients cannot create a channel of this name. Reading it shows whether the store answers. */
const PROBE = channelKeyOf(DEFAULT_TENANT, "$ready" as Channel);

/** `GET /healthz`: answers if the process runs. */
export function healthz(c: AppContext): Response {
  return c.json({ status: "ok" });
}

/** `GET /readyz`: answers if the store answers and takes events, and the server isn't stopping. */
export async function readyz(
  c: AppContext,
  server: Pick<Server, "stopping" | "log" | "requireWritable">,
): Promise<Response> {
  if (server.stopping.aborted) throw new Problem("shutting_down", "This server is stopping.");
  server.requireWritable();
  await server.log.head(PROBE);
  return c.json({ status: "ok" });
}
