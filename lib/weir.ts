import { type Config } from "./config.ts";
import { Hub } from "./hub/hub.ts";
import { openStore } from "./kv/store.ts";
import { errorFields, type Logger } from "./logger.ts";
import { KvLog } from "./log/kv_log.ts";
import type { Log } from "./log/log.ts";
import { DrainPoll } from "./transports/drain_poll.ts";
import type { SocketSession } from "./transports/socket.ts";
import { TimerWheel } from "./transports/timer_wheel.ts";

/** Between two passes of retention, in ms. */
const RETENTION_INTERVAL = 30_000;

/** One isolate's running parts, which the routes are given. */
export interface Weir {
  readonly config: Config;
  readonly logger: Logger;
  readonly log: Log;
  readonly hub: Hub;
  readonly wheel: TimerWheel;
  readonly drains: DrainPoll;
  /** Open WebSocket sessions. */
  readonly sessions: Set<SocketSession>;
  /** True from the moment on at which it stops. */
  readonly isStopping: () => boolean;
  /** Says goodbye to everyone, finishes commits and closes the store. */
  close(): Promise<void>;
}

/** @throws {import("./kv/store.ts").StoreInUseError} */
export async function openWeir(config: Config, logger: Logger): Promise<Weir> {
  const store = await openStore(config.kv);
  const { kv, doorbell, traits } = store;
  const log = new KvLog({ kv, doorbell, traits, retention: config.retention });
  const hub = new Hub({ log });
  const sessions = new Set<SocketSession>();
  const retention = setInterval(() => {
    log.retain().catch((cause) => logger.warn("retention failed", errorFields(cause)));
  }, RETENTION_INTERVAL);
  let isStopping = false;
  return {
    config,
    logger,
    log,
    hub,
    wheel: new TimerWheel(config.heartbeat),
    drains: new DrainPoll(),
    sessions,
    isStopping: () => isStopping,
    async close() {
      if (isStopping) return;
      isStopping = true;
      clearInterval(retention);
      await hub.close();
      for (const session of sessions) session.close("stopping");
      await log.close();
      await store.close();
    },
  };
}
