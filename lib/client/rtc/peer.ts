import type { Link } from "../core/link.ts";
import { ObservableValue } from "../core/observable.ts";
import { WeirError } from "../core/weir_error.ts";
import type {
  OutgoingFile,
  Peer,
  PeerLink,
  PeerState,
  PeerStats,
  PeerStream,
  SendFileOptions,
  SendOptions,
} from "./api.ts";
import { IncomingChannels } from "./channels.ts";
import { Connection } from "./connection.ts";
import type { IceConfiguration } from "./ice_configuration.ts";
import type { LocalMedia, MutedKinds } from "./local_media.ts";
import { checkMessage, type MessageData, MessageQueue, sendNow } from "./messages.ts";
import type { Signal } from "./signal.ts";
import { SignalSender } from "./signal_sender.ts";
import { type PacketCounts, type StatsReports, summarizeStats } from "./stats.ts";

/** Ids of the channels that both ends open by themselves: RFC 8832 negotiates none of these. */
const CONTROL = { negotiated: true, id: 0 };
const RELIABLE = { negotiated: true, id: 1 };
const UNRELIABLE = { negotiated: true, id: 2, ordered: false, maxRetransmits: 0 };
/** Labels of file transfers' channels. */
const FILE_PREFIX = "weir-file";
/** How long a further connection stays open without a channel. */
const UNUSED_MS = 5_000;
/** The same if there was none yet: its peer may take a while to open it. */
const UNANSWERED_MS = 60_000;

/** What a room gives to its peers. */
export interface PeerHost<D> {
  readonly link: Link;
  readonly channel: string;
  /** This client's. */
  readonly member: string;
  readonly session: string;
  readonly configuration: IceConfiguration;
  readonly media: LocalMedia;
  sendFile(link: PeerLink, file: Blob, options?: SendFileOptions): OutgoingFile;
  /** Signals wait for the link. */
  retryLink(): void;
  onMessage(peer: RoomPeer<D>, data: MessageData): void;
  onClosed(peer: RoomPeer<D>): void;
  onError(error: WeirError): void;
}

/** What peers tell each other over the control channel. */
interface Control {
  readonly bye?: true;
  readonly muted?: MutedKinds;
}

/** @see {@link Peer} */
export class RoomPeer<D> implements Peer<D> {
  readonly session: string;
  readonly member: string;
  readonly data: ObservableValue<D>;
  readonly state = new ObservableValue<PeerState>({ status: "connecting" });
  readonly streams = new ObservableValue<readonly PeerStream[]>([]);
  readonly files: PeerLink;
  /** Whether presence lists the session. */
  isListed = true;
  readonly #host: PeerHost<D>;
  readonly #signals: SignalSender;
  readonly #connections = new Map<number, Connection>();
  readonly #main: Connection;
  /** The open channels of each further connection. */
  readonly #users = new Map<number, Set<RTCDataChannel>>();
  readonly #incoming = new IncomingChannels();
  readonly #queue = new MessageQueue();
  readonly #isConnected = new ObservableValue(false);
  #control!: RTCDataChannel; // the constructor opens the main connection
  #reliable!: RTCDataChannel;
  #unreliable!: RTCDataChannel;
  #channels: readonly RTCDataChannel[] = [];
  readonly #remoteStreams = new Set<MediaStream>();
  #muted: MutedKinds = {};
  #counts: PacketCounts = { received: 0, lost: 0 };
  #wasConnected = false;

  constructor(host: PeerHost<D>, member: string, session: string, data: D) {
    this.#host = host;
    this.member = member;
    this.session = session;
    this.data = new ObservableValue(data);
    const { link, channel, onError } = host;
    this.#signals = new SignalSender(link, {
      channel,
      member: host.member,
      session: host.session,
      to: member,
      toSession: session,
    }, onError);
    this.files = {
      member,
      session,
      state: this.state,
      signal: (data) => this.#signals.deliver(data),
      isConnected: this.#isConnected,
      openChannel: (label, init, number = 0) => this.#openChannel(label, init, number),
      onChannel: (prefix, listener) =>
        this.#incoming.listen((label) => label.startsWith(prefix), listener),
    };
    this.#main = this.#connect(0);
  }

  readonly send = (data: MessageData, { reliable = true }: SendOptions = {}): void => {
    if (this.state.value.status === "closed") {
      throw new WeirError("peer_gone", `${this.member} has left the room.`);
    }
    checkMessage(data);
    if (reliable) this.#queue.send(this.#reliable, data);
    else if (this.#unreliable.readyState === "open") sendNow(this.#unreliable, data);
  };

  readonly channel = (label: string, init?: RTCDataChannelInit): RTCDataChannel => {
    if (!label.startsWith(FILE_PREFIX)) return this.#openChannel(label, init, 0);
    throw new WeirError("bad_parameter", `Labels that begin with ${FILE_PREFIX} are reserved.`);
  };

  readonly sendFile = (file: File | Blob, options?: SendFileOptions): OutgoingFile =>
    this.#host.sendFile(this.files, file, options);

  readonly onChannel = (listener: (channel: RTCDataChannel) => void): () => void =>
    this.#incoming.listen((label) => !label.startsWith(FILE_PREFIX), listener);

  readonly stats = async (): Promise<PeerStats> => {
    const reports = await this.#main.pc.getStats();
    // A "maplike" object of WebIDL.
    const { stats, counts } = summarizeStats(reports as unknown as StatsReports, this.#counts);
    this.#counts = counts;
    return stats;
  };

  receive(signal: Signal): void {
    if (this.state.value.status === "closed") return;
    const { connection: number, begin, description } = signal;
    const isFirst = begin || description?.type === "offer"; // candidates may come after the end
    const connection = this.#connections.get(number) ?? (isFirst ? this.#connect(number) : null);
    connection?.receive(signal);
  }

  addTrack(track: MediaStreamTrack, stream: MediaStream): void {
    this.#main.pc.addTrack(track, stream);
    this.tellMuted();
  }

  removeTrack(track: MediaStreamTrack): void {
    const sender = this.#senderOf(track);
    if (sender) this.#main.pc.removeTrack(sender);
  }

  async replaceTrack(old: MediaStreamTrack, next: MediaStreamTrack): Promise<void> {
    await this.#senderOf(old)?.replaceTrack(next);
    this.tellMuted();
  }

  tellMuted(): void {
    this.#tell({ muted: this.#host.media.muted });
  }

  /** Presence does not list the session any more: it has left, or the server believes so. */
  unlisted(): void {
    this.isListed = false;
    this.#changed();
  }

  /** Whether its signals should not wait for long. */
  get isNegotiating(): boolean {
    const { status } = this.state.value;
    return status === "connecting" || status === "disconnected" || this.#signals.isSending;
  }

  /** Signals can be sent again, or have been lost. */
  resume(): void {
    for (const connection of this.#connections.values()) connection.resume();
  }

  networkChanged(): void {
    for (const connection of this.#connections.values()) connection.networkChanged();
  }

  /** @param error why, if the peer has not said goodbye. */
  close(error?: WeirError): void {
    if (this.state.value.status === "closed") return;
    this.#tell({ bye: true });
    this.#signals.close();
    this.#queue.clear();
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
    this.#remoteStreams.clear();
    this.streams.set([]);
    this.#isConnected.set(false);
    this.state.set({ status: "closed", ...error && { error } });
    this.#host.onClosed(this);
  }

  #connect(number: number): Connection {
    const { link, configuration, session, onError } = this.#host;
    const connection = new Connection({
      number,
      isPolite: session < this.session,
      configuration,
      canSignal: () => {
        const isOpen = link.state.value.status === "open";
        if (!isOpen) this.#host.retryLink();
        return isOpen;
      },
      send: (signal) => this.#signals.send(signal),
      opened: (pc) => number === 0 ? this.#openedMain(pc) : this.#openedFurther(pc, number),
      changed: () => this.#changed(),
      onError,
    });
    this.#connections.set(number, connection);
    return connection;
  }

  #openedMain(pc: RTCPeerConnection): void {
    this.#remoteStreams.clear();
    this.#streamsChanged();
    this.#counts = { received: 0, lost: 0 };
    const control = this.#control = pc.createDataChannel("weir-control", CONTROL);
    const reliable = this.#reliable = pc.createDataChannel("weir-reliable", RELIABLE);
    const unreliable = this.#unreliable = pc.createDataChannel("weir-unreliable", UNRELIABLE);
    this.#channels = [control, reliable, unreliable];
    for (const channel of this.#channels) channel.onopen = () => this.#changed();
    control.onmessage = ({ data }) => this.#told(data);
    control.onclose = () => this.#control === control && this.#main.lost();
    for (const channel of [reliable, unreliable]) {
      channel.binaryType = "arraybuffer";
      channel.onmessage = ({ data }) =>
        this.#host.onMessage(this, typeof data === "string" ? data : new Uint8Array(data));
    }
    pc.ondatachannel = ({ channel }) => this.#incoming.add(channel);
    pc.ontrack = ({ streams }) => {
      for (const stream of streams) {
        this.#remoteStreams.add(stream);
        stream.onaddtrack = stream.onremovetrack = () => this.#streamsChanged();
      }
      this.#streamsChanged();
    };
    for (const [track, stream] of this.#host.media.tracks) pc.addTrack(track, stream);
  }

  /** Connections for files: closed by either end while no channel uses them. */
  #openedFurther(pc: RTCPeerConnection, number: number): void {
    const control = pc.createDataChannel("weir-control", CONTROL);
    const users = new Set<RTCDataChannel>();
    this.#users.set(number, users);
    pc.ondatachannel = ({ channel }) => {
      this.#uses(number, channel);
      this.#incoming.add(channel);
    };
    control.onclose = () => this.#connections.get(number)?.pc === pc && this.#disconnect(number);
    setTimeout(() => this.#disconnectUnused(number, users), UNANSWERED_MS);
  }

  #openChannel(
    label: string,
    init: RTCDataChannelInit | undefined,
    number: number,
  ): RTCDataChannel {
    let connection = this.#connections.get(number);
    if (!connection) {
      connection = this.#connect(number);
      connection.begin();
    }
    const channel = connection.pc.createDataChannel(label, init);
    channel.binaryType = "arraybuffer";
    if (number > 0) this.#uses(number, channel);
    return channel;
  }

  #uses(number: number, channel: RTCDataChannel): void {
    const users = this.#users.get(number)?.add(channel);
    channel.addEventListener("close", () => {
      users?.delete(channel);
      setTimeout(() => this.#disconnectUnused(number, users), UNUSED_MS);
    });
  }

  #disconnectUnused(number: number, users: Set<RTCDataChannel> | undefined): void {
    if (users?.size === 0 && this.#users.get(number) === users) this.#disconnect(number);
  }

  #disconnect(number: number): void {
    this.#connections.get(number)?.close();
    this.#connections.delete(number);
    this.#users.delete(number);
  }

  #senderOf(track: MediaStreamTrack): RTCRtpSender | undefined {
    return this.#main.pc.getSenders().find((sender) => sender.track === track);
  }

  #tell(control: Control): void {
    if (this.#control.readyState === "open") this.#control.send(JSON.stringify(control));
  }

  #told(text: unknown): void {
    const { bye, muted }: Control = parseControl(text);
    if (bye) this.close();
    if (!muted) return;
    this.#muted = muted;
    this.#streamsChanged();
  }

  #streamsChanged(): void {
    const before = this.streams.value;
    const streams = [...this.#remoteStreams].filter((stream) => stream.getTracks().length > 0)
      .map((stream): PeerStream => {
        const kinds = this.#muted[stream.id] ?? [];
        const audioMuted = kinds.includes("audio");
        const videoMuted = kinds.includes("video");
        const same = before.find((one) =>
          one.stream === stream && one.audioMuted === audioMuted && one.videoMuted === videoMuted
        );
        return same ?? { stream, audioMuted, videoMuted };
      });
    const isSame = streams.length === before.length && streams.every((one, i) => one === before[i]);
    // A stream whose tracks have changed is the same object, so its followers need to hear of it.
    if (!isSame || streams.length > 0) this.streams.set(isSame ? [...streams] : streams);
  }

  #changed(): void {
    const { status } = this.state.value;
    if (status === "closed" || !this.#main) return;
    const { isConnected, isFailed } = this.#main;
    if (isConnected && this.#channels.every(({ readyState }) => readyState === "open")) {
      if (status !== "connected") this.#connected();
      return;
    }
    if (this.#isConnected.value) this.#isConnected.set(false);
    if (!this.isListed && !isConnected) {
      return this.close(this.#wasConnected ? goneError(this) : undefined);
    }
    const next = isFailed ? "failed" : this.#wasConnected ? "disconnected" : "connecting";
    if (next === status) return;
    this.state.set({ status: next, ...isFailed && { error: this.#whyFailed() } });
  }

  #connected(): void {
    this.#wasConnected = true;
    this.tellMuted();
    this.#queue.flush(this.#reliable);
    this.state.set({ status: "connected" });
    this.#isConnected.set(true);
  }

  #whyFailed(): WeirError {
    const { isTurnRefused, pc } = this.#main;
    if (isTurnRefused) {
      const detail = "The TURN server refused the credential, and there is no other way.";
      return new WeirError("turn_refused", detail);
    }
    if (this.#wasConnected || !pc.remoteDescription || this.#host.configuration.hasTurn) {
      return goneError(this);
    }
    const detail = "The networks let no direct connection through. Set up a TURN server for Weir.";
    return new WeirError("no_turn", detail);
  }
}

function goneError({ member }: { readonly member: string }): WeirError {
  return new WeirError("peer_gone", `${member} does not answer. It may have lost its network.`);
}

function parseControl(text: unknown): Control {
  try {
    const { bye, muted } = JSON.parse(String(text));
    if (bye === true) return { bye };
    const entries = Object.entries(Object(muted)).slice(0, MAX_STREAMS).filter(([, kinds]) =>
      Array.isArray(kinds)
    );
    return { muted: Object.fromEntries(entries) as MutedKinds };
  } catch {
    return {}; // not a message of this version
  }
}

/** Streams of a peer whose muting is noted. Guards against a peer that names streams without end. */
const MAX_STREAMS = 64;
