import { KeysError } from "./lib/auth/access.ts";
import { type Config, ConfigError, isLoopback, parseConfig } from "./lib/config.ts";
import { listen, type Listener, ListenError } from "./lib/listener.ts";
import { createLogger, errorFields, logUncaught } from "./lib/logger.ts";
import { StoreInUseError } from "./lib/kv/store.ts";
import { Siblings } from "./lib/siblings.ts";
import { openServer, type Server } from "./lib/server.ts";
import { createApp } from "./routes/app.ts";

/** After a signal the process is gone within this time, in ms, whatever still hangs. */
const STOP_LIMIT = 4_500;

const logger = createLogger({
  isPretty: Deno.stderr.isTerminal(),
  write: (line) => write(Deno.stderr, line),
});
logUncaught(logger);
const config = readConfig();
const server = await open();
const app = createApp(server);

/** `deno serve main.ts` (with `--parallel` an isolate a core) and edge platforms start here. */
export default {
  fetch: app.fetch,
  onListen: (address) => {
    if (config.tls !== undefined) refuse("WEIR_TLS_CERT is for deno task start, not deno serve.");
    ready(address as Deno.NetAddr, "http");
  },
} satisfies Deno.ServeDefaultExport;

// A module can't tell `deno run` from `deno serve`, so the start task says which it is.
const listener = Deno.args.includes("--listen") ? await startListening() : undefined;

const siblings = new Siblings();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void stop(signal));
}

function readConfig(): Config {
  try {
    return parseConfig(Deno.env.toObject());
  } catch (cause) {
    if (cause instanceof ConfigError) return refuse(cause.message);
    throw cause;
  }
}

async function open(): Promise<Server> {
  try {
    if (config.kv !== undefined && !/^(https?:|:memory:)/.test(config.kv)) {
      await Deno.mkdir(dirname(config.kv), { recursive: true });
    }
    return await openServer(config, logger);
  } catch (cause) {
    if (cause instanceof StoreInUseError || cause instanceof KeysError) {
      return refuse(cause.message);
    }
    logger.error("the store cannot be opened", errorFields(cause));
    return refuse("Cannot open the store that WEIR_KV names.");
  }
}

async function startListening(): Promise<Listener> {
  const { host: hostname, port, tls } = config;
  refusePublic(hostname);
  try {
    return await listen({
      hostname,
      port,
      tls,
      handler: app.fetch,
      onListen: ready,
      onReload: () => logger.info("the certificate was reloaded"),
      onReloadFailed: (cause) => {
        logger.warn("the new certificate cannot be used: the old one stays", errorFields(cause));
      },
      beforeRetire: () => server.closeSockets(),
      onAcceptFailed: (cause) => {
        logger.error("no connection could be accepted: trying again", errorFields(cause));
      },
    });
  } catch (cause) {
    if (cause instanceof ListenError) return refuse(cause.message);
    if (cause instanceof Deno.errors.AddrInUse) {
      return refuse(`Cannot listen on port ${port}: it is taken. Choose another by WEIR_PORT.`);
    }
    const reason = cause instanceof Error ? cause.message : "the reason is unknown";
    return refuse(
      `Cannot listen on ${hostname}, port ${port}: ${reason}. Choose others by WEIR_HOST and WEIR_PORT.`,
    );
  }
}

function ready({ hostname, port }: Deno.NetAddr, scheme: "http" | "https"): void {
  refusePublic(hostname);
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  write(Deno.stdout, `Weir listening on ${scheme}://${host}:${port}/`);
  if (config.isOpen) {
    logger.info("open mode: no keys, so everyone on this machine may publish and read");
  }
}

/** Without keys everyone who reaches Weir may do everything. */
function refusePublic(hostname: string): void {
  if (!config.isOpen || isLoopback(hostname)) return;
  refuse(
    `Cannot listen on ${hostname} without keys: only on a loopback address, such as 127.0.0.1 (WEIR_HOST, or --host of deno serve). "deno task keys init" makes keys.`,
  );
}

/** Stops accepting, tells every subscriber, finishes commits and closes the store. */
async function stop(signal: string): Promise<void> {
  if (server.isStopping()) return;
  logger.info("stopping", { signal });
  const limit = setTimeout(() => {
    logger.warn("stopped before everything had ended");
    Deno.exit(0);
  }, STOP_LIMIT);
  try {
    // First the goodbyes: the listener's shutdown closes sockets at once, with a code of its own.
    await server.disconnectClients();
    const drained = listener?.shutdown();
    await server.close();
    await drained;
    await siblings.leave();
    logger.info("stopped");
  } catch (cause) {
    logger.error("stopping failed", errorFields(cause));
  }
  clearTimeout(limit);
  Deno.exit(0);
}

function refuse(reason: string): never {
  logger.error(reason);
  Deno.exit(1);
}

function write(to: typeof Deno.stdout | typeof Deno.stderr, line: string): void {
  to.writeSync(new TextEncoder().encode(`${line}\n`));
}

function dirname(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
}
