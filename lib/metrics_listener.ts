import type { Config } from "./config.ts";
import { pause } from "./shared/async/delay.ts";

/** How long an isolate waits until another isolate of its process says that it has the port. */
const SIBLING_TIMEOUT_MS = 2_000;
const SIBLING_CHECK_INTERVAL_MS = 20;

interface MetricsListenerOptions {
  readonly config: Pick<Config, "metrics">;
  readonly handler: (request: Request) => Response | Promise<Response>;
  readonly onError: (cause: unknown) => Response;
  readonly onListen: (addr: Deno.NetAddr) => void;
}

/** Serves metrics on an address of their own. */
export interface MetricsListener {
  shutdown(): Promise<void>;
}

/**
 * Listens as `WEIR_METRICS` says. One isolate of a process does so for all.
 *
 * @returns undefined if this isolate does not listen.
 * @throws {Deno.errors.AddrInUse} if another process has the port.
 */
export async function listenMetrics(
  { config: { metrics }, handler, onError, onListen }: MetricsListenerOptions,
): Promise<MetricsListener | undefined> {
  if (typeof metrics !== "object") return undefined;
  // The isolates of a process share its environment, which a child inherits.
  const variable = `WEIR_INTERNAL_METRICS_${Deno.pid}`;
  const isServed = () => Deno.env.get(variable) !== undefined;
  if (isServed()) return undefined;
  try {
    const { host: hostname, port } = metrics;
    const server = Deno.serve({ hostname, port, onError, onListen() {} }, handler);
    Deno.env.set(variable, "served");
    onListen(server.addr);
    return server;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    for (const end = performance.now() + SIBLING_TIMEOUT_MS; performance.now() < end;) {
      if (isServed()) return undefined;
      await pause(SIBLING_CHECK_INTERVAL_MS);
    }
    throw cause;
  }
}
