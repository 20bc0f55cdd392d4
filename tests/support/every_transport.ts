import { type TransportName, TRANSPORTS } from "../../lib/client/api.ts";
import { FaultProxy } from "./fault_proxy.ts";
import type { LocalServer } from "./local_server.ts";

/** All transports of the client, best first. */
export const EVERY_TRANSPORT: readonly TransportName[] = ["webtransport", ...TRANSPORTS];

/** Makes a server have `transport`, and returns it. */
export async function withTransport(
  transport: TransportName,
  server: LocalServer,
): Promise<LocalServer> {
  if (transport === "webtransport") await server.serveWebTransport();
  return server;
}

/** Returns a proxy that passes `transport` on. */
export function proxyFor(transport: TransportName, { port }: LocalServer): FaultProxy {
  return transport === "webtransport" ? FaultProxy.withUdp(port) : new FaultProxy(port);
}
