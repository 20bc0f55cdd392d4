import { PLATFORM } from "../../core/platform.ts";
import { WeirError } from "../../core/weir_error.ts";
import type { IncomingFile, OutgoingFile, PeerLink, SendFileOptions } from "../api.ts";
import type { Files } from "./files.ts";
import { OutgoingTransfer } from "./transfer.ts";

/** The label of channels for files begins with it. */
const LABEL_PREFIX = "weir-file";

/** Signals of a peer that wait for the module. Guards the memory. */
const MAX_WAITING_SIGNALS = 64;

interface LazyFilesOptions {
  /** Called with an offer, or a file whose transfer continues. Returns whether it was taken. */
  onFile(transfer: IncomingFile): boolean;
  /** The module for files failed to load. */
  onError(error: WeirError): void;
}

/** The file transfers of a room. It loads their module when the first one begins. */
export class LazyFiles {
  readonly #options: LazyFilesOptions;
  readonly #peers = new Map<PeerLink, LazyPeer>();
  #loading: Promise<Files> | undefined;
  #files: Files | undefined;
  #isClosed = false;

  constructor(options: LazyFilesOptions) {
    this.#options = options;
  }

  /** Transfers files with a peer from now on. Returns a function to call when the peer has left. */
  addPeer(link: PeerLink): () => void {
    const peer: LazyPeer = { channels: [], signals: [], end: () => {} };
    peer.end = link.onChannel(LABEL_PREFIX, (channel) => {
      peer.channels.push(channel);
      this.#load().catch(this.#options.onError);
    });
    this.#peers.set(link, peer);
    if (this.#files !== undefined) this.#hand(this.#files, link, peer);
    return () => {
      this.#peers.delete(link);
      peer.end();
    };
  }

  /** Takes a signal of the peer that is not about its connections. Without one, some were lost. */
  receive(link: PeerLink, signal?: unknown): void {
    const signals = this.#peers.get(link)!.signals; // rooms have added it
    if (this.#files) this.#files.receive(link, signal);
    else if (Object(signal).file && signals.length < MAX_WAITING_SIGNALS) {
      signals.push(signal);
      this.#load().catch(this.#options.onError);
    }
  }

  #hand(files: Files, link: PeerLink, peer: LazyPeer): void {
    peer.end();
    peer.end = files.addPeer(link, peer.channels);
    for (const signal of peer.signals.splice(0)) files.receive(link, signal);
  }

  /** Offers a file. Errors are in the transfer's state. */
  send(link: PeerLink, file: Blob, options?: SendFileOptions): OutgoingFile {
    const transfer = new OutgoingTransfer(file, link, options);
    this.#load().then(
      (files) => files.send(transfer),
      (error) => transfer.publish("failed", error),
    );
    return transfer;
  }

  #load(): Promise<Files> {
    return this.#loading ??= (async () => {
      try {
        const { Files } = await import("./files.ts");
        const files = new Files({ ...PLATFORM, onFile: this.#options.onFile });
        this.#files = files;
        for (const [link, peer] of this.#peers) this.#hand(files, link, peer);
        if (this.#isClosed) files.close();
        return files;
      } catch (cause) {
        this.#loading = undefined; // the next transfer tries again
        const detail = "Cannot load the code for files. Is there a network?";
        throw new WeirError("unreachable", detail, { cause });
      }
    })();
  }

  close(): void {
    this.#isClosed = true;
    this.#files?.close();
  }
}

interface LazyPeer {
  readonly channels: RTCDataChannel[];
  readonly signals: unknown[];
  end: () => void;
}
