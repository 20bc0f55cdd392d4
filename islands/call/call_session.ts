import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { WeirError } from "../../lib/client/client.ts";
import type { Peer, Room, RoomState } from "../../lib/client/rtc/api.ts";
import { nameIn } from "../person_name.ts";
import { type CallData, screenIn } from "./call_data.ts";
import type { DeviceKind } from "./devices.ts";
import type { LocalMedia } from "./local_media.ts";
import { presentText } from "./people_text.ts";

/** The part of a browser's `MediaDevices` that shares the screen. */
export type ScreenSource = Pick<MediaDevices, "getDisplayMedia">;

interface SessionOptions {
  readonly room: Room<CallData>;
  readonly media: LocalMedia;
  readonly name: string;
  /** Undefined where the browser cannot share a screen, as on phones. */
  readonly screens?: ScreenSource | undefined;
}

/** One stay in a room: from joining to leaving. */
export class CallSession implements AsyncDisposable {
  readonly room: Room<CallData>;
  readonly mayShare: boolean;
  /** What others see of the visitor's screen, while it is shared. */
  readonly screen: Signal<MediaStream | undefined> = signal(undefined);
  /** What went wrong last and did not end the call. */
  readonly problem: Signal<WeirError | undefined> = signal(undefined);
  readonly #news: Signal<string> = signal("");
  readonly #media: LocalMedia;
  readonly #screens: ScreenSource | undefined;
  readonly #name: string;
  /** The tracks that the room sends, by kind. A camera that is off keeps its last one. */
  readonly #sent = new Map<DeviceKind, MediaStreamTrack>();
  readonly #ending = new DisposableStack();
  readonly #following = new Map<Peer<CallData>, () => void>();
  #isOpen = false;

  constructor({ room, media, name, screens }: SessionOptions) {
    this.room = room;
    this.#media = media;
    this.#name = name;
    this.#screens = screens;
    this.mayShare = screens !== undefined;
    for (const kind of ["audio", "video"] as const) {
      const { track, state } = media.device(kind);
      this.#ending.defer(track.subscribe(() => void this.#sync(kind)));
      this.#ending.defer(state.subscribe(() => void this.#sync(kind)));
    }
    this.#ending.defer(room.on("error", (error) => this.problem.value = error));
    this.#ending.defer(room.state.subscribe((state) => this.#onState(state)));
    this.#ending.defer(room.peers.subscribe((peers) => this.#onPeers(peers)));
  }

  /** A sentence about what happened last, such as `Ann joined.` */
  get news(): ReadonlySignal<string> {
    return this.#news;
  }

  /** Asks the visitor which screen or window to share, and shares it. */
  async shareScreen(): Promise<void> {
    let stream: MediaStream | undefined;
    try {
      stream = await this.#screens?.getDisplayMedia({ video: true, audio: true });
    } catch (cause) {
      // The visitor has closed the browser's question.
      this.#news.value = `The screen is not shared: ${String(cause)}`;
    }
    if (stream === undefined || this.#ending.disposed) return;
    const shared = stream;
    this.screen.value = shared;
    for (const track of shared.getTracks()) {
      this.room.addTrack(track, shared);
      // The browser has a button of its own that stops sharing.
      if (track.kind === "video") track.addEventListener("ended", () => this.stopScreen());
    }
    await this.#tell({ name: this.#name, screen: shared.id });
  }

  stopScreen(): void {
    const shared = this.screen.peek();
    if (shared === undefined) return;
    this.screen.value = undefined;
    for (const track of shared.getTracks()) {
      this.room.removeTrack(track);
      track.stop();
    }
    void this.#tell({ name: this.#name });
  }

  /** Leaves the room. The devices stay as they are. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.dispose();
    for (const stop of this.#following.values()) stop();
    for (const track of this.screen.peek()?.getTracks() ?? []) track.stop();
    await this.room.close();
  }

  async #tell(data: CallData): Promise<void> {
    try {
      await this.room.setData(data);
    } catch (cause) {
      this.problem.value = cause as WeirError; // all that setData() throws
    }
  }

  /** Makes the room send what the device has. */
  async #sync(kind: DeviceKind): Promise<void> {
    const { track, state } = this.#media.device(kind);
    const next = track.peek();
    const sent = this.#sent.get(kind);
    if (next !== undefined && next !== sent) {
      this.#sent.set(kind, next);
      if (sent === undefined) this.room.addTrack(next, this.#media.stream);
      else await this.#replace(sent, next);
    }
    const current = this.#sent.get(kind);
    if (current !== undefined) this.room.setMuted(current, state.peek().status !== "on");
  }

  async #replace(sent: MediaStreamTrack, next: MediaStreamTrack): Promise<void> {
    try {
      await this.room.replaceTrack(sent, next);
    } catch (cause) {
      const detail = `Someone may not receive the new device. Turn it off and on: ${String(cause)}`;
      this.problem.value = new WeirError("peer_gone", detail, { cause });
    }
  }

  #onState({ status }: RoomState): void {
    if (status !== "open" || this.#isOpen) return;
    // The room lists those who are here in the same turn.
    queueMicrotask(() => {
      this.#isOpen = true;
      this.#news.value = presentText(this.room.peers.value.map(nameOf));
    });
  }

  #onPeers(peers: readonly Peer<CallData>[]): void {
    for (const [peer, stop] of this.#following) {
      if (peers.includes(peer)) continue;
      stop();
      this.#following.delete(peer);
      if (this.#isOpen) this.#news.value = `${nameOf(peer)} left.`;
    }
    for (const peer of peers) {
      if (this.#following.has(peer)) continue;
      this.#following.set(peer, this.#follow(peer));
      if (this.#isOpen) this.#news.value = `${nameOf(peer)} joined.`;
    }
  }

  /** Says when the peer's connection breaks and is back, and when it shares its screen. */
  #follow(peer: Peer<CallData>): () => void {
    let wasConnected = false;
    let isLost = false;
    let isSharing = screenIn(peer.data.value) !== undefined;
    const stopState = peer.state.subscribe(({ status }) => {
      const wasLost = isLost;
      if (status === "connected") wasConnected = true;
      isLost = status === "disconnected" || (status === "failed" && wasConnected);
      if (isLost === wasLost || status === "closed") return;
      this.#news.value = isLost
        ? `The connection to ${nameOf(peer)} broke. Reconnecting.`
        : `${nameOf(peer)} is connected again.`;
    });
    const stopData = peer.data.subscribe((data) => {
      const wasSharing = isSharing;
      isSharing = screenIn(data) !== undefined;
      if (isSharing === wasSharing) return;
      this.#news.value = `${nameOf(peer)} ${
        isSharing ? "shares a screen" : "no longer shares a screen"
      }.`;
    });
    return () => {
      stopState();
      stopData();
    };
  }
}

/** Returns the name of a peer, as it tells it. */
function nameOf({ data, member }: Pick<Peer, "data" | "member">): string {
  return nameIn(data.value) ?? member;
}
