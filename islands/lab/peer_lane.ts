import { type Signal, signal } from "@preact/signals";
import type { Weir } from "../../lib/client/api.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import type { Peer, PeerState, Room } from "../../lib/client/rtc/api.ts";
import { joinRoom } from "../../lib/client/rtc/rtc.ts";
import { formatOffset, NO_EPOCH } from "../../lib/shared/offset.ts";
import { DelayQueue } from "./delay_queue.ts";
import { THROTTLE_MS } from "./lane.ts";
import { LaneRecord, type LaneSpan } from "./lane_record.ts";
import type { LaneView } from "./lane_view.ts";
import { LabNetwork } from "./network.ts";
import { PeerConnections } from "./peer_connections.ts";

/** The state of the way between the two peers. */
type PeerStatus = PeerState["status"];

interface PeerLaneOptions {
  /** The channel in which only the two peers of this page meet. */
  readonly channel: string;
  readonly member: string;
  /** Returns when this page published the event with this id. */
  readonly publishedAt: (id: string) => number | undefined;
}

/**
 * Two peers in this page, which meet in a channel of Weir. What one sends reaches the other over a
 * WebRTC data channel, without the server.
 */
export class PeerLane implements LaneView, Disposable {
  readonly record = new LaneRecord();
  readonly isCut: Signal<boolean> = signal(false);
  readonly isThrottled: Signal<boolean> = signal(false);
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly status: Signal<PeerStatus> = signal("connecting");
  readonly #connections = new PeerConnections();
  readonly #delays = new DelayQueue();
  /** Those of the two peers' ways to the server. */
  readonly #networks: readonly LabNetwork[];
  readonly #clients: readonly Weir[];
  readonly #sender: Room;
  readonly #receiver: Room;
  readonly #publishedAt: PeerLaneOptions["publishedAt"];
  #unwatchPeer: () => void = () => {};
  #span: LaneSpan | undefined;
  #sent = 0;

  constructor({ channel, member, publishedAt }: PeerLaneOptions) {
    this.#publishedAt = publishedAt;
    // The lane counts only what goes from peer to peer.
    this.#networks = [new LabNetwork(new LaneRecord()), new LabNetwork(new LaneRecord())];
    this.#clients = this.#networks.map(({ fetch, WebSocket, watch }) =>
      makeClient(location.origin, {}, { ...PLATFORM, fetch, WebSocket, watch })
    );
    const [sender, receiver] = this.#clients.map((weir) => joinRoom(weir, channel, { member }));
    this.#sender = sender!; // there are two clients
    this.#receiver = receiver!;
    for (const room of [this.#sender, this.#receiver]) {
      room.state.subscribe(({ error }) => this.problem.value = error?.detail);
    }
    this.#receiver.peers.subscribe(([peer]) => this.#follow(peer));
    this.#receiver.on("message", ({ data }) => {
      const text = String(data);
      this.record.bytesIn += text.length;
      this.#delays.run(() => this.#arrived(text));
    });
  }

  /** Sends the id of an event that this page publishes, from one peer to the other. */
  send(id: string): void {
    const text = `${++this.#sent} ${id}`;
    this.record.bytesOut += text.length;
    this.#sender.send(text);
  }

  cut(): void {
    this.isCut.value = true;
    this.record.cut(performance.now());
    for (const network of this.#networks) network.cut();
    this.#connections.cut();
  }

  resume(): void {
    this.isCut.value = false;
    this.record.resume(performance.now());
    for (const network of this.#networks) network.resume();
  }

  throttle(isOn: boolean): void {
    this.#delays.delayMs = isOn ? THROTTLE_MS : 0;
    this.isThrottled.value = isOn;
  }

  [Symbol.dispose](): void {
    this.#unwatchPeer();
    for (const weir of this.#clients) void weir.close();
    this.#connections[Symbol.dispose]();
  }

  /** Shows the state of the peer at the other end. */
  #follow(peer: Peer | undefined): void {
    this.#unwatchPeer();
    this.#unwatchPeer = peer?.state.subscribe(({ status }) => this.#changed(status)) ?? (() => {});
    if (peer === undefined) this.#changed("connecting");
  }

  #changed(status: PeerStatus): void {
    this.status.value = status;
    const now = performance.now();
    if (status === "connected") this.#span ??= this.record.begin(now);
    else if (this.#span !== undefined) {
      this.#span.to = now;
      this.#span = undefined;
    }
  }

  #arrived(text: string): void {
    const [number = "", id = ""] = text.split(" ");
    const now = performance.now();
    const sent = this.#publishedAt(id);
    const latency = sent === undefined ? undefined : now - sent;
    this.record.arrived(formatOffset(NO_EPOCH, Number(number)), now, latency);
  }
}
