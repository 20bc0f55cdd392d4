import { OPEN } from "../../lib/auth/authority.ts";
import { Connections } from "../../lib/auth/connections.ts";
import { Hub } from "../../lib/hub/hub.ts";
import type { Log } from "../../lib/log/log.ts";
import { DrainPoller } from "../../lib/transports/socket/drain_poller.ts";
import { MessageBudget } from "../../lib/transports/messages/message_lane.ts";
import { LargeWrites } from "../../lib/transports/large_writes.ts";
import { UnreadBudget } from "../../lib/transports/unread_budget.ts";
import { EphemeralPublisher } from "../../lib/hub/ephemeral_publisher.ts";
import { Socket, type SocketOptions, SUBPROTOCOL } from "../../lib/transports/socket/socket.ts";
import type { MessageClient } from "../../lib/transports/messages/client.ts";

export interface SocketHostOptions {
  readonly log: Log;
  /** Who opens a socket. @default an authority with all rights */
  readonly client?: Partial<MessageClient>;
  readonly onError?: SocketOptions["onError"];
  /** How long a subscriber may take nothing, in ms. */
  readonly stallTimeoutMs?: number;
}

/** A server of sockets alone, without routes and access control, on its own port. */
export class SocketHost implements AsyncDisposable {
  readonly hub: Hub;
  readonly options: SocketOptions;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ log, client, onError, stallTimeoutMs: stallTimeout }: SocketHostOptions) {
    this.hub = new Hub({
      log,
      lingerMs: 1,
      ...stallTimeout !== undefined && { stallTimeoutMs: stallTimeout },
    });
    this.options = {
      hub: this.hub,
      connections: new Connections(),
      presence: NOBODY,
      signals: { send: () => Promise.reject(new Error("nobody asks for it")) },
      drainPoller: new DrainPoller(),
      unreadBudget: new UnreadBudget(new LargeWrites()),
      largeWrites: new LargeWrites(),
      messageBudget: new MessageBudget(),
      append: (drafts) => log.append(drafts),
      ephemeral: new EphemeralPublisher({ hub: this.hub }),
      heartbeatMs: 15_000,
      onError: onError ?? ((cause) => {
        throw cause;
      }),
      sockets: new Set(),
    };
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
      new Socket({ socket, client: { ...ANYONE, ...client }, isPlain: false }, this.options);
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

const NOBODY: SocketOptions["presence"] = {
  join: () => Promise.reject(new Error("nobody asks for it")),
  leave: () => Promise.resolve(),
  endSession: () => Promise.resolve(),
  disconnect() {},
  hasSession: () => false,
};

const ANYONE: MessageClient = {
  authority: OPEN,
  authenticate: () => Promise.reject(new Error("nobody asks for it")),
  admitted() {},
  published() {},
  subscribed() {},
  denied() {},
  flooded() {},
  left() {},
};
