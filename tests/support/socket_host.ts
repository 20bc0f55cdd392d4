import type { Hub } from "../../lib/hub/hub.ts";
import { Socket, type SocketOptions, SUBPROTOCOL } from "../../lib/transports/socket/socket.ts";
import { ANYONE, type MessageHostOptions, messageParts } from "./message_parts.ts";

/** A server of sockets alone, without routes and access control, on its own port. */
export class SocketHost implements AsyncDisposable {
  readonly hub: Hub;
  readonly options: SocketOptions;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: MessageHostOptions) {
    this.options = { ...messageParts(options), sockets: new Set() };
    this.hub = this.options.hub;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
      new Socket(
        { socket, client: { ...ANYONE, ...options.client }, isPlain: false },
        this.options,
      );
      return response;
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.options.sockets].map((socket) => socket.close("stopping")));
    this.options.drainPoller.close();
    await this.hub.close();
    await this.#server.shutdown();
  }
}
