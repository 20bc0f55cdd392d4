import type { Published, PublishOptions } from "../api.ts";
import type { Link, Publication } from "../core/link.ts";
import { onAbort } from "../core/on_abort.ts";
import { randomId } from "../core/random_id.ts";
import { retryCall } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";

/** Publishes that wait for their answer. Met: a page that is offline for days and goes on. */
export const MAX_WAITING_EVENTS = 1_000;
/** Bytes of their JSON. Met: the same, with large events. */
export const MAX_WAITING_BYTES = 4 * 1024 ** 2;

export interface OutboxOptions {
  readonly events?: number;
  readonly bytes?: number;
  /** 0 ≤ random < 1. */
  readonly random?: () => number;
}

/** A publish that waits for its answer. */
export interface PendingPublish {
  readonly publication: Publication;
  readonly bytes: number;
  isInFlight: boolean;
  /** Takes it out of the outbox. */
  resolve(published: Published): void;
  reject(cause: unknown): void;
  /** Rejects it if its signal has aborted, and it is not on its way. */
  check(): void;
}

/**
 * Publishes the first of the pending events of a channel, and settles those that the server answers.
 *
 * @throws {WeirError} a retryable error; all events are still pending then.
 */
export type SendBatch = (
  link: Link,
  channel: string,
  pending: readonly PendingPublish[],
) => Promise<void>;

/**
 * Publishes, from when they are asked for to their answer: each channel's go out in order, one
 * call at a time, and are repeated with the ids that they have until the server says yes or no.
 * When the link closes, what waits is refused.
 */
export class Outbox {
  readonly #link: Link;
  readonly #sendBatch: SendBatch;
  readonly #options: OutboxOptions;
  readonly #channels = new Map<string, PendingPublish[]>();
  #events = 0;
  #bytes = 0;

  constructor(link: Link, sendBatch: SendBatch, options: OutboxOptions = {}) {
    this.#link = link;
    this.#sendBatch = sendBatch;
    this.#options = options;
  }

  /** @throws {WeirError} and what `signal` was aborted with while the event waited. */
  async publish(channel: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { type, id, key, ttl, ephemeral, signal } = options;
    signal?.throwIfAborted();
    // As it is now: the application may go on changing it.
    const [json, publication] = written({
      data,
      type,
      id: id ?? (ephemeral ? undefined : randomId()),
      key,
      ttl,
    });
    if (!ephemeral) {
      return await this.#add(channel, publication, new TextEncoder().encode(json).length, signal);
    }
    if (id ?? key ?? ttl) throw new WeirError("bad_parameter", "Ephemeral: no id, key or ttl.");
    await this.#link.call({ op: "ephemeral", channel, ...publication }, signal);
    return { channel, offset: "", id: "", duplicate: false };
  }

  #add(
    channel: string,
    publication: Publication,
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Published> {
    const { events = MAX_WAITING_EVENTS, bytes: maxBytes = MAX_WAITING_BYTES } = this.#options;
    if (this.#events >= events || this.#bytes + bytes > maxBytes) {
      const detail = `${this.#events} events (${this.#bytes} bytes) wait already: try again later.`;
      throw new WeirError("outbox_full", detail);
    }
    const waiting = this.#channels.get(channel) ?? [];
    return new Promise((resolve, reject) => {
      const settled = () => {
        waiting.splice(waiting.indexOf(one), 1);
        this.#events--;
        this.#bytes -= bytes;
        forget();
      };
      const check = () => {
        if (!one.isInFlight && signal?.aborted) one.reject(signal.reason);
      };
      const one: PendingPublish = {
        publication,
        bytes,
        isInFlight: false,
        resolve: (published) => (settled(), resolve(published)),
        reject: (cause) => (settled(), reject(cause)),
        check,
      };
      const forget = onAbort(signal, check);
      this.#events++;
      this.#bytes += bytes;
      waiting.push(one);
      if (this.#channels.has(channel)) return;
      this.#channels.set(channel, waiting);
      void this.#send(channel, waiting);
    });
  }

  async #send(channel: string, waiting: PendingPublish[]): Promise<void> {
    const link = this.#link;
    const send = () => this.#sendBatch(link, channel, waiting);
    await undefined; // so that what is published in one go leaves in one go
    while (waiting.length > 0) {
      try {
        await retryCall(link, send, this.#options);
      } catch (cause) {
        // The link is closed, or the whole batch was refused: those are out already.
        for (const one of [...waiting]) one.reject(cause);
      }
    }
    this.#channels.delete(channel);
  }
}

/** In JSON, and what that says. @throws {WeirError} `bad_data` */
function written(
  publication: Readonly<Record<string, unknown>>,
): readonly [json: string, Publication] {
  try {
    const json = JSON.stringify(publication);
    const plain = JSON.parse(json);
    if ("data" in plain) return [json, plain];
    throw new TypeError("it has no undefined");
  } catch (cause) {
    throw new WeirError("bad_data", `The data can't be written as JSON: ${cause}`, { cause });
  }
}
