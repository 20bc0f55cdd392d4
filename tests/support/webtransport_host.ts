import type { Hub } from "../../lib/hub/hub.ts";
import { serveWebTransport, type WebTransportServer } from "../../lib/quic/server.ts";
import {
  WebTransportConnection,
  type WebTransportOptions,
} from "../../lib/transports/webtransport/connection.ts";
import { ANYONE, type MessageHostOptions, messageParts } from "./message_parts.ts";
import { TEST_PAIR } from "./quic_certificate.ts";

/** A server of WebTransport alone, without routes and access control, on its own port. */
export class WebTransportHost implements AsyncDisposable {
  readonly hub: Hub;
  readonly options: WebTransportOptions;
  readonly #server: WebTransportServer;

  constructor(options: MessageHostOptions) {
    this.options = { ...messageParts(options), openConnections: new Set() };
    this.hub = this.options.hub;
    this.#server = serveWebTransport({
      hostname: "127.0.0.1",
      port: 0,
      pair: TEST_PAIR,
      onRequest: (request) => {
        const client = { ...ANYONE, ...options.client };
        new WebTransportConnection({ accept: request.accept, client }, this.options);
      },
      onError: (cause) => this.options.onError(cause, undefined),
    });
  }

  get url(): string {
    return `https://127.0.0.1:${this.#server.addr.port}/v1/webtransport`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { openConnections, drainPoller } = this.options;
    await Promise.all([...openConnections].map((connection) => connection.close("stopping")));
    drainPoller.close();
    await this.hub.close();
    await this.#server.close();
  }
}
