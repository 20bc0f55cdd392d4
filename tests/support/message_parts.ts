import { OPEN } from "../../lib/auth/authority.ts";
import { Connections } from "../../lib/auth/connections.ts";
import { EphemeralPublisher } from "../../lib/hub/ephemeral_publisher.ts";
import { Hub } from "../../lib/hub/hub.ts";
import type { Log } from "../../lib/log/log.ts";
import { Goodbyes } from "../../lib/transports/goodbyes.ts";
import { DrainPoller } from "../../lib/transports/drain_poller.ts";
import { LargeWrites } from "../../lib/transports/large_writes.ts";
import type { MessageClient } from "../../lib/transports/messages/client.ts";
import type { MessageConnectionParts } from "../../lib/transports/messages/message_connection.ts";
import { MessageBudget } from "../../lib/transports/messages/message_lane.ts";
import { UnreadBudget } from "../../lib/transports/unread_budget.ts";

export interface MessageHostOptions {
  readonly log: Log;
  /** Who opens a connection. @default an authority with all rights */
  readonly client?: Partial<MessageClient>;
  readonly onError?: MessageConnectionParts["onError"];
  /** How long a subscriber may take nothing, in ms. */
  readonly stallTimeoutMs?: number;
}

/** What connections need of an isolate, without presence, signals and access control. */
export interface MessageParts extends MessageConnectionParts {
  readonly drainPoller: DrainPoller;
  readonly unreadBudget: UnreadBudget;
  readonly largeWrites: LargeWrites;
}

export function messageParts(
  { log, onError, stallTimeoutMs }: MessageHostOptions,
): MessageParts {
  const hub = new Hub({ log, lingerMs: 1, ...stallTimeoutMs !== undefined && { stallTimeoutMs } });
  const largeWrites = new LargeWrites();
  return {
    hub,
    connections: new Connections(),
    presence: NOBODY,
    signals: { send: () => Promise.reject(new Error("nobody asks for it")) },
    drainPoller: new DrainPoller(),
    unreadBudget: new UnreadBudget(largeWrites),
    largeWrites,
    messageBudget: new MessageBudget(),
    goodbyes: new Goodbyes(),
    append: (drafts) => log.append(drafts),
    ephemeral: new EphemeralPublisher({ hub }),
    heartbeatMs: 15_000,
    onError: onError ?? ((cause) => {
      throw cause;
    }),
  };
}

const NOBODY: MessageConnectionParts["presence"] = {
  join: () => Promise.reject(new Error("nobody asks for it")),
  leave: () => Promise.resolve(),
  endSession: () => Promise.resolve(),
  disconnect() {},
  hasSession: () => false,
};

/** A client with all rights and no limits. */
export const ANYONE: MessageClient = {
  authority: OPEN,
  authenticate: () => Promise.reject(new Error("nobody asks for it")),
  admitted() {},
  published() {},
  subscribed() {},
  denied() {},
  flooded() {},
  left() {},
};
