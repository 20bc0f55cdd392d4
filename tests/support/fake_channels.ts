import { ObservableValue } from "../../lib/client/core/observable.ts";
import type { PeerLink, PeerState } from "../../lib/client/rtc/api.ts";

interface FakeNetworkOptions {
  /** Returns 0 ≤ random < 1. @default Math.random */
  readonly random?: () => number;
  /** How likely a message of a channel with `maxRetransmits` is lost. @default 0 */
  readonly lossRate?: number;
}

/** Two peers with data channels between them. Messages arrive in later turns of the event loop. */
export class FakeNetwork {
  readonly #random: () => number;
  readonly #lossRate: number;
  readonly #pairs = new Set<FakePair>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Messages on their way. */
  #queue: { readonly to: FakeChannel; readonly data: string | Uint8Array }[] = [];
  /** Messages that arrived, and all that were sent. */
  delivered = 0;

  constructor({ random = Math.random, lossRate = 0 }: FakeNetworkOptions = {}) {
    this.#random = random;
    this.#lossRate = lossRate;
  }

  /** Returns the links of two sessions with each other. */
  connect(a: string, b: string, sessions = { a: `${a}-1`, b: `${b}-1` }): FakePair {
    const pair = new FakePair(this, { a, b }, sessions);
    this.#pairs.add(pair);
    return pair;
  }

  /** Whether no message is on its way. */
  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  send(to: FakeChannel, data: string | Uint8Array): void {
    // The channel copies what it sends.
    this.#queue.push({ to, data: typeof data === "string" ? data : data.slice() });
    this.#pump();
  }

  #pump(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (let n = 10 + Math.floor(40 * this.#random()); n > 0 && this.#queue.length > 0; n--) {
        this.#deliverOne();
      }
      if (this.#queue.length > 0) this.#pump();
    }, 0);
  }

  #deliverOne(): void {
    // Any of the oldest messages may be next, but an ordered channel keeps its order.
    let at = Math.floor(Math.min(this.#queue.length, 30) * this.#random());
    const candidate = this.#queue[at];
    if (candidate?.to.ordered) at = this.#queue.findIndex(({ to }) => to === candidate.to);
    const [message] = this.#queue.splice(at, 1);
    if (message === undefined) return;
    const { to, data } = message;
    const isLost = to.maxRetransmits !== null && this.#random() < this.#lossRate;
    to.other?.sent(data);
    if (isLost) return;
    this.delivered++;
    to.receive(data);
  }

  /** Ends all connections. */
  close(): void {
    clearTimeout(this.#timer);
    for (const pair of this.#pairs) pair.cut();
    this.#queue = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface Names {
  readonly a: string;
  readonly b: string;
}

/** Both ends of a link. */
export class FakePair {
  readonly a: FakeLink;
  readonly b: FakeLink;

  constructor(network: FakeNetwork, members: Names, sessions: Names) {
    this.a = new FakeLink(network, members.b, sessions.b);
    this.b = new FakeLink(network, members.a, sessions.a);
    this.a.other = this.b;
    this.b.other = this.a;
  }

  /** Loses the connection with all channels and messages. */
  cut(): void {
    for (const link of [this.a, this.b]) for (const channel of [...link.channels]) channel.drop();
    for (const link of [this.a, this.b]) link.isConnected.set(false);
  }

  restore(): void {
    for (const link of [this.a, this.b]) link.isConnected.set(true);
  }

  /** The two cannot reach each other. */
  fail(): void {
    this.cut();
    for (const link of [this.a, this.b]) link.state.set({ status: "failed" });
  }
}

export class FakeLink implements PeerLink {
  readonly isConnected = new ObservableValue(true);
  readonly state = new ObservableValue<PeerState>({ status: "connected" });
  /** Called at the peer with what is sent through the server. */
  onSignal: (data: unknown) => void | Promise<void> = () => {};
  readonly channels = new Set<FakeChannel>();
  other: FakeLink | undefined;
  readonly #network: FakeNetwork;
  readonly #listeners = new Map<string, (channel: RTCDataChannel) => void>();
  readonly #kept: FakeChannel[] = [];

  constructor(network: FakeNetwork, readonly member: string, readonly session: string) {
    this.#network = network;
  }

  openChannel(label: string, init: RTCDataChannelInit = {}, _connection = 0): RTCDataChannel {
    const { other } = this;
    if (!this.isConnected.value || other === undefined) throw new DOMException("", "InvalidState");
    const own = new FakeChannel(this.#network, this, label, init);
    const theirs = new FakeChannel(this.#network, other, label, init);
    own.other = theirs;
    theirs.other = own;
    setTimeout(() => {
      if (own.readyState !== "connecting") return;
      own.readyState = theirs.readyState = "open";
      other.offer(theirs);
      own.dispatchEvent(new Event("open"));
    }, 0);
    // Only what files.ts uses is there.
    return own as unknown as RTCDataChannel;
  }

  async signal(data: unknown): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    await this.other?.onSignal(JSON.parse(JSON.stringify(data)));
  }

  offer(channel: FakeChannel): void {
    for (const [prefix, listener] of this.#listeners) {
      if (channel.label.startsWith(prefix)) return listener(channel as unknown as RTCDataChannel);
    }
    this.#kept.push(channel);
  }

  onChannel(prefix: string, listener: (channel: RTCDataChannel) => void): () => void {
    this.#listeners.set(prefix, listener);
    for (const channel of this.#kept.splice(0)) this.offer(channel);
    return () => {
      if (this.#listeners.get(prefix) === listener) this.#listeners.delete(prefix);
    };
  }
}

/** The part of RTCDataChannel that file transfers use. */
export class FakeChannel extends EventTarget {
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = "blob";
  readonly ordered: boolean;
  readonly maxRetransmits: number | null;
  other: FakeChannel | undefined;
  readonly #network: FakeNetwork;
  readonly #link: FakeLink;

  constructor(
    network: FakeNetwork,
    link: FakeLink,
    readonly label: string,
    { ordered = true, maxRetransmits }: RTCDataChannelInit,
  ) {
    super();
    this.#network = network;
    this.#link = link;
    this.ordered = ordered;
    this.maxRetransmits = maxRetransmits ?? null;
    link.channels.add(this);
  }

  send(data: string | Uint8Array): void {
    if (this.readyState !== "open") throw new DOMException("", "InvalidStateError");
    this.bufferedAmount += data.length;
    if (this.other !== undefined) this.#network.send(this.other, data);
  }

  /** A message has left the buffer. */
  sent(data: string | Uint8Array): void {
    const before = this.bufferedAmount;
    this.bufferedAmount -= data.length;
    const threshold = this.bufferedAmountLowThreshold;
    if (before > threshold && this.bufferedAmount <= threshold) {
      this.dispatchEvent(new Event("bufferedamountlow"));
    }
  }

  receive(data: string | Uint8Array): void {
    if (this.readyState !== "open") return;
    const isText = typeof data === "string" || this.binaryType !== "arraybuffer";
    this.dispatchEvent(new MessageEvent("message", { data: isText ? data : data.buffer }));
  }

  /** Closes both ends. */
  close(): void {
    this.drop();
    this.other?.drop();
  }

  /** Closes this end. */
  drop(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.#link.channels.delete(this);
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }
}
