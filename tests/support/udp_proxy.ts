/** What a UDP datagram may have. Deno's own buffer is too small for those of QUIC. */
const MAX_DATAGRAM_BYTES = 65_535;

/** What a {@link UdpProxy} does to a flow. */
export interface UdpFault {
  /** Drops all datagrams once this many bytes have gone that way. */
  readonly end?: { readonly way: "up" | "down"; readonly after: number };
  /** Holds back each datagram for this long, in ms. */
  readonly delayMs?: number;
}

/** What a {@link UdpProxy} does to all datagrams of all flows. */
interface Disturbance {
  /** How likely a datagram is dropped, from 0 to 1. */
  readonly lossRate: number;
  /** Each datagram is held back for a random time of up to so many ms, so that others overtake it. */
  readonly jitterMs: number;
}

interface UdpProxyOptions {
  /** The port on which it listens. */
  readonly port: number;
  /** The server's port, for new flows. */
  readonly target: number;
  /** Called for the first datagram of a client's address and port. Returns what is done to its flow. */
  readonly onFlow?: () => UdpFault | undefined;
  /** Returns 0 ≤ random < 1. @default {Math.random} */
  readonly random?: () => number;
}

/** What one client sends and receives. */
interface Flow {
  readonly client: Deno.NetAddr;
  target: Deno.NetAddr;
  readonly socket: Deno.DatagramConn;
  fault: UdpFault;
  readonly bytes: { up: number; down: number };
  /** Whether all its datagrams are dropped from now on. */
  isCut: boolean;
}

/** A UDP proxy on this machine in front of a server, which disturbs traffic as a test asks. */
export class UdpProxy implements AsyncDisposable {
  /** The server's port, for new flows. */
  target: number;
  readonly #options: UdpProxyOptions;
  readonly #socket: Deno.DatagramConn;
  readonly #flows = new Map<string, Flow>();
  readonly #reading: Promise<void>[] = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #disturbance: Disturbance = { lossRate: 0, jitterMs: 0 };
  #isDisposed = false;

  /** @throws {Deno.errors.AddrInUse} */
  constructor(options: UdpProxyOptions) {
    this.#options = options;
    this.target = options.target;
    this.#socket = listen(options.port);
    this.#reading.push(this.#read(this.#socket, (data, from) => this.#up(data, from)));
  }

  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /** Drops everything of the flows so far, as a network does that a device has left. */
  cut(): void {
    for (const flow of this.#flows.values()) flow.isCut = true;
  }

  /** Passes on everything again, of the flows so far too, to the server's current port. */
  heal(): void {
    this.disturb({});
    for (const flow of this.#flows.values()) {
      flow.isCut = false;
      flow.fault = {};
      flow.target = { ...flow.target, port: this.target };
    }
  }

  /** Drops, and lets overtake each other, datagrams of all flows. */
  disturb(disturbance: Partial<Disturbance>): void {
    this.#disturbance = { lossRate: 0, jitterMs: 0, ...disturbance };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket.close();
    for (const { socket } of this.#flows.values()) socket.close();
    await Promise.all(this.#reading);
  }

  #up(data: Uint8Array, from: Deno.NetAddr): void {
    const key = `${from.hostname}:${from.port}`;
    const flow = this.#flows.get(key) ?? this.#openFlow(from);
    this.#flows.set(key, flow);
    this.#pass(flow, "up", data, () => flow.socket.send(data, flow.target));
  }

  #openFlow(client: Deno.NetAddr): Flow {
    const socket = listen(0);
    const flow: Flow = {
      client,
      target: { transport: "udp", hostname: "127.0.0.1", port: this.target },
      socket,
      fault: this.#options.onFlow?.() ?? {},
      bytes: { up: 0, down: 0 },
      isCut: false,
    };
    this.#reading.push(this.#read(socket, (data) => {
      this.#pass(flow, "down", data, () => this.#socket.send(data, client));
    }));
    return flow;
  }

  #pass(
    flow: Flow,
    way: "up" | "down",
    data: Uint8Array,
    send: () => Promise<number>,
  ): void {
    const { fault: { end, delayMs = 0 }, bytes } = flow;
    const { random = Math.random } = this.#options;
    const { lossRate, jitterMs } = this.#disturbance;
    if (end?.way === way && bytes[way] >= end.after) flow.isCut = true;
    bytes[way] += data.length;
    if (flow.isCut || random() < lossRate) return;
    const waitMs = delayMs + jitterMs * random();
    if (waitMs === 0) return void send().catch(() => {}); // a network may drop it
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      send().catch(() => {});
    }, waitMs);
    this.#timers.add(timer);
  }

  async #read(
    socket: Deno.DatagramConn,
    take: (data: Uint8Array, from: Deno.NetAddr) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM_BYTES);
    while (true) {
      try {
        const [data, from] = await socket.receive(buffer);
        take(data.slice(), from as Deno.NetAddr); // of a UDP socket
      } catch (cause) {
        if (this.#isDisposed) return;
        throw cause;
      }
    }
  }
}

function listen(port: number): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
}
