import type { Published, PublishOptions } from "./api.ts";
import type { Link, Publication } from "./link.ts";
import { onAbort } from "./on_abort.ts";
import { isPassing, repeated } from "./repeated.ts";
import { WeirError } from "./weir_error.ts";

/** Publishes that wait for their answer. Met: a page that is offline for days and goes on. */
export const MAX_WAITING_EVENTS = 1_000;
/** Bytes of their JSON. Met: the same, with large events. */
export const MAX_WAITING_BYTES = 4 * 1024 ** 2;
/** What the server takes in one publish. */
const MAX_BATCH_EVENTS = 100;
/** Of JSON in one publish, unless one event has more: well below the 8 MiB that a server takes. */
const MAX_BATCH_BYTES = 1024 ** 2;

export interface OutboxOptions {
  readonly events?: number;
  readonly bytes?: number;
  /** 0 ≤ random < 1. */
  readonly random?: () => number;
}

interface Waiting {
  readonly publication: Publication;
  readonly bytes: number;
  isInFlight: boolean;
  /** Takes it out of the outbox. */
  resolve(published: Published): void;
  reject(cause: unknown): void;
  /** Rejects it if its signal has aborted. */
  check(): void;
}

/**
 * Publishes, from when they are asked for to their answer: each channel's go out in order, one
 * call at a time, and are repeated with the ids that they have until the server says yes or no.
 * When the link closes, what waits is refused.
 */
export class Outbox {
  readonly #link: Link;
  readonly #options: OutboxOptions;
  readonly #channels = new Map<string, Waiting[]>();
  #events = 0;
  #bytes = 0;

  constructor(link: Link, options: OutboxOptions = {}) {
    this.#link = link;
    this.#options = options;
  }

  /** @throws {WeirError} and what `signal` was aborted with while the event waited. */
  async publish(channel: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { type, id, key, ttl, ephemeral, signal } = options;
    signal?.throwIfAborted();
    // As it is now: the application may go on changing it.
    const json = jsonOf({ data, type, id: id ?? (ephemeral ? id : randomId()), key, ttl });
    const publication: Publication = JSON.parse(json);
    if (!("data" in publication)) throw new WeirError("bad_data", "JSON has no undefined.");
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
        const isWaiting = !one.isInFlight && waiting.includes(one);
        if (isWaiting && signal?.aborted) one.reject(signal.reason);
      };
      const one: Waiting = {
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

  async #send(channel: string, waiting: Waiting[]): Promise<void> {
    await undefined; // so that what is published in one go leaves in one go
    while (waiting.length > 0) {
      try {
        await repeated(this.#link, () => this.#sendBatch(channel, waiting), this.#options);
      } catch (cause) {
        // The link is closed, or the whole batch was refused: those are out already.
        for (const one of [...waiting]) one.reject(cause);
      }
    }
    this.#channels.delete(channel);
  }

  /** Settles what the server answers; throws what passes. */
  async #sendBatch(channel: string, waiting: readonly Waiting[]): Promise<void> {
    const batch = takeBatch(waiting);
    if (batch.length === 0) return;
    for (const one of batch) one.isInFlight = true;
    try {
      const events = batch.map(({ publication }) => publication);
      const answer = await this.#link.call({ op: "publish", channel, events });
      const published = answer["events"] as readonly Published[] | undefined;
      batch.forEach((one, i) => {
        const its = published?.[i];
        if (its !== undefined) one.resolve({ ...its, duplicate: its.duplicate ?? false });
        else one.reject(new WeirError("bad_answer", "The server left an event out of its answer."));
      });
    } catch (cause) {
      if (isPassing(cause)) throw cause;
      const refused = cause instanceof WeirError && batch[cause.index ?? -1];
      for (const one of refused ? [refused] : batch) one.reject(cause);
    } finally {
      for (const one of batch) {
        one.isInFlight = false;
        one.check();
      }
    }
  }
}

function takeBatch(waiting: readonly Waiting[]): readonly Waiting[] {
  let bytes = 0;
  const end = waiting.findIndex((one, i) => (bytes += one.bytes) > MAX_BATCH_BYTES && i > 0);
  return waiting.slice(0, end < 0 ? MAX_BATCH_EVENTS : Math.min(end, MAX_BATCH_EVENTS));
}

/** 128 bits. Not randomUUID(): pages that come by plain HTTP have none. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new WeirError("bad_data", `The data can't be written as JSON: ${cause}`, { cause });
  }
}
