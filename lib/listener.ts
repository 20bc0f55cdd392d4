import {
  CertificateError,
  explainTlsError,
  type KeyPair,
  readKeyPair,
  textOf,
  type TlsFiles,
} from "./certificate.ts";

/** Milliseconds between two reads of the certificate's files. */
const POLL_INTERVAL_MS = 1_000;
/**
 * Milliseconds until the server listens again after it failed to accept. Guards against so many
 * connections that the process has no file descriptor left: `Deno.serve` then stops accepting for
 * good, and its open connections stay.
 */
const RELISTEN_DELAY_MS = 1_000;

export interface ListenOptions {
  readonly hostname: string;
  /** 0 for any free port. */
  readonly port: number;
  /** If set, serves HTTP/2 and HTTP/1.1 over TLS (ALPN), otherwise HTTP/1.1 without TLS. */
  readonly tls?: TlsFiles | undefined;
  readonly handler: Deno.ServeHandler<Deno.NetAddr>;
  /**
   * Called with what the handler throws, and with errors of response bodies.
   *
   * @default logs the error to stderr
   */
  readonly onError?: (cause: unknown) => Response;
  /** Called once, when the server first listens. */
  onListen(addr: Deno.NetAddr, scheme: "http" | "https"): void;
  /** Called when new connections get a new certificate. */
  onReload?(pair: KeyPair): void;
  /** Called once for each change that cannot be used. The current certificate stays. */
  onReloadFailed?(cause: unknown): void;
  /**
   * Called before the server with the old certificate stops accepting, which closes its WebSockets
   * with 1001 at once. WebSockets that need another code must be closed when this resolves. Until
   * then some new connections still get the old certificate.
   */
  beforeRetire?(): Promise<void>;
  /** Called when no connection is accepted for a moment. Open connections stay. */
  onAcceptFailed?(cause: unknown): void;
  /** Milliseconds between two reads of the certificate's files. @default 1_000 */
  readonly pollIntervalMs?: number;
}

export interface Listener {
  readonly addr: Deno.NetAddr;
  /** The certificate that new connections get. Undefined without TLS. */
  readonly pair: KeyPair | undefined;
  /** Stops accepting, closes all WebSockets with 1001, and waits for other requests. */
  shutdown(): Promise<void>;
}

/**
 * Serves HTTP, or HTTPS with a certificate that is reloaded when its files change. The files are
 * polled, because a file watch misses replaced links (certbot, Kubernetes).
 *
 * A reload starts a second server on the same port, then the first stops accepting. Open requests
 * and streams continue; WebSockets get 1001, see `beforeRetire`. Connections to the first server
 * that have sent no request yet are lost: HTTP/1.1 connections end without an answer, and those
 * that wait to be accepted are reset (not on Linux with `net.ipv4.tcp_migrate_req=1`).
 * `Deno.serve` has no gentler way.
 *
 * @throws {CertificateError}
 * @throws {Deno.errors.AddrInUse}
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { hostname, port, tls } = options;
  if (tls === undefined) return new ReloadingListener(options, undefined);
  const pair = await readKeyPair(tls);
  // Servers that share their port would share it with another Weir too: check that it is free.
  if (port !== 0) Deno.listen({ hostname, port }).close();
  return new ReloadingListener(options, pair);
}

type HttpServer = Deno.HttpServer<Deno.NetAddr>;

class ReloadingListener implements Listener {
  readonly addr: Deno.NetAddr;
  readonly #options: ListenOptions;
  /** The pair of the current server. */
  #pair: KeyPair | undefined;
  #server: HttpServer;
  /** Earlier servers that are not shut down yet: they may still have connections. */
  readonly #earlier = new Set<HttpServer>();
  /** Servers that are shutting down, until their last request has ended. */
  readonly #retired = new Map<HttpServer, Promise<void>>();
  /** The text of the files, or the error, at the last poll. */
  #polled: string;
  /** The text that was last used or refused. It is not tried again before it changes. */
  #tried: string;
  #isStopped = false;
  #pollTimer: ReturnType<typeof setTimeout> | undefined;
  #relistenTimer: ReturnType<typeof setTimeout> | undefined;
  #reloading: Promise<void> = Promise.resolve();

  constructor(options: ListenOptions, pair: KeyPair | undefined) {
    const { port, tls, onListen } = options;
    this.#options = options;
    this.#pair = pair;
    this.#polled = this.#tried = textOf(pair);
    this.#server = this.#serve(port, pair);
    this.addr = this.#server.addr;
    onListen(this.addr, tls === undefined ? "http" : "https");
    if (tls !== undefined) this.#pollLater(tls);
  }

  get pair(): KeyPair | undefined {
    return this.#pair;
  }

  async shutdown(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#relistenTimer);
    for (const server of [...this.#earlier, this.#server]) this.#retire(server);
    await this.#reloading;
    await Promise.all(this.#retired.values());
  }

  #serve(port: number, pair: KeyPair | undefined): HttpServer {
    const { hostname, handler, onError } = this.#options;
    const options = { hostname, port, ...onError !== undefined && { onError }, onListen() {} };
    const server = pair === undefined
      ? Deno.serve(options, handler)
      : serveTls({ ...options, ...pair, reusePort: true }, handler);
    const ended = (cause: unknown) => this.#ended(server, cause);
    server.finished.then(() => ended(new Error("The server has ended.")), ended);
    return server;
  }

  #pollLater(tls: TlsFiles): void {
    if (this.#isStopped) return;
    this.#pollTimer = setTimeout(() => {
      this.#reloading = this.#reload(tls)
        .catch((cause) => this.#options.onReloadFailed?.(cause))
        .then(() => this.#pollLater(tls));
    }, this.#options.pollIntervalMs ?? POLL_INTERVAL_MS);
  }

  async #reload(tls: TlsFiles): Promise<void> {
    const pair = await this.#readChanged(tls);
    if (pair === undefined || this.#isStopped) return;
    const old = this.#server;
    try {
      this.#server = this.#serve(this.addr.port, pair);
    } catch (cause) {
      // If the files are not the reason, the next poll tries again.
      if (!(cause instanceof CertificateError)) this.#tried = textOf(this.#pair);
      throw cause;
    }
    this.#pair = pair;
    this.#earlier.add(old);
    try {
      await this.#options.beforeRetire?.();
    } finally {
      this.#retire(old);
    }
    this.#options.onReload?.(pair);
  }

  /** Returns the files' pair if it is new and unchanged for two polls. */
  async #readChanged(tls: TlsFiles): Promise<KeyPair | undefined> {
    const read = await readKeyPair(tls).catch(certificateErrorOf);
    const text = read instanceof CertificateError ? read.message : textOf(read);
    if (text !== this.#polled) {
      this.#polled = text; // perhaps half written
      return undefined;
    }
    if (text === this.#tried) return undefined;
    this.#tried = text;
    if (read instanceof CertificateError) throw read;
    return text === textOf(this.#pair) ? undefined : read;
  }

  #retire(server: HttpServer): void {
    this.#earlier.delete(server);
    if (this.#retired.has(server)) return; // by shutdown(), while a reload waited
    const ended = server.shutdown()
      .catch((cause) => this.#options.onAcceptFailed?.(cause))
      .finally(() => this.#retired.delete(server));
    this.#retired.set(server, ended);
  }

  #ended(server: HttpServer, cause: unknown): void {
    if (this.#isStopped || server !== this.#server) return; // it was shut down on purpose
    this.#options.onAcceptFailed?.(cause);
    this.#earlier.add(server); // not shut down: that would close its WebSockets
    this.#listenAgain(server);
  }

  #listenAgain(failed: HttpServer): void {
    this.#relistenTimer = setTimeout(() => {
      if (failed !== this.#server) return; // a reload has started another server
      try {
        this.#server = this.#serve(this.addr.port, this.#pair);
      } catch (cause) {
        this.#options.onAcceptFailed?.(cause);
        this.#listenAgain(failed);
      }
    }, RELISTEN_DELAY_MS);
  }
}

function serveTls(
  options: Deno.ServeTcpOptions & Deno.TlsCertifiedKeyPem,
  handler: Deno.ServeHandler<Deno.NetAddr>,
): HttpServer {
  try {
    return Deno.serve(options, handler);
  } catch (cause) {
    throw explainTlsError(cause);
  }
}

function certificateErrorOf(cause: unknown): CertificateError {
  if (cause instanceof CertificateError) return cause;
  throw cause;
}
