import type { TransportHost } from "../connection/transport.ts";
import { retryDelayMs } from "../core/retry_delay.ts";
import { isCredentialError, isRetryable } from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { WeirError } from "../core/weir_error.ts";
import { pause } from "../../shared/async/delay.ts";
import { MAX_FRAME_MESSAGES } from "../../shared/frame.ts";

/** Guards against a server that refuses each of many subscriptions, again and again. */
const MAX_PENDING = 100;
/** Least time before a subscription is retried. */
const MIN_RETRY_MS = 1_000;

/** @param stream the stream on which the answer came. */
export type OnAnswer = (answer: JsonObject, error?: WeirError, stream?: number) => void;

interface SubscriptionsOptions {
  readonly host: TransportHost;
  /** Finds the offsets of `latest` and `earliest` over HTTP. */
  readonly resolveAnchors: (host: TransportHost) => Promise<void>;
  /** Returns the text of a message whose answer goes to `onAnswer`. */
  readonly format: (message: JsonObject, onAnswer: OnAnswer) => string;
  readonly send: (lines: string) => unknown;
}

interface Subscription {
  readonly revision: number;
  /** The stream that carries its events. Undefined until the server has accepted it. */
  streamId: number | undefined;
}

/** The subscriptions of a connection, which has at most one per channel. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Subscription>();
  #failures = 0;
  #isWaiting = false;
  #isResolving = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /**
   * Subscribes to the wanted channels, and unsubscribes from all others.
   *
   * @see {@link import("../connection/transport.ts").Transport.update}
   */
  update(): boolean {
    const { host: { channels }, send } = this.#options;
    const wanted = channels.wanted();
    const messages: string[] = [];
    const names = new Set(wanted.map(({ channel }) => channel));
    for (const channel of this.#channels.keys()) {
      if (!names.has(channel)) messages.push(this.#unsubscribe(channel));
    }
    for (const { channel, after, revision } of wanted) {
      const current = this.#channels.get(channel);
      if (current?.revision === revision) continue;
      if (this.#pending >= MAX_PENDING || this.#isWaiting) break;
      if (current) messages.push(this.#unsubscribe(channel));
      messages.push(this.#subscribe(channel, after, revision));
    }
    while (messages.length > 0) send(messages.splice(0, MAX_FRAME_MESSAGES).join("\n"));
    if (!this.#isResolving && channels.unresolvedAnchors(false).length > 0) {
      void this.#resolveAnchors();
    }
    return !(this.#pending || this.#isWaiting);
  }

  /** Whether the server has accepted the subscription to the channel, on this stream. */
  isLive(channel: string, stream: number): boolean {
    return this.#channels.get(channel)?.streamId === stream;
  }

  /** Forgets a subscription that the server has ended. */
  delete(channel: string): void {
    this.#channels.delete(channel);
  }

  /** Number of subscriptions without an answer. */
  get #pending(): number {
    return [...this.#channels.values()].filter(({ streamId }) => streamId === undefined).length;
  }

  async #resolveAnchors(): Promise<void> {
    this.#isResolving = true;
    try {
      const { resolveAnchors, host } = this.#options;
      await resolveAnchors(host);
      this.#isResolving = false;
      this.update(); // the resolved readers, and those that have come meanwhile
    } catch {
      void this.#retryLater(); // the lazy chunk failed to load
    }
  }

  #subscribe(channel: string, after: string, revision: number): string {
    const { host, format } = this.#options;
    const subscribed: Subscription = { revision, streamId: undefined };
    this.#channels.set(channel, subscribed);
    return format({ op: "subscribe", channel, after }, ({ offset }, error, stream) => {
      if (host.signal.aborted || this.#channels.get(channel) !== subscribed) return;
      if (error) {
        this.#channels.delete(channel);
        this.#refused(channel, error);
      } else {
        subscribed.streamId = stream;
        this.#failures = 0;
        host.channels.started(channel, after, String(offset));
      }
      if (this.#pending % (MAX_PENDING / 2) === 0) this.update(); // many at once
    });
  }

  #unsubscribe(channel: string): string {
    this.#channels.delete(channel);
    return this.#options.format({ op: "unsubscribe", channel }, () => {});
  }

  #refused(channel: string, error: WeirError): void {
    const { host } = this.#options;
    if (isCredentialError(error)) host.down(error);
    else if (error.code === "internal" || isRetryable(error)) {
      void this.#retryLater(error.retryAfter);
    } else host.channels.ended(channel, error);
  }

  async #retryLater(retryAfterMs = MIN_RETRY_MS): Promise<void> {
    const { platform, signal } = this.#options.host;
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const delayMs = retryAfterMs + retryDelayMs(this.#failures++, platform.random);
    await pause(delayMs, { signal, timers: platform });
    this.#isWaiting = this.#isResolving = false;
    if (!signal.aborted) this.update();
  }
}
