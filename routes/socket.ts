import type { Context } from "hono";
import { z } from "zod";
import { Problem, quote } from "../lib/shared/problem.ts";
import { SocketSession, SUBPROTOCOL } from "../lib/transports/socket.ts";
import type { Weir } from "../lib/weir.ts";
import { parseQuery, splitUrl } from "./query.ts";

/** `GET /v1/socket`: a WebSocket (RFC 6455) of the subprotocol `weir.v1`. */
export function openSocket(c: Context, weir: Weir): Response {
  const request = c.req.raw;
  parseQuery(splitUrl(request.url).searchParams, z.object({}));
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new Problem("upgrade_required", "This is a WebSocket: ask with Upgrade: websocket.");
  }
  const offered = (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    throw new Problem(
      "bad_subprotocol",
      `Cannot speak ${quote(offered.join(", "))}: the subprotocol is ${SUBPROTOCOL}.`,
    );
  }
  if (weir.isStopping()) throw new Problem("shutting_down", "This server is stopping.");
  const { heartbeat } = weir.config;
  const { socket, response } = Deno.upgradeWebSocket(request, {
    ...offered.length > 0 && { protocol: SUBPROTOCOL },
    // Seconds: the runtime pings at half of it and closes at the whole.
    idleTimeout: (2 * heartbeat) / 1_000,
  });
  new SocketSession(socket, weir.sockets);
  return response;
}
