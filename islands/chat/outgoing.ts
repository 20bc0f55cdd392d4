import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Weir } from "../../lib/client/api.ts";
import { type Message, MESSAGE_TYPE } from "./message.ts";
import { reasonOf } from "../reason.ts";

/** A message that is being sent, until it comes back as an event of the room. */
export interface OutgoingMessage {
  readonly id: string;
  readonly message: Message;
  readonly status: "waiting" | "stored" | "refused";
  /** Why it was refused. */
  readonly reason?: string;
}

/** Stores unsent messages by id, beyond the life of the page. */
export interface UnsentStore {
  all(): ReadonlyMap<string, Message>;
  keep(id: string, message: Message): void;
  forget(id: string): void;
}

/** The visitor's messages that are not in the room yet, in the order of sending. */
export class Outgoing {
  readonly #weir: Pick<Weir, "publish">;
  readonly #channel: string;
  readonly #unsent: UnsentStore;
  readonly #messages: Signal<readonly OutgoingMessage[]> = signal([]);

  /** Sends what an earlier page left unsent. The ids make sure that each is stored once. */
  constructor(weir: Pick<Weir, "publish">, channel: string, unsent: UnsentStore) {
    this.#weir = weir;
    this.#channel = channel;
    this.#unsent = unsent;
    for (const [id, message] of unsent.all()) this.send(id, message);
  }

  get messages(): ReadonlySignal<readonly OutgoingMessage[]> {
    return this.#messages;
  }

  /** Sends a message. It is stored once, however often it is sent with the same id. */
  send(id: string, message: Message): void {
    void this.#publish({ id, message, status: "waiting" });
  }

  /** Sends a refused message again, after all others. */
  retry(id: string): void {
    const refused = this.#find(id, "refused");
    if (refused === undefined) return;
    this.#remove(id);
    this.send(id, refused.message);
  }

  /** Discards a refused message. */
  drop(id: string): void {
    if (this.#find(id, "refused") === undefined) return;
    this.#unsent.forget(id);
    this.#remove(id);
  }

  /** Removes the message with this id: it is in the room. */
  arrived(id: string): void {
    if (!this.#messages.peek().some((sending) => sending.id === id)) return;
    this.#unsent.forget(id);
    this.#remove(id);
  }

  async #publish(sending: OutgoingMessage): Promise<void> {
    const { id, message } = sending;
    this.#messages.value = [...this.#messages.peek(), sending];
    this.#unsent.keep(id, message);
    try {
      await this.#weir.publish(this.#channel, message, { id, type: MESSAGE_TYPE });
      this.#unsent.forget(id);
      this.#replace(id, { id, message, status: "stored" });
    } catch (cause) {
      this.#replace(id, { id, message, status: "refused", reason: reasonOf(cause) });
    }
  }

  #find(id: string, status: OutgoingMessage["status"]): OutgoingMessage | undefined {
    return this.#messages.peek().find((one) => one.id === id && one.status === status);
  }

  #replace(id: string, sending: OutgoingMessage): void {
    this.#messages.value = this.#messages.peek().map((one) => one.id === id ? sending : one);
  }

  #remove(id: string): void {
    this.#messages.value = this.#messages.peek().filter((one) => one.id !== id);
  }
}
