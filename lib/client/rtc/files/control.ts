import type { ReceiverMessage, SenderMessage } from "./protocol.ts";

/**
 * Bytes of control messages that wait to be sent. Guards against a peer that asks much and reads
 * nothing. Messages are small: 1,000 answers have about 100 KB.
 */
const MAX_CONTROL_BUFFER = 2 ** 20;

interface ControlListener<Received> {
  received(message: Received): void;
  /** The channel has closed. Called once, also if this side has closed it. */
  closed(): void;
}

/** The control channel as one side sees it. A message that breaks the protocol closes it. */
export class Control<Received, Sent extends SenderMessage | ReceiverMessage> {
  readonly #channel: RTCDataChannel;
  readonly #listener: ControlListener<Received>;
  /** Messages to send once the channel is open. A message of the peer can come before that. */
  #early: Sent[] = [];
  #isClosed = false;

  constructor(
    channel: RTCDataChannel,
    parse: (text: unknown) => Received | undefined,
    listener: ControlListener<Received>,
  ) {
    this.#channel = channel;
    this.#listener = listener;
    channel.addEventListener("close", () => this.close());
    channel.addEventListener("open", () => {
      for (const message of this.#early.splice(0)) this.send(message);
    });
    channel.addEventListener("message", ({ data }) => {
      if (this.#isClosed) return;
      const message = parse(data);
      if (message === undefined) this.close();
      else listener.received(message);
    });
  }

  /** Sends a message, or nothing if the channel is closed: what it was about begins again then. */
  send(message: Sent): void {
    const { readyState, bufferedAmount } = this.#channel;
    if (readyState === "connecting") this.#early.push(message);
    if (this.#isClosed || readyState !== "open") return;
    if (bufferedAmount > MAX_CONTROL_BUFFER) return this.close();
    this.#channel.send(JSON.stringify(message));
  }

  /** Notices a channel that has closed without an event, as `RTCPeerConnection.close()` does it. */
  look(): void {
    const { readyState } = this.#channel;
    if (readyState === "closing" || readyState === "closed") this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#channel.close();
    this.#listener.closed();
  }
}
