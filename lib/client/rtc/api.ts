/** The types of `weir-client/rtc`. `joinRoom()` (rtc.ts) returns a {@link Room}. */

import type { Observable } from "../core/observable.ts";
import type { WeirError } from "../core/weir_error.ts";

/** What WebRTC adds to the client's own codes. Each error's `detail` says what to do. */
export type RtcCode =
  /** The browser has no WebRTC. */
  | "no_webrtc"
  /** There is no such camera or microphone, or another program uses it. */
  | "no_camera"
  /** The user or the browser's policy refused the camera, the microphone or the screen. */
  | "permission_denied"
  /** The peers cannot reach each other, and the server has no TURN server for them. */
  | "no_turn"
  /** The TURN server refused the credential. */
  | "turn_refused"
  /** The peer does not answer, or has left. */
  | "peer_gone"
  /** A file can't reach the peer directly, and may not go through the server. */
  | "peer_unreachable"
  /** The message is larger than a data channel takes. Send it as a file. */
  | "message_too_large"
  /** Too many messages wait to be sent to the peer. */
  | "send_queue_full"
  /** There is no room on the disk for the file. */
  | "quota_exceeded"
  /** The file that is sent has changed since it was offered. */
  | "file_changed"
  /** What arrived is not what was sent. */
  | "checksum_mismatch"
  /** The other side cancelled the transfer. */
  | "cancelled"
  /** The file is larger than 64 GiB. */
  | "file_too_large"
  /** The browser cannot store the file. */
  | "storage_failed"
  /** The other side broke the protocol of files, or went past one of its limits. */
  | "bad_peer"
  /** Too many offers of this side wait for the other side's user. */
  | "too_many_offers"
  /** Files need a page over HTTPS, or of localhost. */
  | "insecure_page";

export interface RoomOptions<D> {
  /** Data of this client's member, which the others see. */
  readonly data?: D | undefined;
  /** The member to enter as. @default the one of the credential */
  readonly member?: string | undefined;
  /** Its tracks are sent to every peer. */
  readonly media?: MediaStream | undefined;
  /** Closes the room when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** The STUN and TURN servers. @default those of the Weir server (`POST /v1/ice`) */
  readonly iceServers?: readonly RTCIceServer[] | (() => Promise<IceServers>) | undefined;
  /** `relay` uses TURN only, so that peers do not see each other's addresses. @default "all" */
  readonly iceTransportPolicy?: RTCIceTransportPolicy | undefined;
  /** Receives errors that no call returns. As `on("error")`, but from the beginning. */
  readonly onError?: ((error: WeirError) => void) | undefined;
}

export interface IceServers {
  readonly iceServers: readonly RTCIceServer[];
  /** Milliseconds until the credentials end. @default never */
  readonly expiresIn?: number | undefined;
}

/** The sessions in a channel, connected with each other. */
export interface Room<D = unknown> extends AsyncDisposable {
  /** This client's session in the room. Random for each `joinRoom()`. */
  readonly session: string;
  readonly state: Observable<RoomState>;
  /** Every other session in the room, in the order in which they came. */
  readonly peers: Observable<readonly Peer<D>[]>;
  /** Changes this client's data. @throws {WeirError} */
  setData(data: D): Promise<void>;
  /** Sends the track to every peer, also to later ones, as a part of `stream`. */
  addTrack(track: MediaStreamTrack, stream: MediaStream): void;
  removeTrack(track: MediaStreamTrack): void;
  /** Sends `next` in place of `old`, without a new negotiation. */
  replaceTrack(old: MediaStreamTrack, next: MediaStreamTrack): Promise<void>;
  /** Sets `track.enabled`, and informs the peers. */
  setMuted(track: MediaStreamTrack, isMuted: boolean): void;
  /**
   * Sends a message to all peers, or to one. A reliable message waits for a peer that is not
   * connected yet; an unreliable one is dropped. Messages under way are lost if a connection fails
   * for good: publish to the channel what must not be lost.
   *
   * @throws {WeirError} `message_too_large`, `send_queue_full`, and `peer_gone` for a closed `to`.
   */
  send(data: string | Uint8Array, options?: RoomSendOptions<D>): void;
  on(event: "message", listener: (message: RoomMessage<D>) => void): () => void;
  on(event: "file", listener: (transfer: IncomingFile) => void): () => void;
  on(event: "error", listener: (error: WeirError) => void): () => void;
  /** Leaves the room and closes all connections. Resolves once the server knows. */
  close(): Promise<void>;
}

export interface RoomState {
  /** `open`: this client is in the room. `closed` is final. */
  readonly status: "joining" | "open" | "closed";
  /** This client's member. */
  readonly member?: string;
  /** Why the room is closed, unless `close()` or the signal closed it. */
  readonly error?: WeirError;
}

export interface RoomMessage<D> {
  readonly peer: Peer<D>;
  readonly data: string | Uint8Array;
}

export interface SendOptions {
  /** Whether the message is repeated until it arrives, and arrives in order. @default true */
  readonly reliable?: boolean | undefined;
}

export interface RoomSendOptions<D> extends SendOptions {
  /** @default every peer */
  readonly to?: Peer<D> | undefined;
}

/** Another session in the room. */
export interface Peer<D = unknown> {
  readonly session: string;
  readonly member: string;
  readonly data: Observable<D>;
  readonly state: Observable<PeerState>;
  readonly streams: Observable<readonly PeerStream[]>;
  /** @see {@link Room.send} */
  send(data: string | Uint8Array, options?: SendOptions): void;
  /** Opens a data channel. It closes for good if the connection fails and is made again. */
  channel(label: string, init?: RTCDataChannelInit): RTCDataChannel;
  /** Calls `listener` for each data channel that the peer opens by `channel()`. */
  onChannel(listener: (channel: RTCDataChannel) => void): () => void;
  stats(): Promise<PeerStats>;
  /** Offers a file. */
  sendFile(file: File | Blob, options?: SendFileOptions): OutgoingFile;
}

export interface PeerState {
  /**
   * `disconnected`: no connection at the moment, a repair is under way. `failed`: a repair has
   * failed; more follow while the peer is in the room. `closed` is final.
   */
  readonly status: "connecting" | "connected" | "disconnected" | "failed" | "closed";
  readonly error?: WeirError;
}

/** A stream that a peer sends. */
export interface PeerStream {
  readonly stream: MediaStream;
  /** Whether the peer has muted its audio. */
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
}

export interface PeerStats {
  /** Round trip in milliseconds. Undefined until it was measured. */
  readonly roundTrip?: number;
  /** Share of the peer's media packets that were lost since the last call, 0 to 1. */
  readonly lossRate?: number;
  /** Undefined without a connection. */
  readonly route?: "direct" | "relay";
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of all video of the peer, since the connection began. */
  readonly framesDecoded: number;
}

export interface SendFileOptions {
  /**
   * `reliable`: messages of 64 KiB, unordered, which the browser repeats until they arrive.
   * `partial`: messages of 16 KiB, each sent at most four times; the receiver asks for those that
   * are missing. It is not faster. @default "reliable"
   */
  readonly mode?: "reliable" | "partial" | undefined;
  /** Connections to send over, 1 to 8. More are faster on long paths. @default 1 */
  readonly connections?: number | undefined;
  /**
   * Called if the peer cannot be reached, not even by TURN, and the file has at most `limit` bytes.
   * Returns whether it may go through the Weir server, which can read it: ask the user.
   * @default the transfer fails with `peer_unreachable`
   */
  readonly throughServer?:
    | ((file: ServerFile) => boolean | Promise<boolean>)
    | undefined;
  /** Cancels the transfer when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** A file that may go through the server. */
export interface ServerFile {
  /** Bytes. */
  readonly size: number;
  /** The most bytes that a file through the server has. */
  readonly limit: number;
}

/** A file on its way to or from a peer. */
export interface FileTransfer {
  /** Random, the same at both ends. */
  readonly id: string;
  /** At the receiver: without folders and control characters. It is text: escape it in HTML. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The media type, as the sender says. Empty if unknown. */
  readonly type: string;
  /** While bytes flow, it changes at most ten times a second. */
  readonly state: Observable<TransferState>;
  /** Stops the transfer until `resume()` of the same side. */
  pause(): void;
  resume(): void;
  /** Ends the transfer at both ends, and deletes what was received, also after it is done. */
  cancel(): void;
}

export interface TransferState {
  readonly status:
    /** The receiver has not decided. */
    | "offered"
    | "active"
    | "paused"
    /** For the peer. */
    | "waiting"
    | "done"
    | "declined"
    | "cancelled"
    | "failed";
  /** Bytes that the receiver has stored. */
  readonly bytes: number;
  readonly chunks: ChunkMap;
  /** Chunks that were missing after a pass, each counted once per pass. */
  readonly lost: number;
  /** Chunks that were lost and have arrived since. */
  readonly repaired: number;
  /** Rounds of repair. */
  readonly rounds: number;
  /** Whether the file goes through the server, because the peers cannot reach each other. */
  readonly isThroughServer: boolean;
  /** Why it failed, or was cancelled by the peer. */
  readonly error?: WeirError;
}

/**
 * The state of each chunk, to draw: 0 missing, 1 received, 2 lost, 3 repaired. Its contents change
 * while the object stays the same, so that a large file needs no copy for each change.
 */
export type ChunkMap = Uint8Array;

export interface OutgoingFile extends FileTransfer {
  /** Who receives it. */
  readonly peer: FilePeer;
}

export interface AcceptOptions {
  /**
   * Where to store the file as it comes, such as a handle of `showSaveFilePicker()`. `cancel()`
   * does not delete it once it is complete. Such a transfer ends when the page is reloaded.
   * @default the browser's private storage
   */
  readonly saveTo?: FileSystemFileHandle | undefined;
}

export interface IncomingFile extends FileTransfer {
  /** Who sends it. */
  readonly peer: FilePeer;
  /** Starts to receive. Before that, nothing is sent. */
  accept(options?: AcceptOptions): void;
  decline(): void;
  /**
   * Resolves with the file once all of it has arrived and was verified. Its type is
   * `application/octet-stream` unless the sender's type is one that contains no scripts. The
   * browser deletes it at a visit after this page has closed.
   *
   * @throws {WeirError}
   */
  file(): Promise<File>;
}

export interface FilePeer {
  readonly member: string;
  readonly session: string;
}

/**
 * What file transfers need of one peer. Survives connections that fail and are made again: then
 * `isConnected` becomes false and true again, and all channels are closed.
 *
 * @internal
 */
export interface FileLink {
  readonly member: string;
  readonly session: string;
  /** Whether its channels go through the server. @default false */
  readonly isThroughServer?: boolean;
  readonly isConnected: Observable<boolean>;
  /**
   * Opens a data channel on a connection to the peer: 0 is the main one, 1 and more are opened when
   * they are needed and closed when their last channel is.
   */
  openChannel(label: string, init?: RTCDataChannelInit, connection?: number): RTCDataChannel;
  /**
   * Calls `listener` for each channel of the peer whose label begins with `prefix`. Channels that
   * came earlier, and their messages, are kept until a listener takes them.
   */
  onChannel(prefix: string, listener: (channel: RTCDataChannel) => void): () => void;
}

/**
 * The direct link to a peer, and how to signal to it.
 *
 * @internal
 */
export interface PeerLink extends FileLink {
  readonly state: Observable<PeerState>;
  /** Sends data to the peer by the server. Resolves when it is stored. @throws {WeirError} */
  signal(data: unknown): Promise<void>;
}
