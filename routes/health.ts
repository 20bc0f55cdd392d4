import { type Channel, channelKeyOf, DEFAULT_TENANT } from "../lib/shared/channel.ts";
import type { Server } from "../lib/server.ts";
import { STORE_WRITE } from "./api_description/problem_groups.ts";
import type { RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { requireRunning } from "./stopping.ts";

/** Clients cannot create a channel of this name. Reading it shows whether the store answers. */
const PROBE = channelKeyOf(DEFAULT_TENANT, "$ready" as Channel);

export const healthzDescription: RouteDescription = {
  id: "getHealth",
  tag: "Server",
  summary: "Tell whether the process runs",
  needsCredential: false,
  answers: { 200: { text: "It runs.", json: "Status" } },
  problems: [],
};

/** `GET /healthz`: answers if the process runs. */
export function healthz(c: AppContext): Response {
  return c.json({ status: "ok" });
}

export const readyzDescription: RouteDescription = {
  id: "getReadiness",
  tag: "Server",
  summary: "Tell whether the server takes requests",
  needsCredential: false,
  answers: { 200: { text: "The store answers and takes events.", json: "Status" } },
  problems: [...STORE_WRITE],
};

/** `GET /readyz`: answers if the store answers and takes events, and the server isn't stopping. */
export async function readyz(
  c: AppContext,
  server: Pick<Server, "stopping" | "log" | "requireWritable">,
): Promise<Response> {
  requireRunning(server);
  server.requireWritable();
  await server.log.head(PROBE);
  return c.json({ status: "ok" });
}
