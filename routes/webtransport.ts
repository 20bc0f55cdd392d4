import { z } from "zod";
import { clientIp } from "../lib/auth/client_ip.ts";
import { errorFields } from "../lib/logger.ts";
import type { WebTransportRequest } from "../lib/quic/session.ts";
import { WEBTRANSPORT_PATH } from "../lib/quic_offer.ts";
import type { Server } from "../lib/server.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { statusOf } from "../lib/shared/problem_codes.ts";
import { WebTransportConnection } from "../lib/transports/webtransport/connection.ts";
import { verify } from "./access.ts";
import { presentedWithoutCookie } from "./credentials.ts";
import { LimitedClient } from "./limited_client.ts";
import { RefusedOriginLog, type RequestHead, requireAllowed } from "./origin.ts";
import { parseQuery, requireShortUrl, splitUrl } from "./query.ts";
import { RateLimitDelay } from "./rate_limit_delay.ts";
import { requireRunning } from "./stopping.ts";

type WebTransportServer = Pick<
  Server,
  "access" | "config" | "stopping" | "logger" | "meter" | "quicOffer" | "webTransport"
>;

/**
 * Returns what accepts or refuses requests to open a WebTransport connection, by the rules for
 * WebSockets. A refused client gets the status of the problem, and no page of it.
 */
export function webTransportHandler(
  server: WebTransportServer,
): (request: WebTransportRequest) => void {
  const delay = new RateLimitDelay();
  const refusedOrigins = new RefusedOriginLog(server.logger);
  const refuse = async (request: WebTransportRequest, head: RequestHead, cause: unknown) => {
    if (!(cause instanceof Problem)) throw cause;
    server.meter.problem(cause);
    if (cause.code === "forbidden_origin") refusedOrigins.add(head, cause.detail);
    if (cause.code === "rate_limited") await delay.wait();
    request.refuse(statusOf(cause.code));
  };
  return (request) => {
    const head = headOf(request, server);
    open(request, head, server)
      .catch((cause) => refuse(request, head, cause))
      // `lib/quic` closes the connection, since the request is not accepted.
      .catch((cause) => server.logger.error("a WebTransport request failed", errorFields(cause)));
  };
}

/**
 * Opens a connection. A client without a ticket must send its credential in the first message.
 *
 * @throws {Problem}
 */
async function open(
  request: WebTransportRequest,
  head: RequestHead,
  server: WebTransportServer,
): Promise<void> {
  const { access, config } = server;
  requireShortUrl(head);
  requireAllowed(head, config);
  const { path, searchParams } = splitUrl(head.url);
  if (path !== WEBTRANSPORT_PATH) throw new Problem("not_found", `No resource ${quote(path)}.`);
  // Before unknown parameters, so that a token in the URL is refused with that reason.
  const presented = access.isOpen ? undefined : presentedWithoutCookie(head);
  parseQuery(searchParams, z.object({}), ["ticket"]);
  requireRunning(server);
  const ip = clientIp(request.remoteAddr.hostname, null, config.trustedProxies);
  const requester = presented === undefined
    ? { authority: access.anonymous, ip: "" }
    : await verify(presented, { head, ip }, server);
  access.limiter.openSocket(requester);
  const connection = access.limiter.connect(requester);
  try {
    const client = new LimitedClient(access, requester, connection);
    new WebTransportConnection(
      { accept: (handler) => request.accept(handler), client },
      server.webTransport,
    );
  } catch (cause) {
    connection[Symbol.dispose]();
    throw cause;
  }
}

/**
 * Returns the request as one to HTTP, which has the rules: their host is the one that HTTP has,
 * although WebTransport may be on another port.
 */
function headOf(
  { path, authority, origin, headers }: WebTransportRequest,
  server: WebTransportServer,
): RequestHead {
  const host = httpHostOf(authority, server);
  return {
    url: `https://${host}${path}`,
    headers: {
      get(name) {
        if (name === "host") return host;
        return (name === "origin" ? origin : headers.get(name)) ?? null;
      },
    },
  };
}

/** Returns the host and port of HTTP for a client that reaches WebTransport by `authority`. */
function httpHostOf(
  authority: string,
  { config, quicOffer }: Pick<Server, "config" | "quicOffer">,
): string {
  if (!URL.canParse(`https://${authority}`)) return authority;
  const { hostname, port } = new URL(`https://${authority}`);
  const isPublic = (url: string) => new URL(url).hostname === hostname;
  const publicUrl = config.publicUrls.find(isPublic);
  if (publicUrl !== undefined) return new URL(publicUrl).host;
  const udpPort = Number(port || "443");
  const offer = quicOffer.current;
  const httpPort = udpPort === offer?.port ? offer.httpPort : udpPort;
  // A URL has no port that is the default of its scheme.
  return new URL(`${config.tls === undefined ? "http" : "https"}://${hostname}:${httpPort}`).host;
}
