import { Problem, quote } from "../lib/shared/problem.ts";
import { Socket, SUBPROTOCOL } from "../lib/transports/socket/socket.ts";
import type { Server } from "../lib/server.ts";
import { identify } from "./access.ts";
import { CREDENTIAL, QUERY } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { presentedIn } from "./credentials.ts";
import { LimitedClient } from "./limited_client.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";
import { requireRunning } from "./stopping.ts";

export const openSocketDescription: RouteDescription = {
  id: "openSocket",
  tag: "Read",
  summary: "Open a WebSocket",
  text:
    "The messages are in [`/asyncapi.json`](/asyncapi.json). A client that has no credential here sends it in the first frame.",
  needsCredential: false,
  takesTicket: true,
  query: described(noQuery, {}),
  headers: ["Upgrade", "Sec-WebSocket-Protocol"],
  neededHeaders: ["Upgrade"],
  answers: { 101: { text: "The connection is a WebSocket from now on (RFC 6455)." } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    "bad_subprotocol",
    "shutting_down",
    "too_many_connections",
    "upgrade_required",
  ],
};

/**
 * `GET /v1/socket`: opens a WebSocket (RFC 6455), of the subprotocol `weir.v1` if the client offers
 * it. A client that sends no credential here must send it in the first frame.
 */
export async function openSocket(
  c: AppContext,
  server: Pick<Server, "access" | "config" | "stopping" | "sockets">,
): Promise<Response> {
  const request = c.req.raw;
  // Before unknown parameters, so that a token in the URL is refused with that reason.
  if (!server.access.isOpen) presentedIn(c, server.config);
  parseQuery(splitUrl(request.url).searchParams, noQuery, ["ticket"]);
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new Problem("upgrade_required", "This resource is a WebSocket: send Upgrade: websocket.");
  }
  const offered = (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    throw new Problem(
      "bad_subprotocol",
      `Unknown subprotocol ${quote(offered.join(", "))}. Allowed: ${SUBPROTOCOL}.`,
    );
  }
  requireRunning(server);
  const requester = await identify(c, server);
  server.access.limiter.openSocket(requester);
  const connection = server.access.limiter.connect(requester);
  try {
    const { heartbeatMs } = server.config;
    const isPlain = offered.length === 0;
    const { socket, response } = Deno.upgradeWebSocket(request, {
      ...!isPlain && { protocol: SUBPROTOCOL },
      // In seconds. The runtime sends a ping after half of it and closes after all of it.
      idleTimeout: (2 * heartbeatMs) / 1_000,
    });
    const client = new LimitedClient(server.access, requester, connection);
    new Socket({ socket, client, isPlain }, server.sockets);
    return response;
  } catch (cause) {
    connection[Symbol.dispose]();
    if (!(cause instanceof TypeError)) throw cause;
    const detail = "Cannot upgrade: the headers of the WebSocket handshake are incomplete.";
    throw new Problem("upgrade_required", detail, { cause });
  }
}
