import { LocalServer } from "./local_server.ts";
import { SocketClient, type SocketMessage } from "./socket_client.ts";
import { WebTransportClient } from "./webtransport_client.ts";

/** A client that sends and receives messages of `weir.v1`. */
export interface MessageClient extends AsyncDisposable {
  send(...messages: readonly SocketMessage[]): void;
  /** Returns the next message. Without an order between subscriptions, see {@link until}. */
  next(): Promise<SocketMessage>;
  /** Returns the next message with `op`. @throws {Error} at an error. */
  until(op: string): Promise<SocketMessage>;
  /** Asserts that the server closes the connection, with this code if the client can see it. */
  closedWith(code: number): Promise<void>;
}

export type OpenMessageClient = (
  url: string,
  options?: { readonly token?: string; readonly query?: string },
) => Promise<MessageClient>;

/** The transports that carry messages of `weir.v1` both ways. */
export const MESSAGE_CLIENTS: Readonly<Record<string, OpenMessageClient>> = {
  "socket": openSocket,
  "WebTransport connection": openWebTransport,
};

async function openSocket(
  url: string,
  options: Parameters<OpenMessageClient>[1],
): Promise<MessageClient> {
  const client = await SocketClient.open(url, options);
  return {
    send: (...messages) => client.send(...messages),
    next: () => client.next(),
    until: (op) => client.until(op),
    async closedWith(code) {
      const closed = await client.closed;
      if (closed.code !== code) throw new Error(`closed with ${closed.code} instead of ${code}`);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Deno's own client does not show the code of a close. */
async function openWebTransport(
  url: string,
  options: Parameters<OpenMessageClient>[1],
): Promise<MessageClient> {
  await LocalServer.at(url)?.serveWebTransport();
  const client = await WebTransportClient.openOffered(url, options);
  return {
    send: (...messages) => void client.send(...messages).catch(() => {}), // it has ended
    next: async () => (await client.take())[0],
    until: async (op) => (await client.next(op))[0],
    closedWith: async () => void await client.transport.closed.catch(() => {}),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
