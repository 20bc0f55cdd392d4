import { type Fault, ProxiedConnection, type RequestKind } from "./proxied_connection.ts";
import { type UdpFault, UdpProxy } from "./udp_proxy.ts";

/** A request that has arrived. */
export interface SeenRequest {
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
  /** `performance.now()` when its head had arrived. */
  readonly at: number;
}

/**
 * A TCP proxy on this machine in front of a server, which breaks connections as a test asks. Each
 * connection carries one request (it adds `Connection: close`), so that a test can count requests
 * and break each of them. {@link openUdp} adds a UDP proxy, for WebTransport.
 */
export class FaultProxy implements AsyncDisposable {
  /** On the same port, if the test has opened it. */
  udp: UdpProxy | undefined;
  /** All requests so far, including refused ones. */
  readonly requests: SeenRequest[] = [];
  readonly #listener: Deno.TcpListener;
  #target: number;
  readonly #faults = new Map<RequestKind, Fault>();
  readonly #once: { readonly kinds: readonly RequestKind[]; readonly fault: Fault }[] = [];
  readonly #connections = new Set<ProxiedConnection>();
  readonly #handling = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  /** @param hostname the address on which it listens. */
  constructor(target: number, hostname = "127.0.0.1") {
    this.#target = target;
    this.#listener = Deno.listen({ hostname, port: 0 });
    this.#accepting = this.#accept();
  }

  /**
   * Returns a proxy that passes UDP on too.
   *
   * @see {@link openUdp}
   */
  static withUdp(target: number): FaultProxy {
    for (let tries = 1;; tries++) {
      const proxy = new FaultProxy(target);
      try {
        proxy.openUdp();
        return proxy;
      } catch (cause) {
        void proxy[Symbol.asyncDispose]();
        // QUIC clients of other tests use ports of the same range.
        if (!(cause instanceof Deno.errors.AddrInUse) || tries === 10) throw cause;
      }
    }
  }

  /**
   * Passes UDP on too, for connections of WebTransport. Each is a request of its own, which is
   * broken as those over TCP are, except that UDP cannot be closed: a connection that is cut,
   * refused or answered loses all its datagrams.
   *
   * @throws {Deno.errors.AddrInUse}
   */
  openUdp(): void {
    this.udp = new UdpProxy({
      port: this.port,
      target: this.#target,
      onFlow: () => {
        this.requests.push({
          kind: "webtransport",
          method: "CONNECT",
          path: "",
          at: performance.now(),
        });
        return udpFaultOf(this.#take("webtransport"));
      },
    });
  }

  /** The server's port, for new connections. */
  get target(): number {
    return this.#target;
  }

  set target(port: number) {
    this.#target = port;
    if (this.udp !== undefined) this.udp.target = port;
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Applies `fault` to all new connections of these kinds, until {@link off}. */
  on(kinds: readonly RequestKind[], fault: Fault): void {
    for (const kind of kinds) this.#faults.set(kind, fault);
  }

  /** Lets new connections of these kinds through. @param kinds @default all */
  off(kinds: readonly RequestKind[] = ALL): void {
    for (const kind of kinds) this.#faults.delete(kind);
  }

  /** Applies `fault` to the next connection of these kinds, instead of that of {@link on}. */
  next(kinds: readonly RequestKind[], fault: Fault): void {
    this.#once.push({ kinds, fault });
  }

  /** Closes the open connections of these kinds. */
  cut(kinds: readonly RequestKind[] = ALL): void {
    for (const connection of this.#of(kinds)) connection.close();
    if (kinds.includes("webtransport")) this.udp?.cut();
  }

  /** Keeps the open connections of these kinds open, and passes on nothing more. */
  hush(kinds: readonly RequestKind[] = ALL): void {
    for (const connection of this.#of(kinds)) connection.hush();
    if (kinds.includes("webtransport")) this.udp?.cut();
  }

  /** Counts requests of these kinds since `at`, in the time of `performance.now()`. */
  count(kinds: readonly RequestKind[] = ALL, at = 0): number {
    return this.requests.filter((request) => kinds.includes(request.kind) && request.at >= at)
      .length;
  }

  /** Counts the open TCP connections of these kinds. */
  open(kinds: readonly RequestKind[] = ALL): number {
    return [...this.#of(kinds)].length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) connection.close();
    await Promise.all([...this.#handling, this.udp?.[Symbol.asyncDispose]()]);
  }

  #of(kinds: readonly RequestKind[]): readonly ProxiedConnection[] {
    return [...this.#connections].filter(({ kind }) => kind !== undefined && kinds.includes(kind));
  }

  async #accept(): Promise<void> {
    while (true) {
      let conn: Deno.TcpConn;
      try {
        conn = await this.#listener.accept();
      } catch (cause) {
        if (cause instanceof Deno.errors.BadResource) return; // disposed
        if (cause instanceof Deno.errors.NotConnected) continue; // reset before it was accepted
        throw cause;
      }
      const connection = new ProxiedConnection(conn);
      this.#connections.add(connection);
      const handled = this.#handle(connection).finally(() => {
        connection.close();
        this.#connections.delete(connection);
        this.#handling.delete(handled);
      });
      this.#handling.add(handled);
    }
  }

  async #handle(connection: ProxiedConnection): Promise<void> {
    const head = await connection.readHead();
    if (head === undefined) return; // opened in advance and never used
    const { kind, method, path } = head;
    connection.kind = kind;
    this.requests.push({ kind, method, path, at: performance.now() });
    const fault = this.#take(kind);
    if (fault?.act === "refuse") return;
    if (fault?.act === "stall") return await connection.stall();
    if (fault?.act === "answer") return await connection.answer(fault.text, fault.open);
    await connection.relay(this.#target, fault);
  }

  #take(kind: RequestKind): Fault | undefined {
    const at = this.#once.findIndex(({ kinds }) => kinds.includes(kind));
    return at < 0 ? this.#faults.get(kind) : this.#once.splice(at, 1)[0]?.fault;
  }
}

export const ALL: readonly RequestKind[] = [
  "webtransport",
  "websocket",
  "sse",
  "long-poll",
  "short-poll",
  "publish",
  "other",
];

/** Requests over HTTP that deliver events. */
export const READS = [
  "websocket",
  "sse",
  "long-poll",
  "short-poll",
] as const satisfies readonly RequestKind[];

/** Formats an HTTP response for a `Fault`. */
export function answerOf(status: string, contentType: string, body: string): string {
  const { length } = new TextEncoder().encode(body);
  return `HTTP/1.1 ${status}\r\nContent-Type: ${contentType}\r\nContent-Length: ${length}\r\n` +
    `Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n${body}`;
}

/** Returns what is left of a fault for a flow of datagrams. */
function udpFaultOf(fault: Fault | undefined): UdpFault | undefined {
  switch (fault?.act) {
    case undefined:
      return undefined;
    case "delay":
      return { delayMs: fault.ms };
    case "cut":
    case "hush":
      return { end: fault };
    default:
      return { end: { way: "up", after: 0 } };
  }
}
