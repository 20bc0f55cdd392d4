import { type Access, openAccess } from "./auth/access.ts";
import { type Config } from "./config.ts";
import { Figures } from "./figures/figures.ts";
import { Meter } from "./figures/meter.ts";
import { Hub } from "./hub/hub.ts";
import { EMBEDDED } from "./kv/limits.ts";
import { openStore } from "./kv/store.ts";
import { errorFields, type Logger } from "./logger.ts";
import { KvLog } from "./log/kv_log.ts";
import type { Log } from "./log/log.ts";
import { FIGURES_CHANNEL_KEY } from "./shared/channel.ts";
import { isPresenceWithoutMembers } from "./presence/presence_channel.ts";
import { Presence } from "./presence/presence.ts";
import { waitAtMost } from "./shared/async/deadline.ts";
import { DrainPoller } from "./transports/socket/drain_poller.ts";
import { EphemeralPublisher } from "./hub/ephemeral_publisher.ts";
import type { SocketOptions } from "./transports/socket/socket.ts";
import { TimerWheel } from "./transports/timer_wheel.ts";
import { OpenResponses } from "./transports/open_responses.ts";

/** Between two passes of retention, in ms. */
const RETENTION_INTERVAL = 30_000;
/** How long a socket has to answer that it is closed, and others to take their answer, in ms. */
const FAREWELL_MS = 1_000;

/** One isolate's running parts, which the routes are given. */
export interface Server {
  readonly config: Config;
  readonly logger: Logger;
  readonly log: Log;
  readonly hub: Hub;
  readonly ephemeral: EphemeralPublisher;
  readonly access: Access;
  readonly presence: Presence;
  readonly wheel: TimerWheel;
  readonly sockets: SocketOptions;
  /** Long polls and streams, until their answers are sent. */
  readonly openResponses: OpenResponses;
  readonly meter: Meter;
  readonly figures: Figures;
  /** True from the moment on at which it stops. */
  readonly isStopping: () => boolean;
  /** Says goodbye to all WebSockets. Answers when they are closed, or silent for 1 s. */
  closeSockets(): Promise<void>;
  /** Says goodbye to everyone, at once. Answers when all of them have it, or are silent for 1 s. */
  disconnectClients(): Promise<void>;
  /** Says goodbye, finishes commits and closes the store. */
  close(): Promise<void>;
}

/**
 * @throws {import("./kv/store.ts").StoreInUseError}
 * @throws {import("./auth/access.ts").KeysError}
 */
export async function openServer(config: Config, logger: Logger): Promise<Server> {
  const store = await openStore(config.kv);
  const { kv, doorbell, relay, traits } = store;
  const { retention: defaults, isOpen, tenantChannels } = config;
  const maxChannels = isOpen ? Infinity : tenantChannels;
  const meter = new Meter();
  const log = new KvLog({
    kv,
    doorbell,
    traits,
    retention: defaults,
    maxChannels,
    deleteWhenEmpty: (channelKey) => isPresenceWithoutMembers(kv, channelKey),
    observer: meter,
  });
  const access = await openAccess({
    kv,
    doorbell,
    log,
    isOpen: config.isOpen,
    anonymous: config.anonymous,
    tokens: config.tokens,
    limits: config.limits,
    onWarning: (message, cause) => {
      logger.warn(message, cause === undefined ? {} : errorFields(cause));
    },
  }).catch(async (cause) => {
    await log.close();
    await store.close();
    throw cause;
  });
  const presence = new Presence({
    kv,
    log,
    isOneMachine: traits === EMBEDDED,
    onWarning: (message, cause) => logger.warn(message, errorFields(cause)),
  });
  const hub = new Hub({ log, relay, observer: meter });
  const ephemeral = new EphemeralPublisher({ hub });
  const sockets: SocketOptions = {
    hub,
    connections: access.connections,
    presence,
    drainPoller: new DrainPoller(),
    append: (drafts) => log.append(drafts),
    ephemeral,
    heartbeatMs: config.heartbeatMs,
    onError: (cause, tenant) => logger.error("socket failed", { tenant, ...errorFields(cause) }),
    onRefused: () => meter.refused(),
    sockets: new Set(),
  };
  const figures = new Figures({
    kv,
    log,
    meter,
    gauges: () => ({
      connections: { ...meter.open, websocket: sockets.sockets.size },
      subscriptions: hub.subscriptions,
    }),
    isFollowed: () => hub.isFollowed(FIGURES_CHANNEL_KEY),
    onError: (cause) => logger.warn("figures were not stored", errorFields(cause)),
  });
  const wheel = new TimerWheel(config.heartbeatMs);
  const openResponses = new OpenResponses();
  const retention = setInterval(() => {
    log.retain().catch((cause) => logger.warn("retention failed", errorFields(cause)));
  }, RETENTION_INTERVAL);
  let leaving: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  async function dismissSockets(): Promise<void> {
    const closed = [...sockets.sockets].map((socket) => socket.close("stopping"));
    await waitAtMost(Promise.all(closed), FAREWELL_MS);
  }

  async function leave(): Promise<void> {
    clearInterval(retention);
    wheel.close();
    const dismissed = dismissSockets();
    const hubClosed = hub.close();
    sockets.drainPoller.close();
    await dismissed;
    await hubClosed;
    await openResponses.allSent(FAREWELL_MS);
  }

  const server: Server = {
    config,
    logger,
    log,
    hub,
    ephemeral,
    access,
    presence,
    wheel,
    sockets,
    openResponses,
    meter,
    figures,
    isStopping: () => leaving !== undefined,
    closeSockets: dismissSockets,
    disconnectClients: () => leaving ??= leave(),
    close: () =>
      closing ??= server.disconnectClients().then(async () => {
        await figures.close();
        await Promise.all([presence.close(), access.close()]);
        await log.close();
        await store.close();
      }),
  };
  return server;
}
