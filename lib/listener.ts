import { quote } from "./shared/problem.ts";

/** Between two looks at the certificate's files, in ms. A change is taken at the second. */
const POLL_INTERVAL_MS = 1_000;
/**
 * After the server could accept no more it listens again, in ms. Met: so many connections that the
 * process has no file descriptor left. `Deno.serve` then ends for good; those it has stay open.
 */
const RELISTEN_DELAY_MS = 1_000;

export interface TlsFiles {
  /** PEM: the certificate, followed by those between it and the root. */
  readonly certPath: string;
  /** PEM: its key, not encrypted. */
  readonly keyPath: string;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** With it HTTP/2 and HTTP/1.1 over TLS (by ALPN), else HTTP/1.1 without. */
  readonly tls?: TlsFiles | undefined;
  readonly handler: Deno.ServeHandler<Deno.NetAddr>;
  /** Once, when it listens first. */
  onListen(address: Deno.NetAddr, scheme: "http" | "https"): void;
  /** New connections get the new certificate. */
  onReload?(): void;
  /** The files hold something that can't be used: the last certificate stays. Once a change. */
  onReloadFailed?(cause: unknown): void;
  /**
   * The server with the old certificate is about to stop accepting, which closes its WebSockets
   * with 1001 at once. Who is to be told another code must have been closed when this resolves.
   * Until then some new connections still get the old certificate.
   */
  beforeRetire?(): Promise<void>;
  /** No connection is accepted for a moment; the open ones stay. */
  onAcceptFailed?(cause: unknown): void;
  /** Between two looks at the certificate's files, in ms. @default 1_000 */
  readonly pollIntervalMs?: number;
}

export interface Listener {
  readonly address: Deno.NetAddr;
  /** Accepts no more, closes all WebSockets with 1001, and waits for the other requests. */
  shutdown(): Promise<void>;
}

/** A certificate or key that can't be used. The sentence names the setting, never what is in it. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/**
 * Serves HTTP, or HTTPS with a certificate that is reloaded when its files change. They are read
 * again and again, because a watch loses what replaces links (certbot, Kubernetes).
 *
 * A reload starts a second server on the same port, then the first stops accepting. Requests and
 * streams that are under way go on; WebSockets get 1001, see `beforeRetire`. Lost are connections
 * to the first server on which no request has come yet: over HTTP/1.1 they end without an answer,
 * and those that wait to be accepted are reset (not on Linux with `net.ipv4.tcp_migrate_req=1`).
 * `Deno.serve` has no gentler way.
 *
 * @throws {ListenError}
 * @throws {Deno.errors.AddrInUse}
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { hostname, port, tls } = options;
  if (tls === undefined) return new ReloadingListener(options, undefined);
  const pair = await readPair(tls);
  // Servers that share their port would also share it with another Weir's.
  if (port !== 0) Deno.listen({ hostname, port }).close();
  return new ReloadingListener(options, pair);
}

/** Two PEM texts. */
interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

type Server = Deno.HttpServer<Deno.NetAddr>;

class ReloadingListener implements Listener {
  readonly address: Deno.NetAddr;
  readonly #options: ListenOptions;
  /** What the current server has. */
  #pair: KeyPair | undefined;
  #server: Server;
  /** Earlier servers that were not told yet to end: they may still have connections. */
  readonly #earlier = new Set<Server>();
  /** Those that were told, until their last request has ended. */
  readonly #retired = new Map<Server, Promise<void>>();
  /** What the last look found in the files. */
  #seen: string;
  /** What was last taken or refused: neither is tried again before it changes. */
  #judged: string;
  #isStopped = false;
  #nextLook: ReturnType<typeof setTimeout> | undefined;
  #nextListen: ReturnType<typeof setTimeout> | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: ListenOptions, pair: KeyPair | undefined) {
    const { port, tls, onListen } = options;
    this.#options = options;
    this.#pair = pair;
    this.#seen = this.#judged = textOf(pair);
    this.#server = this.#serve(port, pair);
    this.address = this.#server.addr;
    onListen(this.address, tls === undefined ? "http" : "https");
    if (tls !== undefined) this.#lookLater(tls);
  }

  async shutdown(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#nextLook);
    clearTimeout(this.#nextListen);
    for (const server of [...this.#earlier, this.#server]) this.#retire(server);
    await this.#looking;
    await Promise.all(this.#retired.values());
  }

  #serve(port: number, pair: KeyPair | undefined): Server {
    const { hostname, handler } = this.#options;
    const options = { hostname, port, onListen() {} };
    const server = pair === undefined
      ? Deno.serve(options, handler)
      : serveTls({ ...options, ...pair, reusePort: true }, handler);
    const ended = (cause: unknown) => this.#ended(server, cause);
    server.finished.then(() => ended(new Error("The server has ended.")), ended);
    return server;
  }

  #lookLater(tls: TlsFiles): void {
    if (this.#isStopped) return;
    this.#nextLook = setTimeout(() => {
      this.#looking = this.#reload(tls)
        .catch((cause) => this.#options.onReloadFailed?.(cause))
        .then(() => this.#lookLater(tls));
    }, this.#options.pollIntervalMs ?? POLL_INTERVAL_MS);
  }

  async #reload(tls: TlsFiles): Promise<void> {
    const pair = await this.#readChanged(tls);
    if (pair === undefined || this.#isStopped) return;
    const old = this.#server;
    try {
      this.#server = this.#serve(this.address.port, pair);
    } catch (cause) {
      // Where it is not the files' fault the next look tries again.
      if (!(cause instanceof ListenError)) this.#judged = textOf(this.#pair);
      throw cause;
    }
    this.#pair = pair;
    this.#earlier.add(old);
    try {
      await this.#options.beforeRetire?.();
    } finally {
      this.#retire(old);
    }
    this.#options.onReload?.();
  }

  /** The files' pair, once it has stood for two looks, where it is new and not the server's. */
  async #readChanged(tls: TlsFiles): Promise<KeyPair | undefined> {
    const read = await readPair(tls).catch(listenError);
    const text = read instanceof ListenError ? read.message : textOf(read);
    if (text !== this.#seen) {
      this.#seen = text; // and perhaps half written
      return undefined;
    }
    if (text === this.#judged) return undefined;
    this.#judged = text;
    if (read instanceof ListenError) throw read;
    return text === textOf(this.#pair) ? undefined : read;
  }

  #retire(server: Server): void {
    this.#earlier.delete(server);
    if (this.#retired.has(server)) return; // by shutdown, while a reload waited
    const ended = server.shutdown()
      .catch((cause) => this.#options.onAcceptFailed?.(cause))
      .finally(() => this.#retired.delete(server));
    this.#retired.set(server, ended);
  }

  #ended(server: Server, cause: unknown): void {
    if (this.#isStopped || server !== this.#server) return; // it was told to
    this.#options.onAcceptFailed?.(cause);
    this.#earlier.add(server); // not retired: that would close its WebSockets
    this.#listenAgain(server);
  }

  #listenAgain(failed: Server): void {
    this.#nextListen = setTimeout(() => {
      if (failed !== this.#server) return; // a reload was quicker
      try {
        this.#server = this.#serve(this.address.port, this.#pair);
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
): Server {
  try {
    return Deno.serve(options, handler);
  } catch (cause) {
    throw asListenError(cause);
  }
}

/** @throws {ListenError} */
async function readPair({ certPath, keyPath }: TlsFiles): Promise<KeyPair> {
  return {
    cert: await readPem("WEIR_TLS_CERT", certPath),
    key: await readPem("WEIR_TLS_KEY", keyPath),
  };
}

async function readPem(setting: string, path: string): Promise<string> {
  try {
    const text = await Deno.readTextFile(path);
    if (text.includes("-----BEGIN ")) return text;
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : cause instanceof Deno.errors.PermissionDenied
      ? "Weir may not read it"
      : cause instanceof Deno.errors.IsADirectory || cause instanceof Deno.errors.InvalidData
      ? "it is no text file"
      : undefined;
    if (why === undefined) throw cause;
    throw new ListenError(`Cannot use ${quote(path)}, which ${setting} names: ${why}.`, { cause });
  }
  throw new ListenError(`Cannot use ${quote(path)}, which ${setting} names: it is no PEM file.`);
}

function listenError(cause: unknown): ListenError {
  if (cause instanceof ListenError) return cause;
  throw cause;
}

/** The TLS stack is the judge of a pair; its words say which half it means. */
function asListenError(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const { message } = cause;
  const sentence = message.includes("KeyMismatch")
    ? "The key that WEIR_TLS_KEY names is not that of the certificate that WEIR_TLS_CERT names."
    : /\bcertificate/i.test(message)
    ? "WEIR_TLS_CERT must name a PEM file: the certificate, then those between it and the root."
    : /\bkey/i.test(message)
    ? "WEIR_TLS_KEY must name a PEM file with a private key that is not encrypted."
    : undefined;
  return sentence === undefined ? cause : new ListenError(sentence, { cause });
}

function textOf(pair: KeyPair | undefined): string {
  return pair === undefined ? "" : `${pair.cert}\n${pair.key}`;
}
