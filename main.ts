import { KeysError } from "./lib/auth/access.ts";
import { type Config, ConfigError, isLoopback, parseConfig, storeFolder } from "./lib/config.ts";
import { CertificateError, type KeyPair } from "./lib/certificate.ts";
import { listen, type Listener } from "./lib/listener.ts";
import { createLogger, errorFields, logUncaught } from "./lib/logger.ts";
import { StoreEmptiedError, StoreInUseError } from "./lib/kv/store.ts";
import { listenMetrics, type MetricsListener } from "./lib/metrics_listener.ts";
import { listenQuic, type QuicListener } from "./lib/quic_listener.ts";
import { Siblings } from "./lib/siblings.ts";
import { openServer, type Server } from "./lib/server.ts";
import { TASK_COMMAND } from "./lib/shared/task_command.ts";
import { onStopSignals, takeServeListener } from "./lib/stop_signals.ts";
import { createApp } from "./routes/app.ts";
import { createMetricsApp } from "./routes/metrics.ts";
import { serveErrorHandler } from "./routes/serve_error.ts";
import { webTransportHandler } from "./routes/webtransport.ts";

/** Milliseconds after the drain in which the process exits, even if something hangs. */
const STOP_TIMEOUT_MS = 4_500;

const logger = createLogger({
  isPretty: Deno.stderr.isTerminal(),
  write: (line) => write(Deno.stderr, line),
});
logUncaught(logger);
const config = readConfig();
const server = await openOrExit();
const app = createApp(server);

/** `deno serve main.ts` starts here (one isolate a core with `--parallel`), as do edge platforms. */
export default {
  fetch: app.fetch,
  onListen: (localAddr) => {
    if (config.tls !== undefined) {
      exitWith("WEIR_TLS_CERT works with deno task start only, not with deno serve.");
    }
    const addr = localAddr as Deno.NetAddr;
    requireLoopback(addr.hostname);
    void startOthers(addr, undefined).then(() => ready(addr, "http"));
  },
} satisfies Deno.ServeDefaultExport;

/** Serves WebTransport, once HTTP listens. */
let quic: QuicListener | undefined;

/** Serves metrics, if they have a listener of their own. */
let metrics: MetricsListener | undefined;

/** Where HTTP is served, once it listens. Undefined with `deno serve`, which listens itself. */
let listener: Listener | undefined;

const siblings = new Siblings();
server.metrics.share(`weir:metrics:${Deno.pid}`, () => siblings.others);
onStopSignals({
  onFirst: (signal) => void stop(signal),
  onAgain: (signal) => {
    logger.warn("stopped at once, by another signal", { signal });
    Deno.exit(0);
  },
});

// A module cannot tell `deno run` from `deno serve`, so the start task passes an argument.
const isServed = !Deno.args.includes("--listen");
const endServeListener = isServed ? takeServeListener() : undefined;
if (!isServed) listener = await startListening();

function readConfig(): Config {
  try {
    return parseConfig(Deno.env.toObject());
  } catch (cause) {
    if (cause instanceof ConfigError) return exitWith(cause.message);
    throw cause;
  }
}

async function openOrExit(): Promise<Server> {
  try {
    const folder = storeFolder(config.kv);
    if (folder !== undefined) await Deno.mkdir(folder, { recursive: true });
    return await openServer(config, logger);
  } catch (cause) {
    if (
      cause instanceof StoreInUseError || cause instanceof StoreEmptiedError ||
      cause instanceof KeysError
    ) {
      return exitWith(cause.message);
    }
    logger.error("the store could not be opened", errorFields(cause));
    return exitWith("Cannot open the store. Check WEIR_KV.");
  }
}

async function startListening(): Promise<Listener> {
  const { host: hostname, port, tls } = config;
  requireLoopback(hostname);
  // Otherwise the runtime keeps a copy of the largest message that each WebSocket was ever sent.
  Deno.env.set("DENO_USE_WRITEV", "1");
  try {
    const listener = await listen({
      hostname,
      port,
      tls,
      handler: app.fetch,
      onError: serveErrorHandler(logger),
      onListen: (addr) => requireLoopback(addr.hostname),
      onReload: (pair) => {
        quic?.useCertificate(pair);
        logger.info("certificate reloaded");
      },
      onReloadFailed: (cause) => {
        logger.warn(
          "the new certificate cannot be used, so the old one stays in use",
          errorFields(cause),
        );
      },
      beforeRetire: () => server.closeSockets(),
      onAcceptFailed: (cause) => {
        logger.error("accepting connections failed and will be retried", errorFields(cause));
      },
    });
    await startOthers(listener.addr, listener.pair);
    ready(listener.addr, tls === undefined ? "http" : "https");
    return listener;
  } catch (cause) {
    if (cause instanceof CertificateError) return exitWith(cause.message);
    if (cause instanceof Deno.errors.AddrInUse) {
      return exitWith(
        `Cannot listen on port ${port}: it is already in use. Set WEIR_PORT to another port.`,
      );
    }
    const reason = cause instanceof Error ? cause.message : "unknown error";
    return exitWith(
      `Cannot listen on ${hostname}, port ${port}: ${reason}. Check WEIR_HOST and WEIR_PORT.`,
    );
  }
}

/** Listens on the addresses that are not the one of HTTP. */
async function startOthers(addr: Deno.NetAddr, pair: KeyPair | undefined): Promise<void> {
  await Promise.all([startQuic(addr, pair), startMetrics()]);
}

async function startMetrics(): Promise<void> {
  try {
    metrics = await listenMetrics({
      config,
      handler: createMetricsApp(server).fetch,
      onError: serveErrorHandler(logger),
      onListen: ({ hostname, port }) => logger.info("metrics listening", { hostname, port }),
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown error";
    exitWith(`Cannot listen for metrics: ${reason}. Check WEIR_METRICS.`);
  }
}

async function startQuic(addr: Deno.NetAddr, pair: KeyPair | undefined): Promise<void> {
  quic = await listenQuic({
    config,
    httpAddr: addr,
    pair,
    offer: server.quicOffer,
    logger,
    onRequest: webTransportHandler(server),
  });
}

function ready({ hostname, port }: Deno.NetAddr, scheme: "http" | "https"): void {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  write(Deno.stdout, `Weir listening on ${scheme}://${host}:${port}/`);
  if (config.isOpen) {
    logger.info("open mode: without keys, everyone on this machine may publish and read");
    const { publicUrls } = config;
    if (publicUrls.length > 0) {
      const names = publicUrls.join(", ");
      logger.warn(`open mode: everyone who reaches ${names} may publish and read too`);
    }
  }
}

/** Exits if others could reach a server without keys: it lets everyone do everything. */
function requireLoopback(hostname: string): void {
  if (!config.isOpen || isLoopback(hostname)) return;
  exitWith(
    `Cannot listen on ${hostname} without keys. Create keys with "${TASK_COMMAND} keys init", or listen on a loopback address such as 127.0.0.1 (WEIR_HOST, or --host of deno serve).`,
  );
}

/**
 * Says goodbye to all clients in the course of the drain, stops listening, finishes commits and
 * closes the store.
 */
async function stop(signal: string): Promise<void> {
  const { drainMs } = config;
  logger.info("stopping; a second signal, 1 s later, stops at once", { signal, drainMs });
  const timer = setTimeout(() => {
    logger.warn("stopped before everything was closed");
    Deno.exit(0);
  }, drainMs + STOP_TIMEOUT_MS);
  try {
    await server.drain(drainMs);
    // Goodbyes come first: the listener's shutdown closes sockets at once, with another code.
    await server.disconnectClients();
    endServeListener?.();
    const ended = Promise.all([listener?.shutdown(), metrics?.shutdown(), quic?.close()]);
    await server.close();
    await ended;
    await siblings.leave();
    logger.info("stopped");
  } catch (cause) {
    logger.error("stopping failed", errorFields(cause));
  }
  clearTimeout(timer);
  Deno.exit(0);
}

function exitWith(reason: string): never {
  logger.error(reason);
  Deno.exit(1);
}

function write(to: typeof Deno.stdout | typeof Deno.stderr, line: string): void {
  to.writeSync(new TextEncoder().encode(`${line}\n`));
}
