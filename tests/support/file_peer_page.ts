/**
 * A page's script: one peer that transfers files with the other tab. The tabs signal over a
 * BroadcastChannel. `bob` calls, also after a reload; `ann` answers.
 */

import { ObservableValue } from "../../lib/client/core/observable.ts";
import type {
  IncomingFile,
  PeerLink,
  PeerState,
  SendFileOptions,
} from "../../lib/client/rtc/api.ts";
import { LazyFiles } from "../../lib/client/rtc/files/lazy_files.ts";
import type { OutgoingTransfer } from "../../lib/client/rtc/files/transfer.ts";

/** Connections of a call, so that transfers may use several. */
const CONNECTIONS = 4;
const SLICE_BYTES = 2 ** 24;
/** Of a plain channel. */
const MESSAGE_BYTES = 2 ** 16;

interface Signal {
  readonly from: string;
  readonly session: string;
  readonly connection: number;
  readonly description?: RTCSessionDescriptionInit | undefined;
  readonly candidate?: RTCIceCandidateInit;
  readonly isCall?: boolean;
}

/** A link over RTCPeerConnections. */
class PageLink implements PeerLink {
  readonly state = new ObservableValue<PeerState>({ status: "connecting" });
  readonly isConnected = new ObservableValue(false);
  readonly connections: RTCPeerConnection[] = [];
  readonly #listeners = new Map<string, (channel: RTCDataChannel) => void>();

  constructor(readonly member: string, readonly session: string, count: number) {
    for (let n = 0; n < count; n++) this.#add(n);
  }

  #add(n: number): void {
    const connection = new RTCPeerConnection(configuration);
    this.connections.push(connection);
    // Puts data channels into the first offer.
    connection.createDataChannel("first", { negotiated: true, id: 1_000 });
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate !== null) send({ connection: n, candidate: candidate.toJSON() });
    });
    connection.addEventListener("datachannel", ({ channel }) => {
      for (const [prefix, listener] of this.#listeners) {
        if (channel.label.startsWith(prefix)) listener(channel);
      }
    });
    connection.addEventListener("connectionstatechange", () => {
      const isConnected = this.connections.every(({ connectionState }) =>
        connectionState === "connected"
      );
      if (isConnected !== this.isConnected.value) this.isConnected.set(isConnected);
    });
  }

  openChannel(label: string, init?: RTCDataChannelInit, connection = 0): RTCDataChannel {
    const { [connection]: chosen } = this.connections;
    if (chosen === undefined) throw new Error(`there is no connection ${connection}`);
    return chosen.createDataChannel(label, init);
  }

  signal(): Promise<void> {
    return Promise.reject(new Error("These tabs have no server."));
  }

  onChannel(prefix: string, listener: (channel: RTCDataChannel) => void): () => void {
    this.#listeners.set(prefix, listener);
    return () => {
      if (this.#listeners.get(prefix) === listener) this.#listeners.delete(prefix);
    };
  }

  hangUp(): void {
    for (const connection of this.connections) connection.close();
    this.isConnected.set(false);
  }
}

const me = location.hash.slice(1);
const other = me === "ann" ? "bob" : "ann";
const session = crypto.randomUUID();
const signals = new BroadcastChannel("signals");
const incoming: IncomingFile[] = [];
const outgoing: OutgoingTransfer[] = [];
let link: PageLink | undefined;
let removePeer = () => {};
let connectionCount = CONNECTIONS;
let configuration: RTCConfiguration = {};
let prepared: File | undefined;

const files = new LazyFiles({
  onFile(transfer) {
    incoming.push(transfer);
    transfer.accept();
    return true;
  },
  onError(error) {
    throw error;
  },
});

function send(signal: Omit<Signal, "from" | "session">): void {
  signals.postMessage({ from: me, session, ...signal });
}

/** Connects again, as after the peer has come back. */
function connect(peerSession: string): PageLink {
  link?.hangUp();
  const next = new PageLink(other, peerSession, connectionCount);
  link = next;
  removePeer();
  removePeer = files.addPeer(next);
  return next;
}

signals.addEventListener("message", async ({ data }: MessageEvent<Signal>) => {
  const { from, session: peerSession, connection: n, description, candidate, isCall } = data;
  if (from === me) return;
  if (isCall) {
    const { connections } = connect(peerSession);
    for (const [n, connection] of connections.entries()) {
      await connection.setLocalDescription();
      send({ connection: n, description: connection.localDescription?.toJSON() });
    }
    return;
  }
  if (description?.type === "offer" && n === 0) connect(peerSession);
  const connection = link?.connections[n];
  if (connection === undefined) return;
  if (description !== undefined) {
    await connection.setRemoteDescription(description);
    if (description.type === "offer") {
      await connection.setLocalDescription();
      send({ connection: n, description: connection.localDescription?.toJSON() });
    }
  } else if (candidate !== undefined) {
    await connection.addIceCandidate(candidate);
  }
});

async function hashes(blob: Blob): Promise<string> {
  const list: string[] = [];
  for (let start = 0; start === 0 || start < blob.size; start += SLICE_BYTES) {
    const bytes = await blob.slice(start, start + SLICE_BYTES).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    list.push(Array.from(digest, (byte) => byte.toString(16)).join());
  }
  return `${blob.size} ${list.join()}`;
}

/** Returns a file of random bytes. Past 64 MiB its blocks repeat, each with a number. */
function randomFile(size: number): File {
  const parts: BlobPart[] = [];
  let block = new Uint8Array(0);
  for (let at = 0; at < size; at += SLICE_BYTES) {
    if (at < 4 * SLICE_BYTES) {
      block = new Uint8Array(Math.min(SLICE_BYTES, size - at));
      for (let i = 0; i < block.length; i += 65_536) {
        crypto.getRandomValues(block.subarray(i, Math.min(block.length, i + 65_536)));
      }
    }
    const part = new Blob([block.subarray(0, size - at)]);
    parts.push(at < 4 * SLICE_BYTES ? part : new Blob([String(at).padEnd(16), part.slice(16)]));
  }
  return new File(parts, `${size}.bin`, { type: "video/mp4" });
}

/**
 * Sends the prepared file over a plain channel, as a page would without Weir. `bare` sends as many
 * bytes of no file. Resolves with ms, once the peer has all of it.
 */
async function sendPlain(isBare: boolean): Promise<number> {
  if (link === undefined || prepared === undefined) throw new Error("there is nothing to send");
  const channel = link.openChannel(isBare ? "plain-bare" : "plain", { ordered: false });
  channel.bufferedAmountLowThreshold = 2 ** 18;
  const done = new Promise((resolve) =>
    channel.addEventListener("message", resolve, { once: true })
  );
  await new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
  const start = performance.now();
  for await (const block of isBare ? zeros(prepared.size) : prepared.stream()) {
    for (let at = 0; at < block.length; at += MESSAGE_BYTES) {
      const message = block.subarray(at, at + MESSAGE_BYTES);
      if (channel.bufferedAmount > 2 ** 20 - message.length) {
        await new Promise((resolve) =>
          channel.addEventListener("bufferedamountlow", resolve, { once: true })
        );
      }
      channel.send(message);
    }
  }
  await done;
  channel.close();
  return performance.now() - start;
}

/** Yields so many bytes, all in the same memory. */
function* zeros(size: number): Generator<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(MESSAGE_BYTES);
  for (let left = size; left > 0; left -= MESSAGE_BYTES) yield bytes.subarray(0, left);
}

/** Receives what the peer sends by `sendPlain()`, and keeps it unless it is bare. */
function receivePlain(size: number, channel: RTCDataChannel): void {
  const parts: ArrayBuffer[] = [];
  let received = 0;
  channel.binaryType = "arraybuffer";
  channel.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => {
    received += data.byteLength;
    if (channel.label === "plain") parts.push(data);
    if (received < size) return;
    channel.send(`kept ${new Blob(parts).size} bytes`);
  });
}

async function connected(): Promise<void> {
  while (link?.isConnected.value !== true) await new Promise((done) => setTimeout(done, 10));
}

/** What tests call in the page. */
const page = {
  /** bob: connects to ann. */
  async call(connections = CONNECTIONS): Promise<void> {
    connectionCount = connections;
    send({ connection: 0, isCall: true });
    await connected();
  },
  setConnections(connections: number): void {
    connectionCount = connections;
  },
  /** Sets the servers of the next call. */
  configure(next: RTCConfiguration): void {
    configuration = next;
  },
  connected,
  /** Receives what the peer sends by `sendPlain()`. */
  receivePlain(size: number): void {
    link?.onChannel("plain", (channel) => receivePlain(size, channel));
  },
  sendPlain,
  hangUp(): void {
    link?.hangUp();
  },
  /** Offers a random file. Returns what `hashes()` of it are. */
  async send(size: number, options: SendFileOptions = {}, isHashed = true): Promise<string> {
    if (link === undefined) throw new Error("there is no link");
    const file = randomFile(size);
    outgoing.push(files.send(link, file, options) as OutgoingTransfer);
    return isHashed ? await hashes(file) : "";
  },
  /** Makes a file to send later, so that only sending it is measured. */
  prepare(size: number): void {
    prepared = randomFile(size);
  },
  sendPrepared(options: SendFileOptions = {}): void {
    if (link === undefined || prepared === undefined) throw new Error("there is nothing to send");
    outgoing.push(files.send(link, prepared, options) as OutgoingTransfer);
  },
  sent(): Summary[] {
    return outgoing.map(({ state }) => summary(state.value));
  },
  received(): Summary[] {
    return incoming.map(({ state }) => summary(state.value));
  },
  async receivedHashes(n: number): Promise<string> {
    const file = await incoming[n]?.file();
    return file === undefined ? "" : await hashes(file);
  },
  pause: (n: number) => outgoing[n]?.pause(),
  resume: (n: number) => outgoing[n]?.resume(),
  cancelReceived: (n: number) => incoming[n]?.cancel(),
  async storedFiles(): Promise<number> {
    const root = await navigator.storage.getDirectory();
    let count = 0;
    for await (const _ of (await root.getDirectoryHandle("weir-files")).keys()) count++;
    return count;
  },
};

interface Summary {
  readonly status: string;
  readonly bytes: number;
  readonly rounds: number;
  readonly lost: number;
  readonly error?: string;
}

function summary(
  { status, bytes, rounds, lost, error }: IncomingFile["state"]["value"],
): Summary {
  return { status, bytes, rounds, lost, ...error !== undefined && { error: error.message } };
}

export type FilePeerPage = typeof page;

Object.assign(globalThis, { page });
