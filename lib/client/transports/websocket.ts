import { type Transport, type TransportHost, urlOf } from "../connection/transport.ts";
import { onAbort } from "../core/on_abort.ts";
import { connectionLost, MessageTransport } from "./message_transport.ts";

/** See docs/protocol.md, "WebSocket". */
const SUBPROTOCOL = "weir.v1";

/**
 * Opens `GET /v1/socket` and authenticates.
 *
 * @param resolveAnchors finds the offsets of `latest` and `earliest` over HTTP, for readers that join
 * a channel which the socket reads already.
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export async function openWebSocket(
  host: TransportHost,
  resolveAnchors: (host: TransportHost) => Promise<void>,
): Promise<Transport> {
  const { base, credentials, platform } = host;
  const { token, ticket } = await credentials.get();
  const url = urlOf(base, "/v1/socket");
  url.protocol = url.protocol.replace("http", "ws");
  if (ticket) url.searchParams.set("ticket", ticket);
  // A connection does not try transports that the platform lacks.
  const socket = new platform.WebSocket!(url, SUBPROTOCOL);
  const closed = new Promise<unknown>((resolve) => socket.onclose = socket.onerror = resolve);
  host.release(closed.then(() => host.down(connectionLost())));
  onAbort(host.signal, () => socket.close());
  return await new Promise((onOpen) => {
    const transport = new MessageTransport({
      host,
      token,
      resolveAnchors,
      send: (frame) => socket.readyState === 1 && socket.send(frame),
      onOpen,
    });
    socket.onmessage = ({ data }) => transport.receive(data);
  });
}
