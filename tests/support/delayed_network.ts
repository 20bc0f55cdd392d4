interface DelayedNetworkOptions {
  /** The server's port, on 127.0.0.1. */
  readonly target: number;
  /** Milliseconds for which datagrams to the server are held. */
  readonly delayMs: number;
  /** The share of the datagrams to the server that are lost, at random. */
  readonly lossRate: number;
}

interface Datagram {
  readonly dueAtMs: number;
  readonly bytes: Uint8Array;
  readonly upstream: Deno.DatagramConn;
}

/**
 * A UDP relay in front of a TURN server, which delays and loses what clients send to it, and passes
 * on at once what it sends. So each way between two clients of the server has the delay and the
 * loss once.
 */
export class DelayedNetwork implements AsyncDisposable {
  readonly port: number;
  readonly #options: DelayedNetworkOptions;
  readonly #socket: Deno.DatagramConn;
  /** By the client's port: the server tells clients apart by these. */
  readonly #upstreams = new Map<number, Deno.DatagramConn>();
  readonly #reading: Promise<void>[] = [];
  /** In the order in which they have arrived. */
  #held: Datagram[] = [];
  #delivering: Promise<void> | undefined;

  constructor(options: DelayedNetworkOptions) {
    this.#options = options;
    this.#socket = listen();
    this.port = portOf(this.#socket.addr);
    this.#reading.push(this.#read());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    for (const upstream of this.#upstreams.values()) upstream.close();
    this.#held = [];
    await Promise.all(this.#reading);
    await this.#delivering;
  }

  async #read(): Promise<void> {
    const { delayMs, lossRate } = this.#options;
    for await (const [bytes, client] of this.#socket) {
      const upstream = this.#upstreamOf(client);
      if (Math.random() < lossRate) continue;
      this.#held.push({ dueAtMs: performance.now() + delayMs, bytes, upstream });
      this.#delivering ??= this.#deliver();
    }
  }

  async #deliver(): Promise<void> {
    const to = { transport: "udp", hostname: "127.0.0.1", port: this.#options.target } as const;
    for (let next; (next = this.#held.shift());) {
      const { dueAtMs, bytes, upstream } = next;
      const waitMs = dueAtMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)));
      await send(upstream, bytes, to);
    }
    this.#delivering = undefined;
  }

  #upstreamOf(client: Deno.Addr): Deno.DatagramConn {
    const port = portOf(client);
    const known = this.#upstreams.get(port);
    if (known !== undefined) return known;
    const upstream = listen();
    this.#upstreams.set(port, upstream);
    this.#reading.push(this.#passBack(upstream, client));
    return upstream;
  }

  async #passBack(upstream: Deno.DatagramConn, client: Deno.Addr): Promise<void> {
    for await (const [bytes] of upstream) await send(this.#socket, bytes, client);
  }
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}

function portOf(address: Deno.Addr): number {
  return (address as Deno.NetAddr).port;
}

/** A network loses what it cannot carry, as when a client or the relay has closed its end. */
async function send(by: Deno.DatagramConn, bytes: Uint8Array, to: Deno.Addr): Promise<void> {
  try {
    await by.send(bytes, to);
  } catch (cause) {
    const isGone = cause instanceof Deno.errors.BadResource ||
      cause instanceof Deno.errors.ConnectionRefused;
    if (!isGone) throw cause;
  }
}
