import { randomId } from "../../../shared/random_id.ts";
import type { Platform } from "../../core/platform.ts";
import { ObservableValue } from "../../core/observable.ts";
import type { WeirError } from "../../core/weir_error.ts";
import type { FileLink, PeerLink } from "../api.ts";
import { MAX_MESSAGE_BYTES } from "./layout.ts";
import { Pacer } from "./pacer.ts";
import { ServerChannel } from "./server_channel.ts";
import { decodeBase64, encodeBase64, type FileSignal, parseFileSignal } from "./file_signal.ts";

/** Channels that a peer has open at once. Guards against one that opens them endlessly. */
const MAX_OPEN_CHANNELS = 256;

interface ServerLinkOptions extends Pick<Platform, "now" | "setTimeout" | "clearTimeout"> {
  /** The direct link to the same peer. */
  readonly direct: PeerLink;
  /** The server takes no more signals. */
  onError(error: WeirError): void;
}

/**
 * A link to a peer through the server, for peers that cannot reach each other: its channels are
 * carried by signals, which only the peer's session can read.
 */
export class ServerLink implements FileLink {
  readonly isThroughServer = true;
  readonly member: string;
  readonly session: string;
  readonly isConnected = new ObservableValue(true);
  readonly #options: ServerLinkOptions;
  readonly #pacer: Pacer;
  readonly #channels = new Map<string, ServerChannel>();
  readonly #listeners = new Map<string, (channel: RTCDataChannel) => void>();
  /** What the peer receives before any messages. */
  #news: Content[] = [];
  #id = randomId();
  #n = 0;
  #peerId: string | undefined;
  #peerN = 0;
  /** Signals with this `id` are ignored: some were lost. */
  #deadPeerId: string | undefined;
  #isSending = false;
  #isClosed = false;
  #timer: unknown;

  constructor(options: ServerLinkOptions) {
    const { direct: { member, session } } = options;
    this.#options = options;
    this.member = member;
    this.session = session;
    this.#pacer = new Pacer(options);
  }

  openChannel(label: string): RTCDataChannel {
    const name = randomId();
    const channel = this.#add(name, label);
    this.#tell({ channel: name, label });
    return channel.asDataChannel;
  }

  onChannel(prefix: string, listener: (channel: RTCDataChannel) => void): () => void {
    this.#listeners.set(prefix, listener);
    return () => {
      if (this.#listeners.get(prefix) === listener) this.#listeners.delete(prefix);
    };
  }

  #add(name: string, label: string): ServerChannel {
    const channel = new ServerChannel(name, label, {
      onSend: () => this.#send(),
      onClose: () => {
        this.#channels.delete(name);
        this.#tell({ channel: name, close: true });
      },
    });
    this.#channels.set(name, channel);
    return channel;
  }

  /** Handles what the peer has sent. */
  receive(value: unknown): void {
    const signal = parseFileSignal(value);
    if (signal === undefined || this.#isClosed) return;
    const { id, n, missed } = signal;
    if (id === this.#deadPeerId) {
      // Each may have lost what the other says about it.
      if (missed === this.#id) this.#renew();
      return this.missed();
    }
    if (id !== this.#peerId) {
      const isAgain = this.#peerId !== undefined && this.#peerId !== this.#deadPeerId;
      this.#peerId = id;
      this.#peerN = 0;
      if (isAgain) this.#restart();
    }
    if (n <= this.#peerN) return; // it has arrived twice
    if (n > this.#peerN + 1) return this.missed();
    this.#peerN = n;
    this.#handle(signal);
  }

  #handle({ channel: name, label, text, bytes, more, close, missed }: FileSignal): void {
    if (missed === this.#id) return this.#renew();
    if (name === undefined) return;
    if (label !== undefined && !this.#channels.has(name)) {
      if (this.#channels.size >= MAX_OPEN_CHANNELS) return;
      const channel = this.#add(name, label);
      const [listener] = [...this.#listeners].filter(([prefix]) => label.startsWith(prefix));
      if (listener === undefined) channel.close();
      else listener[1](channel.asDataChannel);
    }
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (text !== undefined) channel.received(text);
    if (bytes !== undefined) this.#receiveBytes(channel, bytes, more === true);
    if (close) {
      this.#channels.delete(name);
      channel.ended();
    }
  }

  #receiveBytes(channel: ServerChannel, base64: string, more: boolean): void {
    const part = decodeBase64(base64);
    if (part === undefined) return channel.close();
    channel.parts.push(part);
    const size = channel.parts.reduce((sum, { length }) => sum + length, 0);
    if (size > MAX_MESSAGE_BYTES) return channel.close();
    if (more) return;
    const message = new Uint8Array(size);
    let at = 0;
    for (const bytes of channel.parts.splice(0)) {
      message.set(bytes, at);
      at += bytes.length;
    }
    channel.received(message.buffer);
  }

  /** Signals of the peer were lost: both ends begin again, and transfers continue from there. */
  missed(): void {
    const missed = this.#peerId;
    if (missed === undefined) return;
    if (missed !== this.#deadPeerId) {
      this.#deadPeerId = missed;
      this.#restart();
    }
    this.#tell({ missed });
  }

  /** The peer has lost signals of this end. */
  #renew(): void {
    this.#id = randomId();
    this.#n = 0;
    this.#restart();
  }

  /** The peer has left. */
  close(): void {
    this.#isClosed = true;
    this.#options.clearTimeout(this.#timer);
    this.#restart();
  }

  #restart(): void {
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    this.#news = [];
    for (const channel of channels) channel.ended();
    this.isConnected.set(false);
    if (!this.#isClosed) this.isConnected.set(true);
  }

  #tell(content: Content): void {
    this.#news.push(content);
    this.#send();
  }

  #send(): void {
    if (!this.#isSending && !this.#isClosed) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    try {
      for (let next; !this.#isClosed && (next = this.#next()) !== undefined;) {
        const file = { id: this.#id, n: ++this.#n, ...next.content };
        await this.#options.direct.signal({ file });
        if (file.bytes !== undefined) this.#pacer.wasSent(file.bytes.length);
        next.sent();
      }
    } catch (cause) {
      if (this.#isClosed) return;
      this.close();
      this.#options.onError(cause as WeirError); // links throw nothing else
    } finally {
      this.#isSending = false;
    }
  }

  /** Returns what to send next, text before bytes. Undefined if nothing waits, or has to wait. */
  #next(): Next | undefined {
    const content = this.#news.shift();
    if (content !== undefined) return { content, sent: () => {} };
    let next: Next | undefined;
    for (const channel of this.#channels.values()) {
      const [part] = channel.waiting;
      if (part === undefined) continue;
      const sent = () => channel.wasSent();
      const { data, more } = part;
      if (typeof data !== "string") {
        next ??= {
          content: {
            channel: channel.name,
            bytes: encodeBase64(data),
            ...more && { more },
          },
          sent,
        };
      } else return { content: { channel: channel.name, text: data }, sent };
    }
    const delayMs = this.#pacer.delayMs(next?.content.bytes?.length ?? 0);
    if (delayMs === 0) return next;
    const { clearTimeout, setTimeout } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), delayMs);
    return undefined;
  }
}

type Content = Omit<FileSignal, "id" | "n">;

interface Next {
  readonly content: Content;
  /** The server has stored it. */
  sent(): void;
}
