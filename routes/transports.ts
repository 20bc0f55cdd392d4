import { type Config, isLoopback } from "../lib/config.ts";
import { type QuicOffer, WEBTRANSPORT_PATH } from "../lib/quic_offer.ts";
import type { Server } from "../lib/server.ts";
import { QUERY } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { hostOf, isHttps } from "./origin.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

/** The transports that every server has, best first. */
const TRANSPORTS = ["websocket", "sse", "long-poll", "short-poll"];

export const getTransportsDescription: RouteDescription = {
  id: "getTransports",
  tag: "Server",
  summary: "List the transports of this server",
  needsCredential: false,
  query: described(noQuery, {}),
  answers: { 200: { text: "The transports, best first.", json: "Transports" } },
  problems: [...QUERY],
};

/**
 * `GET /v1/transports`: the transports of this server, best first, and where its WebTransport is.
 * Nobody needs a credential for it; `requireAllowed` refuses pages of other origins.
 */
export function getTransports(
  c: AppContext,
  server: Pick<Server, "config" | "quicOffer" | "stopping">,
): Response {
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  // A server that stops accepts no WebTransport connections.
  const offer = server.stopping.aborted ? undefined : server.quicOffer.current;
  const url = offer === undefined ? undefined : urlOf(offer, c.req.raw, server.config);
  const headers = { "Cache-Control": "no-store" };
  if (url === undefined) return c.json({ transports: TRANSPORTS }, 200, headers);
  const hash = offer?.certificateHash;
  const certificateHashes = [{ algorithm: "sha-256", value: hash }];
  return c.json(
    {
      transports: ["webtransport", ...TRANSPORTS],
      webtransport: { url, ...hash !== undefined && { certificateHashes } },
    },
    200,
    headers,
  );
}

/**
 * Returns the URL for clients that reach this server by the request's host, or undefined if they
 * cannot reach it over UDP.
 */
function urlOf(
  { hostname, port, httpPort }: QuicOffer,
  request: Request,
  config: Config,
): string | undefined {
  const url = `${isHttps(request, config) ? "https" : "http"}://${hostOf(request)}`;
  if (!URL.canParse(url)) return undefined; // a port above 65535
  const asked = new URL(url);
  // Other names lead to a proxy, and from there to this machine.
  if (isLoopback(hostname) && !isLoopback(asked.hostname)) return undefined;
  const askedPort = asked.port || (asked.protocol === "https:" ? "443" : "80");
  // What maps another port to that of HTTP, such as a load balancer, does the same for UDP.
  const udpPort = port === httpPort ? askedPort : port;
  return `https://${asked.hostname}:${udpPort}${WEBTRANSPORT_PATH}`;
}
