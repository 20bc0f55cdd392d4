import { Access } from "./auth/access.ts";
import { type Config } from "./config.ts";
import { Hub } from "./hub/hub.ts";
import { openStore } from "./kv/store.ts";
import { errorFields, type Logger } from "./logger.ts";
import { KvLog } from "./log/kv_log.ts";
import type { Log } from "./log/log.ts";
import { withinLimit } from "./shared/time_limit.ts";
import { DrainPoll } from "./transports/drain_poll.ts";
import type { SocketOptions } from "./transports/socket.ts";
import { TimerWheel } from "./transports/timer_wheel.ts";

/** Between two passes of retention, in ms. */
const RETENTION_INTERVAL = 30_000;
/** How long a socket has to answer that it is closed, in ms. */
const FAREWELL_MS = 1_000;

/** One isolate's running parts, which the routes are given. */
export interface Weir {
  readonly config: Config;
  readonly logger: Logger;
  readonly log: Log;
  readonly hub: Hub;
  readonly access: Access;
  readonly wheel: TimerWheel;
  readonly sockets: SocketOptions;
  /** True from the moment on at which it stops. */
  readonly isStopping: () => boolean;
  /** Says goodbye to all WebSockets. Answers when they are closed, or silent for 1 s. */
  dismissSockets(): Promise<void>;
  /** Says goodbye to everyone, at once. Answers when the sockets are closed, or silent for 1 s. */
  leave(): Promise<void>;
  /** Says goodbye, finishes commits and closes the store. */
  close(): Promise<void>;
}

/**
 * @throws {import("./kv/store.ts").StoreInUseError}
 * @throws {import("./auth/access.ts").KeysError}
 */
export async function openWeir(config: Config, logger: Logger): Promise<Weir> {
  const store = await openStore(config.kv);
  const { kv, doorbell, traits } = store;
  const { retention: defaults, isOpen, tenantChannels } = config;
  const maxChannels = isOpen ? Infinity : tenantChannels;
  const log = new KvLog({ kv, doorbell, traits, retention: defaults, maxChannels });
  const access = await Access.open({
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
  const hub = new Hub({ log });
  const sockets: SocketOptions = {
    hub,
    sessions: access.sessions,
    drains: new DrainPoll(),
    append: (drafts) => log.append(drafts),
    heartbeat: config.heartbeat,
    onError: (cause, tenant) => logger.error("socket failed", { tenant, ...errorFields(cause) }),
    sockets: new Set(),
  };
  const wheel = new TimerWheel(config.heartbeat);
  const retention = setInterval(() => {
    log.retain().catch((cause) => logger.warn("retention failed", errorFields(cause)));
  }, RETENTION_INTERVAL);
  let leaving: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  async function dismissSockets(): Promise<void> {
    const closed = [...sockets.sockets].map((socket) => socket.close("stopping"));
    await withinLimit(Promise.all(closed), FAREWELL_MS);
  }

  async function leave(): Promise<void> {
    clearInterval(retention);
    wheel.close();
    const dismissed = dismissSockets();
    const hubClosed = hub.close();
    sockets.drains.close();
    await dismissed;
    await hubClosed;
  }

  const weir: Weir = {
    config,
    logger,
    log,
    hub,
    access,
    wheel,
    sockets,
    isStopping: () => leaving !== undefined,
    dismissSockets,
    leave: () => leaving ??= leave(),
    close: () =>
      closing ??= weir.leave().then(async () => {
        await access.close();
        await log.close();
        await store.close();
      }),
  };
  return weir;
}
