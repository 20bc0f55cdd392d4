import { randomId } from "../../shared/random_id.ts";
import type { Listening, Member, Presence, Weir } from "../api.ts";
import { ObservableValue, runCallback } from "../core/observable.ts";
import { onAbort } from "../core/on_abort.ts";
import { WeirError } from "../core/weir_error.ts";
import type { IncomingFile, Peer, Room, RoomOptions, RoomSendOptions, RoomState } from "./api.ts";
import { LazyFiles } from "./files/lazy_files.ts";
import { IceConfiguration } from "./ice_configuration.ts";
import { LocalMedia } from "./local_media.ts";
import type { MessageData } from "./messages.ts";
import { type PeerHost, RoomPeer } from "./peer.ts";
import { parseSignal, type Signal } from "./signal.ts";

/** Signals of sessions that presence does not list yet. Guards against senders without end. */
const MAX_EARLY_SIGNALS = 256;
/**
 * How long after the loss of its connection Weir is asked each second, if a peer waits for signals.
 * Guards against rooms that keep a server down which has failed.
 */
const RETRY_MS = 30_000;

interface RoomEvents<D> {
  message: { readonly peer: Peer<D>; readonly data: MessageData };
  file: IncomingFile;
  error: WeirError;
}

/** The data of an event in an inbox, which the server has written, except for its `data`. */
interface InboxData {
  readonly from: string;
  readonly fromSession?: string;
  readonly data: unknown;
}

interface EarlySignal {
  readonly session: string;
  readonly signal: Signal;
}

/** @see {@link Room} */
export class ClientRoom<D> implements Room<D> {
  readonly session = randomId();
  readonly state = new ObservableValue<RoomState>({ status: "joining" });
  readonly peers = new ObservableValue<readonly RoomPeer<D>[]>([]);
  readonly #weir: Weir;
  readonly #channel: string;
  readonly #options: RoomOptions<D>;
  readonly #presence: Presence<D>;
  readonly #media = new LocalMedia();
  readonly #configuration: IceConfiguration;
  readonly #listeners = {
    message: new Set(),
    file: new Set(),
    error: new Set(),
  } as {
    readonly [K in keyof RoomEvents<D>]: Set<(event: RoomEvents<D>[K]) => void>;
  };
  readonly #files = new LazyFiles({
    onFile: (transfer) => {
      this.#emit("file", transfer);
      return this.#listeners.file.size > 0;
    },
    onError: (error) => this.#report(error),
  });
  /** Aborts when the room is closed. */
  readonly #end = new AbortController();
  /** Sessions that have said goodbye, which presence lists a while longer. */
  readonly #gone = new Set<string>();
  #early: EarlySignal[] = [];
  #inbox: Listening | undefined;
  /** Whose inbox is read. The server may name the member otherwise than this client has. */
  #inboxMember: string | undefined;
  /** When the link lost its connection. */
  #lostAtMs: number | undefined;

  constructor(weir: Weir, channel: string, options: RoomOptions<D>) {
    this.#weir = weir;
    this.#channel = channel;
    this.#options = options;
    this.#presence = weir.presence(channel);
    this.#configuration = new IceConfiguration(this.#weir.link, options, this.#report);
    for (const track of options.media?.getTracks() ?? []) {
      this.#media.add(track, options.media!); // it has tracks
    }
    if (typeof RTCPeerConnection === "undefined") {
      const detail = "This browser has no WebRTC, or it is switched off.";
      queueMicrotask(() => this.#fail(new WeirError("no_webrtc", detail)));
    } else void this.#join();
    onAbort(options.signal, () => void this.close());
  }

  readonly setData = async (data: D): Promise<void> => {
    await this.#enter(data);
  };

  readonly addTrack = (track: MediaStreamTrack, stream: MediaStream): void => {
    this.#media.add(track, stream);
    for (const peer of this.peers.value) peer.addTrack(track, stream);
  };

  readonly removeTrack = (track: MediaStreamTrack): void => {
    this.#media.remove(track);
    for (const peer of this.peers.value) peer.removeTrack(track);
  };

  readonly replaceTrack = async (old: MediaStreamTrack, next: MediaStreamTrack): Promise<void> => {
    this.#media.replace(old, next);
    await Promise.all(this.peers.value.map((peer) => peer.replaceTrack(old, next)));
  };

  readonly setMuted = (track: MediaStreamTrack, isMuted: boolean): void => {
    track.enabled = !isMuted;
    for (const peer of this.peers.value) peer.tellMuted();
  };

  readonly send = (data: MessageData, { to, ...options }: RoomSendOptions<D> = {}): void => {
    for (const peer of to ? [to] : this.peers.value) peer.send(data, options);
  };

  readonly on = <K extends keyof RoomEvents<D>>(
    event: K,
    listener: (event: RoomEvents<D>[K]) => void,
  ): () => void => {
    const own = (event: RoomEvents<D>[K]) => listener(event); // it may be registered twice
    this.#listeners[event].add(own);
    return () => void this.#listeners[event].delete(own);
  };

  readonly close = async (): Promise<void> => {
    this.#close();
    await this.#presence.leave();
  };

  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close();

  async #join(): Promise<void> {
    const { signal } = this.#end;
    const { link } = this.#weir;
    void this.#configuration.get(); // in time for the first peer
    onAbort(signal, this.#presence.members.subscribe((members) => this.#listed(members)));
    onAbort(
      signal,
      link.state.onChange(({ status, ...state }) => {
        if (status === "open") {
          this.#lostAtMs = undefined;
          for (const peer of this.peers.value) peer.resume();
        } else if (status === "reconnecting") this.#retryLink();
        else if (status === "closed") this.#close("error" in state ? state.error : undefined);
      }),
    );
    this.#watchNetwork(signal);
    const { member, data } = this.#options;
    if (member !== undefined) this.#readInbox(member);
    try {
      await this.#enter(data);
    } catch (cause) {
      this.#fail(cause as WeirError); // presence throws nothing else
    }
  }

  /** Tries to connect to Weir without backoff if peers wait for signals. */
  #retryLink(): void {
    const now = performance.now();
    this.#lostAtMs ??= now;
    if (now - this.#lostAtMs > RETRY_MS || !this.peers.value.some((peer) => peer.isNegotiating)) {
      return;
    }
    // The link begins to wait right after it has set its state.
    queueMicrotask(() => this.#weir.link.retry());
  }

  #watchNetwork(signal: AbortSignal): void {
    const changed = () => {
      for (const peer of this.peers.value) peer.networkChanged();
    };
    const { navigator } = globalThis as {
      readonly navigator?: { readonly connection?: EventTarget };
    };
    navigator?.connection?.addEventListener("change", changed, { signal });
    globalThis.addEventListener?.("online", changed, { signal });
    globalThis.addEventListener?.("pagehide", (event) => {
      if (!(event as PageTransitionEvent).persisted) void this.close().catch(() => {});
    }, { signal });
  }

  #enter(data: D | undefined): Promise<void> {
    const { member } = this.#options;
    const { session } = this;
    return this.#presence.enter(data, { member, session, signal: this.#end.signal });
  }

  #listed(members: readonly Member<D>[]): void {
    if (this.#end.signal.aborted) return;
    const own = this.state.value.member ??
      members.find(({ sessions }) => sessions?.includes(this.session))?.member;
    if (own === undefined) return; // not entered yet
    if (this.state.value.status === "joining") {
      this.state.set({ status: "open", member: own });
      this.#readInbox(own);
    }
    const listed = new Set<string>();
    for (const { member, sessions = [], data } of members) {
      for (const session of sessions) {
        listed.add(session);
        this.#listedPeer(own, member, session, data);
      }
    }
    for (const peer of this.peers.value) {
      if (!listed.has(peer.session)) peer.unlisted();
    }
    for (const session of this.#gone) if (!listed.has(session)) this.#gone.delete(session);
  }

  #listedPeer(own: string, member: string, session: string, data: D): void {
    if (session === this.session || this.#gone.has(session)) return;
    const known = this.#peer(session);
    if (known) {
      known.isListed = true;
      if (known.data.value !== data) known.data.set(data);
      return;
    }
    const host: PeerHost<D> = {
      link: this.#weir.link,
      channel: this.#channel,
      // As on `enter`: the server marks names without a subject itself.
      member: this.#options.member ?? own,
      session: this.session,
      configuration: this.#configuration,
      media: this.#media,
      retryLink: () => this.#retryLink(),
      onMessage: (peer, data) => this.#emit("message", { peer, data }),
      sendFile: (link, file, options) => this.#files.send(link, file, options),
      onClosed: (peer) => {
        endFiles();
        if (peer.isListed) this.#gone.add(peer.session);
        this.peers.set(this.peers.value.filter((one) => one !== peer));
      },
      onError: this.#report,
    };
    const peer = new RoomPeer(host, member, session, data);
    const endFiles = this.#files.addPeer(peer.files);
    this.peers.set([...this.peers.value, peer]);
    const early = this.#early.filter((one) => one.session === session);
    this.#early = this.#early.filter((one) => one.session !== session);
    for (const { signal } of early) peer.receive(signal);
  }

  /** Reads the signals to this session. */
  #readInbox(member: string): void {
    if (this.#inboxMember === member) return;
    this.#inbox?.close();
    this.#inboxMember = member;
    const name = encodeURIComponent(member);
    this.#inbox = this.#weir.listen<InboxData>(
      `$signals:${this.#channel}/${name}/${this.session}`,
      {
        after: "earliest",
        onEvent: ({ data: { from, fromSession, data } }) => {
          if (fromSession === undefined) return;
          const signal = parseSignal(data);
          if (signal) return this.#signalled(from, fromSession, signal);
          const peer = this.#peer(fromSession);
          if (peer?.member === from) this.#files.receive(peer.files, data);
        },
        onGap: () => {
          for (const peer of this.peers.value) {
            peer.resume();
            this.#files.receive(peer.files);
          }
        },
        onError: (error) => {
          if (this.state.value.status === "joining") this.#inboxMember = undefined;
          else this.#fail(error);
        },
      },
    );
  }

  #signalled(from: string, session: string, signal: Signal): void {
    if (this.#gone.has(session)) return;
    const peer = this.#peer(session);
    if (peer) return peer.member === from ? peer.receive(signal) : undefined;
    this.#early.push({ session, signal });
    if (this.#early.length > MAX_EARLY_SIGNALS) this.#early.shift();
  }

  #peer(session: string): RoomPeer<D> | undefined {
    return this.peers.value.find((peer) => peer.session === session);
  }

  readonly #report = (error: WeirError): void => {
    if (this.#end.signal.aborted || error.code === "closed") return;
    void runCallback(() => this.#options.onError?.(error));
    this.#emit("error", error);
  };

  #emit<K extends keyof RoomEvents<D>>(type: K, event: RoomEvents<D>[K]): void {
    for (const listener of this.#listeners[type]) void runCallback(() => listener(event));
  }

  #fail(error: WeirError): void {
    if (this.#end.signal.aborted) return;
    this.#report(error);
    this.#close(error);
    this.#presence.leave().catch(() => {}); // the server ends the session by itself
  }

  #close(error?: WeirError): void {
    if (this.#end.signal.aborted) return;
    const { member } = this.state.value;
    this.#end.abort();
    this.#files.close();
    for (const peer of this.peers.value) peer.close();
    this.#inbox?.close();
    this.state.set({
      status: "closed",
      ...member !== undefined && { member },
      ...error && { error },
    });
  }
}
