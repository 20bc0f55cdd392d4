import { type DataChannel, PeerConnection } from "node-datachannel";
import { SocketClient } from "./socket_client.ts";
import { until } from "./until.ts";

/** A signal of a room, as docs/webrtc.md describes it. */
export interface RoomSignal {
  readonly connection: number;
  readonly id: string;
  readonly for?: string;
  readonly n: number;
  readonly description?: { readonly type: "offer" | "answer"; readonly sdp: string };
  readonly candidates?: readonly { readonly candidate: string; readonly sdpMid: string | null }[];
  readonly end?: true;
  readonly begin?: true;
}

type SignalBody = Pick<RoomSignal, "description" | "candidates" | "end" | "begin">;

interface InboxEvent {
  readonly op: string;
  readonly type: string;
  readonly data: { readonly from: string; readonly fromSession: string; readonly data: RoomSignal };
}

/** What a peer has sent. */
export type PeerMessage = readonly [
  from: "control" | "reliable" | "unreliable",
  data: string | Uint8Array,
];

interface HeadlessOptions {
  readonly channel: string;
  readonly member: string;
  readonly session: string;
}

/**
 * A peer of a room without a browser and without the client library: libdatachannel, and the
 * protocol as docs/protocol.md and docs/webrtc.md describe it. It connects to one other session.
 */
export class HeadlessPeer implements AsyncDisposable {
  /** All that has arrived, in the order of each channel. */
  readonly messages: PeerMessage[] = [];
  /** Labels of the channels that the other peer has opened. */
  readonly opened: string[] = [];
  readonly #options: HeadlessOptions;
  readonly #socket: SocketClient;
  readonly #pc = new PeerConnection("headless", { iceServers: [], disableAutoNegotiation: true });
  readonly #channels: Readonly<Record<PeerMessage[0], DataChannel>>;
  readonly #id = crypto.randomUUID();
  /** The session that it connects to. */
  #other: { readonly to: string; readonly toSession: string } | undefined;
  #remoteId: string | undefined;
  #lastReceived = 0;
  #lastSent = 0;
  readonly #reading: Promise<void>;
  #isClosing = false;

  private constructor(options: HeadlessOptions, socket: SocketClient) {
    this.#options = options;
    this.#socket = socket;
    const pc = this.#pc;
    pc.onLocalDescription((sdp, type) => {
      if (type === "offer" || type === "answer") this.#send({ description: { type, sdp } });
    });
    pc.onLocalCandidate((candidate, sdpMid) => this.#send({ candidates: [{ candidate, sdpMid }] }));
    pc.onGatheringStateChange((state) => state === "complete" && this.#send({ end: true }));
    pc.onDataChannel((channel) => this.opened.push(channel.getLabel()));
    const unreliable = { unordered: true, maxRetransmits: 0 };
    this.#channels = {
      control: pc.createDataChannel("", { negotiated: true, id: 0 }),
      reliable: pc.createDataChannel("", { negotiated: true, id: 1 }),
      unreliable: pc.createDataChannel("", { negotiated: true, id: 2, ...unreliable }),
    };
    for (const [name, channel] of Object.entries(this.#channels)) {
      channel.onMessage((data) => {
        const copy = typeof data === "string" ? data : new Uint8Array(data);
        this.messages.push([name as PeerMessage[0], copy]); // the keys above
      });
    }
    this.#reading = this.#read();
  }

  /** Joins the room, and resolves once the session is listed. */
  static async join(url: string, options: HeadlessOptions): Promise<HeadlessPeer> {
    const { channel, member, session } = options;
    const socket = await SocketClient.open(url);
    const inbox = `$signals:${channel}/${encodeURIComponent(member)}/${session}`;
    socket.send({ op: "subscribe", ref: 1, channel: inbox, after: "earliest" });
    await socket.until("subscribed");
    socket.send({ op: "enter", ref: 2, channel, member, session, data: { name: "headless" } });
    await socket.until("entered");
    return new HeadlessPeer(options, socket);
  }

  /** Makes the first offer, to a session with a lower name. */
  offer(to: string, toSession: string): void {
    this.#other = { to, toSession };
    this.#pc.setLocalDescription("offer");
  }

  /** Resolves once all channels of the room are open at this end. */
  async isOpen(): Promise<void> {
    const channels = Object.values(this.#channels);
    await until("the channels are open", () => channels.every((channel) => channel.isOpen()));
  }

  /** Sends over one of the room's channels. Returns whether it left at once; else it waits there. */
  send(by: PeerMessage[0], data: string | Uint8Array): boolean {
    const channel = this.#channels[by];
    return typeof data === "string" ? channel.sendMessage(data) : channel.sendMessageBinary(data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#pc.close();
    await this.#socket[Symbol.asyncDispose]();
    await this.#reading;
  }

  #send(body: SignalBody): void {
    if (this.#isClosing) return;
    const { channel, member, session } = this.#options;
    const ids = { id: this.#id, ...this.#remoteId !== undefined && { for: this.#remoteId } };
    const data = { connection: 0, ...ids, n: ++this.#lastSent, ...body };
    this.#socket.send({ op: "signal", ref: 3, channel, member, session, ...this.#other, data });
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        const message = await this.#socket.next();
        if (message.op === "error") throw new Error(JSON.stringify(message));
        if (message.op === "event") this.#receive(message as unknown as InboxEvent);
      }
    } catch (cause) {
      if (!this.#isClosing) throw cause;
    }
  }

  #receive({ data: { from, fromSession, data: signal } }: InboxEvent): void {
    this.#other ??= { to: from, toSession: fromSession };
    if (this.#other.toSession !== fromSession || signal.connection !== 0) return;
    if (signal.for !== undefined && signal.for !== this.#id) return;
    if (this.#remoteId !== undefined && this.#remoteId !== signal.id) {
      throw new Error("the peer has made its connection again");
    }
    this.#remoteId = signal.id;
    if (signal.n <= this.#lastReceived) return;
    this.#lastReceived = signal.n;
    const { description, candidates = [] } = signal;
    if (description) {
      this.#pc.setRemoteDescription(description.sdp, description.type);
      if (description.type === "offer") this.#pc.setLocalDescription("answer");
    }
    for (const { candidate, sdpMid } of candidates) {
      this.#pc.addRemoteCandidate(candidate, sdpMid ?? "0");
    }
  }
}
