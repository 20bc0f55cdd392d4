/** File transfers with all peers of a room. Pages load this module when the first transfer begins. */

import type { Platform } from "../../core/platform.ts";
import { WeirError } from "../../core/weir_error.ts";
import type { FileLink, FilePeer, IncomingFile, PeerLink } from "../api.ts";
import { MAX_FILE_BYTES, MAX_SERVER_FILE_BYTES } from "./layout.ts";
import { openStorage } from "./opfs_storage.ts";
import type { Offer } from "./protocol.ts";
import { Receiver } from "./receiver.ts";
import { ReceivingSide } from "./receiving_side.ts";
import { Sender } from "./sender.ts";
import { SendingSide } from "./sending_side.ts";
import { ServerLink } from "./server_link.ts";
import type { FileRecord, FileStorage, PartialFile } from "./storage.ts";
import type { OutgoingTransfer } from "./transfer.ts";

/** Offers of one peer that wait for the user. Guards against floods of offers. */
const MAX_UNDECIDED = 100;

/** Transfers that are over and whose end is known, for a sender that missed it. */
const MAX_ENDED = 1_000;

/** How long transfers wait for a member that has left. */
const MAX_AWAY_MS = 60_000;

interface FilesOptions extends Pick<Platform, "now" | "setTimeout" | "clearTimeout"> {
  /** Called with an offer, or a file whose transfer continues. Returns whether it was taken. */
  onFile(transfer: IncomingFile): boolean;
  /** @default the origin private file system, or memory where there is none */
  readonly storage?: FileStorage;
}

interface Sides {
  readonly sending: SendingSide;
  readonly receiving: ReceivingSide;
}

export class Files {
  readonly #options: FilesOptions;
  readonly #senders = new Set<Sender>();
  readonly #receivers = new Map<string, Receiver>();
  /** Secret and code of transfers that are over, by id. */
  readonly #ended = new Map<string, { readonly secret: string; readonly code: string }>();
  /** Senders whose application is asked whether the file may go through the server. */
  readonly #asking = new Set<Sender>();
  /** Offers whose stored part is being looked for. */
  readonly #searches = new Set<string>();
  readonly #sides = new Map<FileLink, Sides>();
  readonly #serverLinks = new Map<PeerLink, ServerLink>();
  readonly #timers = new Set<unknown>();
  #storage: Promise<FileStorage> | undefined;
  #isClosed = false;

  constructor(options: FilesOptions) {
    this.#options = options;
  }

  /**
   * Transfers files with a peer from now on. Returns a function that ends it: the peer has left.
   *
   * @param channels that the peer has opened already.
   */
  addPeer(link: PeerLink, channels: readonly RTCDataChannel[] = []): () => void {
    const server = new ServerLink({
      ...this.#options,
      direct: link,
      onError: (error) => this.#serverFailed(link, error),
    });
    this.#serverLinks.set(link, server);
    const removals = [
      this.#addLink(link, channels),
      this.#addLink(server, []),
      // The room shows the state first.
      link.state.subscribe(() => this.#askAll(link)),
    ];
    return () => {
      this.#serverLinks.delete(link);
      server.close();
      for (const remove of removals) remove();
    };
  }

  /** Handles a signal of the peer. Without one, some may be lost. */
  receive(link: PeerLink, signal?: unknown): void {
    const server = this.#serverLinks.get(link);
    if (signal === undefined) server?.missed();
    else server?.receive(Object(signal).file);
  }

  #serverFailed({ session }: PeerLink, error: WeirError): void {
    for (const sender of [...this.#senders]) {
      const { peer, isThroughServer } = sender.transfer;
      if (isThroughServer && peer.session === session) sender.fail(error);
    }
  }

  /** If the peer cannot be reached, asks for each file that it has not accepted. */
  #askAll(link: PeerLink): void {
    if (link.state.value.status !== "failed") return;
    for (const sender of [...this.#senders]) {
      const { transfer, hasStarted } = sender;
      if (transfer.peer.session !== link.session || hasStarted || transfer.isOver) continue;
      if (transfer.isThroughServer || this.#asking.has(sender)) continue;
      this.#asking.add(sender);
      void this.#ask(sender, link);
    }
  }

  /** Asks whether a file may go through the server, and sends it so. */
  async #ask(sender: Sender, link: PeerLink): Promise<void> {
    const { transfer } = sender;
    const limit = MAX_SERVER_FILE_BYTES;
    const { size, throughServer } = transfer;
    if (size > limit || throughServer === undefined) return sender.fail(unreachableError(link));
    let isAllowed: boolean;
    try {
      isAllowed = await throughServer({ size, limit });
    } catch (cause) {
      return sender.fail(unreachableError(link, cause));
    }
    this.#asking.delete(sender);
    if (transfer.isOver || sender.hasStarted || link.isConnected.value) return;
    if (!isAllowed) return transfer.cancel();
    transfer.isThroughServer = true;
    sender.side = undefined;
    sender.show();
    this.#offerAll();
  }

  #addLink(link: FileLink, channels: readonly RTCDataChannel[]): () => void {
    const sides = {
      sending: new SendingSide(link, this.#senders, this.#options),
      receiving: new ReceivingSide({
        link,
        channels,
        receivers: this.#receivers,
        onOffer: (side, offer) => this.#offered(side, offer),
      }),
    };
    this.#sides.set(link, sides);
    sides.sending.offerAll();
    return () => this.#removePeer(link, sides);
  }

  #removePeer(link: FileLink, { sending, receiving }: Sides): void {
    if (!this.#sides.delete(link)) return;
    const outgoing = [...this.#senders].filter(({ transfer: { peer }, side }) =>
      side === sending || side === undefined && peer.session === link.session
    );
    const incoming = [...this.#receivers.values()].filter(({ side }) => side === receiving);
    sending.close();
    receiving.close();
    for (const sender of outgoing) {
      sender.side = undefined;
      sender.interrupt();
    }
    for (const receiver of incoming) receiver.side = undefined;
    const giveUp = (hasNoSide: boolean) => {
      for (const sender of outgoing) {
        if (!sender.isRunning && (hasNoSide || !sender.hasStarted)) sender.fail(goneError());
      }
      for (const receiver of incoming) {
        if (receiver.side === undefined && (hasNoSide || receiver.isUndecided)) {
          receiver.abandon(goneError());
        }
      }
    };
    giveUp(false);
    const timer = this.#options.setTimeout(() => {
      this.#timers.delete(timer);
      giveUp(true);
    }, MAX_AWAY_MS);
    this.#timers.add(timer);
  }

  /** Offers a file to the peer that its transfer names. */
  send(transfer: OutgoingTransfer): void {
    const sender = new Sender({
      transfer,
      now: this.#options.now,
      onOver: () => {
        this.#senders.delete(sender);
        this.#asking.delete(sender);
        this.#offerAll();
      },
      onWaiting: () => {
        for (const { sending } of this.#sides.values()) sending.offerAgain(sender);
      },
    });
    this.#senders.add(sender);
    const refusal = this.#refusalOf(transfer);
    if (refusal !== undefined) sender.fail(refusal);
    else if (transfer.isCancelled) transfer.onWish();
    else {
      this.#offerAll();
      for (const link of this.#serverLinks.keys()) this.#askAll(link);
    }
  }

  #refusalOf({ size, peer }: OutgoingTransfer): WeirError | undefined {
    if (this.#isClosed) return closedError();
    if (size > MAX_FILE_BYTES) {
      return new WeirError("file_too_large", `A file has at most ${MAX_FILE_BYTES} bytes.`);
    }
    if (globalThis.crypto.subtle === undefined) {
      return new WeirError("insecure_page", "Files need a page over HTTPS, or of localhost.");
    }
    const isHere = [...this.#sides.keys()].some(({ session }) => session === peer.session);
    return isHere ? undefined : goneError();
  }

  #offerAll(): void {
    for (const { sending } of this.#sides.values()) sending.offerAll();
  }

  #offered(side: ReceivingSide, offer: Offer): void {
    const { id, secret, name, type, size, chunk, again } = offer;
    const known = this.#receivers.get(id);
    const ended = this.#ended.get(id);
    const { member, session, isThroughServer = false } = side.link;
    if (isThroughServer && size > MAX_SERVER_FILE_BYTES) {
      return side.send({ op: "cancel", id, code: "file_too_large" });
    }
    if (known !== undefined) {
      if (known.record.secret !== secret || known.record.member !== member) {
        return side.send({ op: "cancel", id, code: "bad_peer" });
      }
      known.side = side;
      known.transfer.isThroughServer = isThroughServer;
      known.show();
      return known.start();
    }
    if (ended?.secret === secret && ended.code !== "peer_gone") {
      const { code } = ended;
      return side.send(code === "done" ? { op: "done", id } : { op: "cancel", id, code });
    }
    const undecided =
      [...this.#receivers.values()].filter((receiver) =>
        receiver.isUndecided && receiver.side === side
      ).length;
    if (undecided >= MAX_UNDECIDED || this.#searches.size >= MAX_UNDECIDED) {
      return side.send({ op: "cancel", id, code: "too_many_offers" });
    }
    const record = { id, secret, member, name, type, size, chunkBytes: chunk };
    const peer = { member, session };
    if (!again) return this.#receive({ record, peer, side });
    if (!this.#searches.has(id)) void this.#search({ record, peer, side });
  }

  /** Continues a file of which an earlier page has a part. Other sessions ignore such an offer. */
  async #search(options: ReceiverParts): Promise<void> {
    const { id } = options.record;
    this.#searches.add(id);
    try {
      const storage = await this.#openStorage();
      const partial = await storage.find(options.record);
      if (partial === undefined) return;
      if (this.#isClosed || !options.side.isConnected) await partial.close();
      else this.#receive({ ...options, partial });
    } catch (cause) {
      // The part cannot be read, so the transfer cannot continue.
      options.side.send({ op: "cancel", id, code: "storage_failed" });
      throw cause;
    } finally {
      this.#searches.delete(id);
    }
  }

  #receive(options: ReceiverParts): void {
    const { id, secret } = options.record;
    const receiver = new Receiver({
      ...options,
      storage: {
        create: async (record) => (await this.#openStorage()).create(record),
        find: async (record) => (await this.#openStorage()).find(record),
      },
      timers: this.#options,
      onOver: (code) => {
        this.#receivers.delete(id);
        this.#ended.set(id, { secret, code });
        const [oldest = id] = this.#ended.keys();
        if (this.#ended.size > MAX_ENDED) this.#ended.delete(oldest);
      },
    });
    this.#receivers.set(id, receiver);
    receiver.transfer.isThroughServer = options.side.link.isThroughServer ?? false;
    receiver.show();
    if (!this.#options.onFile(receiver.transfer)) receiver.transfer.decline();
  }

  #openStorage(): Promise<FileStorage> {
    return this.#storage ??= this.#options.storage === undefined
      ? openStorage()
      : Promise.resolve(this.#options.storage);
  }

  /** Ends all transfers. What was received stays, so that a later page can continue. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) this.#options.clearTimeout(timer);
    for (const sender of [...this.#senders]) sender.fail(closedError());
    for (const receiver of [...this.#receivers.values()]) receiver.abandon(closedError());
    for (const { sending, receiving } of this.#sides.values()) {
      sending.close();
      receiving.close();
    }
    this.#sides.clear();
    for (const server of this.#serverLinks.values()) server.close();
    this.#serverLinks.clear();
  }
}

interface ReceiverParts {
  readonly record: FileRecord;
  readonly peer: FilePeer;
  readonly side: ReceivingSide;
  readonly partial?: PartialFile;
}

function unreachableError({ state }: PeerLink, cause?: unknown): WeirError {
  const reason = state.value.error?.detail ?? "There is no connection.";
  const detail =
    `The peer cannot be reached directly. ${reason} A file of up to 10 MiB may go through the server.`;
  return new WeirError("peer_unreachable", detail, { cause });
}

function goneError(): WeirError {
  return new WeirError("peer_gone", "The peer has left. Send the file again when it is back.");
}

function closedError(): WeirError {
  return new WeirError("closed", "The room was closed.");
}
