import type { Platform } from "../../core/platform.ts";
import type { FileLink } from "../api.ts";
import { Control } from "./control.ts";
import { Notifier } from "./notifier.ts";
import { peerError } from "./peer_error.ts";
import {
  CONTROL_LABEL,
  parseReceiverMessage,
  PROTOCOL_VERSION,
  type ReceiverMessage,
  type SenderMessage,
} from "./protocol.ts";
import type { Sender } from "./sender.ts";
import type { SendingRun } from "./sending_run.ts";

/** Transfers that send at once to one peer. Each needs about 4 MiB of memory at both ends. */
const MAX_RUNNING = 4;

/** Offers that the peer has not answered. More wait, so that a folder is no flood of offers. */
const MAX_UNDECIDED = 50;

/** Control channels in one connection. Guards against a peer that closes each of them. */
const MAX_CONTROLS = 8;

/**
 * How long a peer may take to greet on a control channel. Chromium sometimes does not announce a
 * channel to the peer, so a new one is opened then.
 */
const GREETING_TIMEOUT_MS = 10_000;

type Timers = Pick<Platform, "setTimeout" | "clearTimeout">;

/** Offers files to one peer, and receives its answers, over a control channel. */
export class SendingSide {
  readonly link: FileLink;
  readonly #senders: ReadonlySet<Sender>;
  readonly #timers: Timers;
  readonly #freed = new Notifier();
  readonly #unsubscribe: () => void;
  /** Transfers that were offered over the current control channel, by id. */
  readonly #offered = new Map<string, Sender>();
  #control: Control<ReceiverMessage, SenderMessage> | undefined;
  #isReady = false;
  #greetingTimer: unknown;
  #isClosed = false;
  #running = 0;
  #controls = 0;

  /** @param senders of all peers; those for the peer's member are offered. */
  constructor(link: FileLink, senders: ReadonlySet<Sender>, timers: Timers) {
    this.link = link;
    this.#senders = senders;
    this.#timers = timers;
    this.#unsubscribe = link.isConnected.subscribe(() => {
      this.#controls = 0;
      this.#look();
    });
  }

  /** Whether messages arrive at the moment. */
  get isConnected(): boolean {
    return this.#isReady && this.link.isConnected.value;
  }

  #look(): void {
    this.#control?.look();
    for (const sender of this.#senders) if (sender.side === this) sender.show();
    this.offerAll();
  }

  /** Offers what the peer does not know, or what waits for a session of its member. */
  offerAll(): void {
    if (this.#isClosed || !this.link.isConnected.value) return;
    const waiting = [...this.#senders].filter((sender) => this.#shouldOffer(sender));
    if (waiting.length === 0) return;
    if (this.#control === undefined) return this.#open();
    if (!this.#isReady) return;
    let undecided =
      [...this.#offered.values()].filter(({ hasStarted, transfer }) =>
        !hasStarted && !transfer.isOver
      ).length;
    for (const sender of waiting) {
      if (!sender.hasStarted && undecided++ >= MAX_UNDECIDED) return;
      this.#offered.set(sender.transfer.id, sender);
      if (!sender.hasStarted) sender.side = this;
      this.send(sender.offer);
    }
  }

  #shouldOffer(sender: Sender): boolean {
    const { transfer, hasStarted, isRunning } = sender;
    if (transfer.isOver || isRunning || this.#offered.has(transfer.id)) return false;
    if (transfer.isThroughServer !== (this.link.isThroughServer ?? false)) return false;
    // Another session of the member may have what this one has received.
    const { session, member } = transfer.peer;
    return session === this.link.session || hasStarted && member === this.link.member;
  }

  #open(): void {
    if (++this.#controls > MAX_CONTROLS) {
      for (const sender of [...this.#senders]) {
        if (this.#shouldOffer(sender)) sender.fail(peerError("closes the channels"));
      }
      return;
    }
    const channel = this.link.openChannel(CONTROL_LABEL);
    const control = new Control<ReceiverMessage, SenderMessage>(channel, parseReceiverMessage, {
      received: (message) => this.#received(message),
      closed: () => {
        if (this.#control === control) this.#lost();
      },
    });
    this.#control = control;
    this.#greetingTimer = this.#timers.setTimeout(() => control.close(), GREETING_TIMEOUT_MS);
  }

  #lost(): void {
    this.#timers.clearTimeout(this.#greetingTimer);
    this.#control = undefined;
    this.#isReady = false;
    this.#offered.clear();
    for (const sender of this.#senders) if (sender.side === this) sender.interrupt();
    if (!this.#isClosed) this.offerAll();
  }

  #received(message: ReceiverMessage): void {
    if (message.op === "hello") {
      this.#timers.clearTimeout(this.#greetingTimer);
      this.#isReady = message.version >= PROTOCOL_VERSION;
      return this.offerAll();
    }
    const sender = this.#offered.get(message.id);
    if (sender !== undefined && !sender.transfer.isOver) sender.received(this, message);
    else if (message.op === "start") this.send({ op: "cancel", id: message.id, code: "cancelled" });
  }

  /** Offers the transfer again: it waits, and a session of its member may know it. */
  offerAgain(sender: Sender): void {
    this.#offered.delete(sender.transfer.id);
    this.offerAll();
  }

  send(message: SenderMessage): void {
    if (this.#isReady) this.#control?.send(message);
  }

  /** Resolves when the run may send, or has ended. */
  async takeSlot(run: SendingRun): Promise<() => void> {
    while (this.#running >= MAX_RUNNING && !run.isEnded) {
      await Promise.race([this.#freed.wait(), run.changed.wait()]);
    }
    this.#running++;
    return () => {
      this.#running--;
      this.#freed.notify();
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#timers.clearTimeout(this.#greetingTimer);
    this.#unsubscribe();
    this.#control?.close();
    this.#control = undefined;
  }
}
