import type { Published, PublishOptions } from "../api.ts";
import type { Link, Publication } from "../core/link.ts";
import { onAbort } from "../core/on_abort.ts";
import { randomId } from "../../shared/random_id.ts";
import { retryCall } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";

/** Guards against a page that publishes for days while it is offline. */
export const MAX_PENDING_EVENTS = 1_000;
/** Bytes of JSON. Guards against the same with large events. */
export const MAX_PENDING_BYTES = 4 * 1024 ** 2;

interface OutboxOptions {
  /** @default MAX_PENDING_EVENTS */
  readonly events?: number;
  /** @default MAX_PENDING_BYTES */
  readonly bytes?: number;
  /** Returns 0 ≤ random < 1. */
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
  /** Rejects it if its signal has aborted, unless it is in flight. */
  check(): void;
}

/**
 * Publishes the first of the pending events of a channel, and settles those that are answered.
 *
 * @throws {WeirError} a retryable error. All events are still pending then.
 */
type SendBatch = (
  link: Link,
  channel: string,
  pending: readonly PendingPublish[],
) => Promise<void>;

/**
 * Holds publishes until they are answered. The events of each channel are sent in order, by one
 * call at a time, and retried with the same ids until the server accepts or refuses them. When the
 * link closes, pending publishes are rejected.
 */
export class Outbox {
  readonly #link: Link;
  readonly #sendBatch: SendBatch;
  readonly #options: OutboxOptions;
  readonly #pending = new Map<string, PendingPublish[]>();
  #events = 0;
  #bytes = 0;

  constructor(link: Link, sendBatch: SendBatch, options: OutboxOptions = {}) {
    this.#link = link;
    this.#sendBatch = sendBatch;
    this.#options = options;
  }

  /** @throws {WeirError} or the reason of `signal`, if it aborts while the event waits. */
  async publish(channel: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { type, id, key, ttl, traceparent, ephemeral, signal } = options;
    signal?.throwIfAborted();
    // Copied now, because the application may change the data later.
    const [json, publication] = copyAsJson({
      data,
      type,
      id: id ?? (ephemeral ? undefined : randomId()),
      key,
      ttl,
      traceparent,
    });
    if (ephemeral) {
      await this.#link.call({ op: "ephemeral", channel, ...publication }, signal);
      return { channel, offset: "", id: "", duplicate: false };
    }
    const bytes = new TextEncoder().encode(json).length;
    const { events = MAX_PENDING_EVENTS, bytes: maxBytes = MAX_PENDING_BYTES } = this.#options;
    if (this.#events >= events || this.#bytes + bytes > maxBytes) {
      const detail = `${this.#events} events (${this.#bytes} bytes) are pending.`;
      throw new WeirError("outbox_full", detail);
    }
    const pending = this.#pending.get(channel) ?? [];
    return await new Promise((resolve, reject) => {
      const settled = () => {
        pending.splice(pending.indexOf(one), 1);
        this.#events--;
        this.#bytes -= bytes;
        removeListener();
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
      const removeListener = onAbort(signal, check);
      this.#events++;
      this.#bytes += bytes;
      pending.push(one);
      if (this.#pending.has(channel)) return;
      this.#pending.set(channel, pending);
      void this.#send(channel, pending);
    });
  }

  async #send(channel: string, pending: PendingPublish[]): Promise<void> {
    const link = this.#link;
    const send = () => this.#sendBatch(link, channel, pending);
    await undefined; // so that publishes of one synchronous piece of code form one batch
    while (pending.length > 0) {
      try {
        await retryCall(link, send, this.#options);
      } catch (cause) {
        // The link is closed. A refused batch is no longer pending.
        for (const one of [...pending]) one.reject(cause);
      }
    }
    this.#pending.delete(channel);
  }
}

/** Returns the publication as JSON, and as parsed from that. @throws {WeirError} `bad_data` */
function copyAsJson(
  publication: Readonly<Record<string, unknown>>,
): readonly [json: string, Publication] {
  try {
    const json = JSON.stringify(publication);
    const copy = JSON.parse(json);
    if ("data" in copy) return [json, copy];
    throw new TypeError("undefined is not JSON");
  } catch (cause) {
    throw new WeirError("bad_data", `The data is not JSON: ${cause}`, { cause });
  }
}
