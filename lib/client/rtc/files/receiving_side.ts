import type { FileLink } from "../api.ts";
import { Control } from "./control.ts";
import {
  CONTROL_LABEL,
  idOfLabel,
  type Offer,
  parseSenderMessage,
  PROTOCOL_VERSION,
  type ReceiverMessage,
  type SenderMessage,
} from "./protocol.ts";
import type { Receiver } from "./receiver.ts";

interface ReceivingSideOptions {
  readonly link: FileLink;
  /** Channels that the peer has opened already. */
  readonly channels: readonly RTCDataChannel[];
  /** Transfers from all peers, by id. */
  readonly receivers: ReadonlyMap<string, Receiver>;
  onOffer(side: ReceivingSide, offer: Offer): void;
}

/** Receives offers and files of one peer, over the control channel that the peer opens. */
export class ReceivingSide {
  readonly link: FileLink;
  readonly #options: ReceivingSideOptions;
  readonly #unsubscribe: (() => void)[];
  #control: Control<SenderMessage, ReceiverMessage> | undefined;

  constructor(options: ReceivingSideOptions) {
    this.#options = options;
    this.link = options.link;
    this.#unsubscribe = [
      this.link.onChannel(CONTROL_LABEL, (channel) => this.#take(channel)),
      this.link.isConnected.subscribe(() => this.#look()),
    ];
    for (const channel of options.channels) this.#take(channel);
  }

  /** Whether messages arrive at the moment. */
  get isConnected(): boolean {
    return this.#control !== undefined && this.link.isConnected.value;
  }

  #look(): void {
    this.#control?.look();
    for (const receiver of this.#receivers()) receiver.show();
  }

  #receivers(): readonly Receiver[] {
    return [...this.#options.receivers.values()].filter(({ side }) => side === this);
  }

  #take(channel: RTCDataChannel): void {
    if (channel.label === CONTROL_LABEL) return this.#listen(channel);
    const receiver = this.#options.receivers.get(idOfLabel(channel.label) ?? "");
    if (receiver?.side === this) receiver.addChannel(channel);
    else channel.close();
  }

  /** The peer has one control channel: a new one is in place of one that it has lost. */
  #listen(channel: RTCDataChannel): void {
    this.#control?.close();
    const control = new Control<SenderMessage, ReceiverMessage>(channel, parseSenderMessage, {
      received: (message) => this.#received(message),
      closed: () => {
        if (this.#control === control) this.#control = undefined;
        for (const receiver of this.#receivers()) receiver.interrupt();
      },
    });
    this.#control = control;
    control.send({ op: "hello", version: PROTOCOL_VERSION });
  }

  #received(message: SenderMessage): void {
    if (message.op === "offer") return this.#options.onOffer(this, message);
    const receiver = this.#options.receivers.get(message.id);
    if (receiver?.side === this) receiver.received(message);
  }

  send(message: ReceiverMessage): void {
    this.#control?.send(message);
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#control?.close();
  }
}
