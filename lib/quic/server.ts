import { pause } from "../shared/async/delay.ts";
import { Connection, type Timers } from "./connection.ts";
import { H3_CODES } from "./http3_error.ts";
import {
  IDLE_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_OPENING,
  MAX_OPENING_PER_CLIENT,
  MAX_STREAMS,
} from "./limits.ts";
import type { WebTransportRequest } from "./session.ts";

/** Milliseconds until the close of an endpoint has been sent. */
const FLUSH_MS = 50;

/** A certificate and its key, as PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

export interface WebTransportServerOptions {
  /** The address to listen on. */
  readonly hostname: string;
  /** The UDP port; 0 for any free one. */
  readonly port: number;
  readonly pair: CertificatePair;
  /**
   * Called with each valid request for a session. It must be accepted or refused within 5 s, now or
   * later; then the connection is closed.
   */
  onRequest(request: WebTransportRequest): void;
  /** Called with errors of this side: what handlers throw, and when no connection is accepted. */
  onError?(cause: unknown): void;
  /** @default globalThis */
  readonly timers?: Timers;
}

export interface WebTransportServer {
  readonly addr: Deno.NetAddr;
  /** Gives new connections this certificate. Open ones stay. @throws if it cannot be used. */
  useCertificate(pair: CertificatePair): void;
  /** Refuses new connections, closes all sessions with code 0, and resolves when they are closed. */
  close(): Promise<void>;
}

/** Returns whether the runtime has QUIC: Deno with `--unstable-net`, not on Deno Deploy. */
export function hasQuic(): boolean {
  return typeof Deno.QuicEndpoint === "function";
}

/**
 * Serves WebTransport over HTTP/3, one session per QUIC connection.
 *
 * @throws {Deno.errors.NotSupported} if the runtime has no QUIC.
 * @throws {Deno.errors.AddrInUse}
 * @throws if the certificate cannot be used.
 */
export function serveWebTransport(options: WebTransportServerOptions): WebTransportServer {
  if (!hasQuic()) throw new Deno.errors.NotSupported("This runtime has no QUIC");
  return new QuicServer(options);
}

class QuicServer implements WebTransportServer {
  readonly addr: Deno.NetAddr;
  readonly #options: WebTransportServerOptions;
  readonly #timers: Timers;
  readonly #endpoint: Deno.QuicEndpoint;
  /** When the runtime collects one of them, the endpoint accepts no more connections. */
  readonly #listeners: Deno.QuicListener[] = [];
  readonly #connections = new Set<Connection>();
  /** The connections without an accepted session, by client. */
  readonly #opening = new Map<string, number>();
  #openingCount = 0;
  readonly #accepting: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(options: WebTransportServerOptions) {
    const { hostname, port, pair, timers = globalThis } = options;
    this.#options = options;
    this.#timers = timers;
    this.#endpoint = new Deno.QuicEndpoint({ hostname, port });
    try {
      this.#accepting = this.#accept(this.#listen(pair));
    } catch (cause) {
      this.#endpoint.close();
      throw cause;
    }
    const { addr } = this.#endpoint;
    this.addr = { transport: "udp", hostname: addr.hostname, port: addr.port };
  }

  useCertificate(pair: CertificatePair): void {
    this.#listen(pair);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.close()));
    this.#endpoint.close({ closeCode: H3_CODES.NO_ERROR, reason: "" });
    await this.#accepting;
    await pause(FLUSH_MS);
  }

  /** Makes the endpoint use a certificate. Its one accepting loop gets all connections. */
  #listen(pair: CertificatePair): Deno.QuicListener {
    const listener = this.#endpoint.listen({
      ...pair,
      alpnProtocols: ["h3"],
      maxIdleTimeout: IDLE_TIMEOUT_MS,
      keepAliveInterval: KEEP_ALIVE_MS,
      maxConcurrentBidirectionalStreams: MAX_STREAMS,
      maxConcurrentUnidirectionalStreams: MAX_STREAMS,
    });
    this.#listeners.push(listener);
    return listener;
  }

  async #accept(listener: Deno.QuicListener): Promise<void> {
    for (;;) {
      try {
        this.#take(await listener.incoming());
      } catch (cause) {
        if (cause instanceof Deno.errors.BadResource) break; // the endpoint is closed
        this.#options.onError?.(cause);
      }
    }
    if (this.#closing === undefined) {
      this.#options.onError?.(new Error("The QUIC endpoint has ended"));
    }
  }

  #take(incoming: Deno.QuicIncoming): void {
    if (this.#closing !== undefined || this.#openingCount >= MAX_OPENING) return incoming.refuse();
    // Only a connection has the address: that of `incoming` cannot be read without losing it. This
    // side sends and reads nothing before the handshake is complete.
    const conn = incoming.accept({ zeroRtt: true });
    const client = clientOf(conn.remoteAddr.hostname);
    const count = this.#opening.get(client) ?? 0;
    if (count >= MAX_OPENING_PER_CLIENT) {
      conn.closed.catch(() => {}); // it is of no interest
      return conn.close({ closeCode: H3_CODES.EXCESSIVE_LOAD, reason: "too many connections" });
    }
    this.#opening.set(client, count + 1);
    this.#openingCount++;
    let isOpening = true;
    const opened = () => {
      if (!isOpening) return;
      isOpening = false;
      this.#openingCount--;
      const left = (this.#opening.get(client) ?? 0) - 1;
      if (left > 0) this.#opening.set(client, left);
      else this.#opening.delete(client);
    };
    const connection = new Connection(conn, {
      timers: this.#timers,
      onRequest: (request) => this.#options.onRequest(request),
      onError: (cause) => this.#options.onError?.(cause),
      opened,
      ended: () => {
        opened();
        this.#connections.delete(connection);
      },
    });
    this.#connections.add(connection);
  }
}

/** Returns what addresses of one client have in common: the first 64 bits of IPv6, all of IPv4. */
function clientOf(hostname: string): string {
  if (!hostname.includes(":") || hostname.startsWith("::ffff:")) return hostname;
  const [before = [], after = []] = hostname.split("::").map((part) => part.split(":"));
  const zeros = Array(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
