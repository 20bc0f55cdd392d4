import { type Access, openAccess } from "./auth/access.ts";
import type { Config } from "./config.ts";
import { Figures } from "./figures/figures.ts";
import { Meter } from "./figures/meter.ts";
import type { SampleGauges } from "./figures/sampler.ts";
import { EphemeralPublisher } from "./hub/ephemeral_publisher.ts";
import { Hub } from "./hub/hub.ts";
import { openStore } from "./kv/store.ts";
import { errorFields, type Logger } from "./logger.ts";
import { KvLog } from "./log/kv_log.ts";
import type { Log } from "./log/log.ts";
import { IsolateMetrics } from "./metrics/isolate_metrics.ts";
import { metricsOf } from "./metrics/server_metrics.ts";
import { isInboxWithoutSession } from "./presence/inbox.ts";
import { isPresenceWithoutMembers } from "./presence/presence_channel.ts";
import { IceCredentials } from "./rtc/ice_credentials.ts";
import { Signals } from "./rtc/signals.ts";
import { Presence } from "./presence/presence.ts";
import { SharedQuicOffer } from "./quic_offer.ts";
import { openTracing, type Tracing } from "./tracing/tracing.ts";
import { waitAtMost } from "./shared/async/deadline.ts";
import { forEachInTurns } from "./shared/async/in_turns.ts";
import { FIGURES_CHANNEL_KEY } from "./shared/channel.ts";
import { OpenResponses } from "./transports/open_responses.ts";
import { Goodbyes } from "./transports/goodbyes.ts";
import { DrainPoller } from "./transports/drain_poller.ts";
import { LargeWrites } from "./transports/large_writes.ts";
import { MessageBudget } from "./transports/messages/message_lane.ts";
import type { Socket, SocketOptions } from "./transports/socket/socket.ts";
import type {
  WebTransportConnection,
  WebTransportOptions,
} from "./transports/webtransport/connection.ts";
import { UnreadBudget } from "./transports/unread_budget.ts";
import { TimerWheel } from "./transports/timer_wheel.ts";

/** Milliseconds between two passes of retention. */
const RETENTION_INTERVAL_MS = 30_000;
/** Milliseconds in which sockets must confirm their close, and in which responses must be sent. */
const GOODBYE_TIMEOUT_MS = 1_000;
/** Sockets and WebTransport connections that are closed in one turn of the event loop. */
const CLOSED_PER_TURN = 100;

/** The running parts of one isolate. */
interface ServerParts {
  readonly config: Config;
  readonly logger: Logger;
  /** @throws {import("./shared/problem.ts").Problem} `storage_*` if nothing can be stored. */
  readonly requireWritable: () => void;
  readonly log: Log;
  readonly hub: Hub;
  readonly ephemeral: EphemeralPublisher;
  readonly access: Access;
  readonly presence: Presence;
  readonly ice: IceCredentials;
  readonly signals: Signals;
  /** The heartbeats of streams. */
  readonly wheel: TimerWheel;
  /** All connections, which get a goodbye when the server stops. */
  readonly goodbyes: Goodbyes;
  readonly sockets: SocketOptions;
  readonly webTransport: WebTransportOptions;
  /** Long polls and streams, until their responses are sent. */
  readonly openResponses: OpenResponses;
  readonly meter: Meter;
  readonly figures: Figures;
  readonly metrics: IsolateMetrics;
  /** Undefined if the server is not traced. */
  readonly tracing: Tracing | undefined;
  readonly quicOffer: SharedQuicOffer;
}

/** Ends an isolate step by step. */
interface ServerLifecycle {
  /** Aborts when the server begins to stop. From then on it takes no new connections. */
  readonly stopping: AbortSignal;
  /**
   * Begins to stop: says goodbye to all connections, spread evenly over `durationMs`. Requests are
   * answered, and each connection works until its client has left. Resolves when all have left or
   * were closed: 2 s after `durationMs` at the latest, and not before it.
   */
  drain(durationMs: number): Promise<void>;
  /** Says goodbye to all WebSockets. Resolves when they are closed, after 1 s at the latest. */
  closeSockets(): Promise<void>;
  /** Says goodbye to all clients. Resolves when they have received it, or don't answer for 1 s. */
  disconnectClients(): Promise<void>;
  /** Disconnects all clients, finishes commits and closes the store. */
  close(): Promise<void>;
}

/** One isolate's running parts, and how they stop. */
export interface Server extends ServerParts, ServerLifecycle {}

type Store = Awaited<ReturnType<typeof openStore>>;

/**
 * Opens the store and everything that works on it.
 *
 * @throws {import("./kv/store.ts").StoreInUseError}
 * @throws {import("./kv/store.ts").StoreEmptiedError}
 * @throws {import("./auth/access.ts").KeysError}
 */
export async function openServer(config: Config, logger: Logger): Promise<Server> {
  const store = await openStore(config.kv, {
    onTrouble: (message) => logger.error(message),
    onRecovered: (message) => logger.info(message),
  });
  const parts = await openParts(store, config, logger);
  return { ...parts, ...lifecycleOf(parts, store) };
}

async function openParts(store: Store, config: Config, logger: Logger): Promise<ServerParts> {
  const { kv, doorbell, relay, traits } = store;
  const { isOpen, anonymous, tokens, limits } = config;
  const meter = new Meter(config.metricsTenants);
  const onWarning = (message: string, cause?: unknown) => {
    logger.warn(message, cause === undefined ? {} : errorFields(cause));
  };
  const tracing = config.isTraced ? await openTracing() : undefined;
  const log = openLog(store, config, { meter, tracing }, onWarning);
  const access = await openAccess({
    kv,
    doorbell,
    log,
    isOpen,
    anonymous,
    tokens,
    limits,
    onWarning,
  }).catch(async (cause) => {
    await log.close();
    await store.close();
    throw cause;
  });
  const presence = new Presence({
    kv,
    log,
    isOneMachine: !traits.isShared,
    onWarning,
  });
  // One check of a commit is reserved for the log.
  const signals = new Signals({ presence, log, maxChannels: traits.maxChecks - 1 });
  const hub = new Hub({ log, relay, observer: meter, tracer: tracing });
  const ephemeral = new EphemeralPublisher({ hub });
  const goodbyes = new Goodbyes({ maxAgeMs: config.connectionMaxAgeMs });
  const { sockets, webTransport } = messageOptions({
    config,
    goodbyes,
    logger,
    meter,
    tracing,
    log,
    access,
    presence,
    signals,
    hub,
    ephemeral,
  });
  const gauges = (): SampleGauges => ({
    connections: {
      ...meter.open,
      websocket: sockets.sockets.size,
      webtransport: webTransport.openConnections.size,
    },
    subscriptions: hub.subscriptions,
  });
  const figures = new Figures({
    kv,
    log,
    meter,
    gauges,
    isFollowed: () => hub.isFollowed(FIGURES_CHANNEL_KEY),
    onError: (cause) => logger.warn("figures were not stored", errorFields(cause)),
  });
  const wheel = new TimerWheel(config.heartbeatMs);
  const openResponses = new OpenResponses();
  return {
    config,
    logger,
    requireWritable: store.requireWritable,
    log,
    hub,
    ephemeral,
    access,
    presence,
    ice: new IceCredentials(config.ice),
    signals,
    wheel,
    goodbyes,
    sockets,
    webTransport,
    openResponses,
    meter,
    figures,
    metrics: new IsolateMetrics({
      read: () =>
        metricsOf({ totals: meter.totals(), gauges: gauges(), members: presence.members }),
    }),
    tracing,
    quicOffer: new SharedQuicOffer(),
  };
}

function openLog(
  { kv, doorbell, traits, room }: Store,
  config: Config,
  { meter, tracing }: Pick<ServerParts, "meter" | "tracing">,
  onWarning: (message: string, cause?: unknown) => void,
): KvLog {
  const { retention, isOpen, tenantChannels } = config;
  return new KvLog({
    kv,
    doorbell,
    traits,
    room,
    retention,
    maxChannels: isOpen ? Infinity : tenantChannels,
    deleteWhenEmpty: async (channelKey) =>
      await isPresenceWithoutMembers(kv, channelKey) || await isInboxWithoutSession(kv, channelKey),
    observer: meter,
    tracer: tracing,
    onWarning,
  });
}

type MessageParts = Pick<
  ServerParts,
  | "config"
  | "goodbyes"
  | "logger"
  | "meter"
  | "tracing"
  | "log"
  | "access"
  | "presence"
  | "signals"
  | "hub"
  | "ephemeral"
>;

/** The parts for all connections that speak `weir.v1`: those of WebSockets and of WebTransport. */
function messageOptions(
  { config, goodbyes, logger, meter, tracing, log, access, presence, signals, hub, ephemeral }:
    MessageParts,
): Pick<ServerParts, "sockets" | "webTransport"> {
  const largeWrites = new LargeWrites();
  const messages: Omit<SocketOptions, "sockets"> = {
    hub,
    connections: access.connections,
    presence,
    signals,
    drainPoller: new DrainPoller(),
    unreadBudget: new UnreadBudget(largeWrites),
    largeWrites,
    messageBudget: new MessageBudget(),
    goodbyes,
    append: (drafts) => log.append(drafts),
    ephemeral,
    heartbeatMs: config.heartbeatMs,
    onError: (cause, tenant) => {
      logger.error("a socket message failed", { tenant, ...errorFields(cause) });
    },
    onRefused: () => meter.refused(),
    tracer: tracing,
    onProblem: (problem) => meter.problem(problem),
    onGoodbye: meter.saidGoodbye,
  };
  return {
    sockets: { ...messages, sockets: new Set() },
    webTransport: { ...messages, openConnections: new Set() },
  };
}

/** Says goodbye on all connections. Resolves when they are closed, after 1 s at the latest. */
async function closeAll(connections: Iterable<Socket | WebTransportConnection>): Promise<void> {
  const closed: Promise<void>[] = [];
  await forEachInTurns([...connections], CLOSED_PER_TURN, (connection) => {
    closed.push(connection.close("stopping"));
  });
  await waitAtMost(Promise.all(closed), GOODBYE_TIMEOUT_MS);
}

/** Starts retention, and returns how everything stops. */
function lifecycleOf(parts: ServerParts, store: Store): ServerLifecycle {
  const { logger, log, hub, access, presence, wheel, goodbyes, sockets, openResponses, figures } =
    parts;
  const { openConnections } = parts.webTransport;
  const retention = setInterval(() => {
    log.retain().catch((cause) => logger.warn("retention failed", errorFields(cause)));
  }, RETENTION_INTERVAL_MS);
  const stop = new AbortController();
  let disconnecting: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  async function closeSockets(): Promise<void> {
    await closeAll(sockets.sockets);
  }

  async function drain(durationMs: number): Promise<void> {
    stop.abort();
    if (durationMs > 0) await goodbyes.drain(durationMs);
  }

  async function disconnectClients(): Promise<void> {
    stop.abort();
    clearInterval(retention);
    wheel.close();
    const closed = Promise.all([closeSockets(), closeAll(openConnections)]);
    const othersClosed = goodbyes.close();
    const hubClosed = hub.close();
    sockets.drainPoller.close();
    await closed;
    await othersClosed;
    await hubClosed;
    await openResponses.allSent(GOODBYE_TIMEOUT_MS);
  }

  async function close(): Promise<void> {
    await (disconnecting ??= disconnectClients());
    await figures.close();
    parts.metrics[Symbol.dispose]();
    await Promise.all([presence.close(), access.close()]);
    await log.close();
    await store.close();
  }

  return {
    stopping: stop.signal,
    drain,
    closeSockets,
    disconnectClients: () => disconnecting ??= disconnectClients(),
    close: () => closing ??= close(),
  };
}
