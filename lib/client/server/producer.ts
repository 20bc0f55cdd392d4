/** Publishes events from backends and pages. It uses only `fetch`. */

import type { Published, PublishOptions } from "../api.ts";
import { badAnswerError, isCredentialError, isRetryable, toRequestError } from "../core/errors.ts";
import { channelNameError } from "../core/channel_name.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { readRefusal } from "../core/refusal.ts";
import { WeirError } from "../core/weir_error.ts";
import { timeoutError } from "../../shared/async/deadline.ts";
import { delay } from "../../shared/async/delay.ts";
import { randomId } from "../../shared/random_id.ts";
import { type ProducerAuth, publishHeaders } from "./credential.ts";
import { mapItems } from "../../shared/async/map_items.ts";
import { publishEndpoint } from "./publish_endpoint.ts";
import { type EventLine, lineError, publishLines, type PublishOutcome } from "./publish_lines.ts";
import { retryDelayMs } from "./retry_delay.ts";

export type { Published, PublishOptions } from "../api.ts";
export { type ClientCode, WeirError } from "../core/weir_error.ts";
export type { PublishOutcome } from "./publish_lines.ts";

/** How long one try may take. Guards against a connection that is lost without notice. */
const TRY_TIMEOUT_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 30_000;

export interface ProducerOptions {
  /**
   * An API key or a token, or a function that returns one. The function is called before each
   * request, and once more if the server refuses what it returned, so cache tokens in it. Without
   * `auth` no credential is sent: open mode, or anonymous access.
   */
  readonly auth?: ProducerAuth | undefined;
  /**
   * Milliseconds for a call with all its tries. After temporary failures it is tried again until
   * then. For `publishAll()`, milliseconds without an answer.
   *
   * @default 30_000
   */
  readonly timeoutMs?: number | undefined;
}

export interface PublishManyOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PublishAllOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether events without an `id` get one. Without ids the server needs about a fifth of the time,
   * but what has no answer when a connection breaks is not sent again: the call fails.
   *
   * @default true
   */
  readonly ids?: boolean | undefined;
}

/** One event of {@link Producer.publishMany} and {@link Producer.publishAll}. */
export interface Publication extends Omit<PublishOptions, "signal" | "ephemeral"> {
  readonly channel: string;
  readonly data: unknown;
}

/** Publishes over HTTP. It keeps no connection of its own and needs no closing. */
export interface Producer {
  /**
   * Publishes one event, and resolves once it is durable. It is stored once, however often it was
   * sent, because it has an id: yours or a random one. An ephemeral event is tried only once.
   *
   * @throws {WeirError} the server's refusal; `bad_data`, `bad_channel`, `auth_failed`; and what the
   * last try failed with once the time is over. After `unreachable`, `commit_unknown` and codes that
   * start with `storage_` the event may be stored: publish it again with the same `id`.
   * @throws the reason of `signal`, after which the event may be stored too.
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /**
   * Publishes up to 100 events of one or several channels: all are stored, or none. Resolves in
   * their order.
   *
   * @throws {WeirError} as {@link publish} does; `index` is that of the refused event.
   */
  publishMany(
    events: readonly Publication[],
    options?: PublishManyOptions,
  ): Promise<readonly Published[]>;
  /**
   * Publishes any number of events, and yields what became of each, in their order: where it is
   * once it is durable, or why it was refused, with its `index`. A refused event does not end the
   * call. Nothing is sent until the result is iterated; leaving the iteration ends the call.
   *
   * `events` are read as fast as the server takes them. At most 8,000 of them are in memory. Each is
   * stored once, also if a connection breaks, since it has an id: yours or a random one. The events
   * of a channel keep their order, unless the store fails for a while.
   *
   * @throws {WeirError} `auth_failed`; a refusal of the credential; what the last try failed with
   * once there was no answer for `timeoutMs`. Its `index` is that of the first event without an
   * answer. This event and some after it may be stored: publish them again with the same ids.
   * @throws the reason of `signal`, and what `events` throws.
   */
  publishAll(
    events: Iterable<Publication> | AsyncIterable<Publication>,
    options?: PublishAllOptions,
  ): AsyncIterableIterator<PublishOutcome>;
}

/**
 * Creates a producer for the server at `url`, which may have a path.
 *
 * @throws {WeirError} `bad_url`
 */
export function createProducer(url: string | URL, options: ProducerOptions = {}): Producer {
  const endpoint = parseUrl(url);
  const send = async (
    body: unknown,
    signal: AbortSignal | undefined,
    isRepeatable: boolean,
  ): Promise<unknown> => {
    const { auth, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const request = { endpoint, auth, signal, body: toJson(body) };
    return isRepeatable
      ? await sendRepeatedly(request, timeoutMs)
      : await sendOnce(request, timeoutMs);
  };
  return {
    async publish(channel, data, { ephemeral, signal, ...names } = {}) {
      if (!ephemeral) {
        const event = withId({ ...names, channel, data });
        const [published] = readAnswer(await send(event, signal, true), 1);
        return published as Published; // readAnswer() has checked the count
      }
      requireEvent({ channel, data });
      const { type, id, key, ttl, traceparent } = names;
      const event = { channel, data, type, id, key, ttl, traceparent, ephemeral: true };
      await send(event, signal, false);
      return { channel, offset: "", id: "", duplicate: false };
    },
    async publishMany(events, { signal } = {}) {
      if (events.length === 0) return [];
      const body = { events: events.map(withId) };
      return readAnswer(await send(body, signal, true), events.length);
    },
    publishAll(events, { signal, ids = true } = {}) {
      const { auth, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
      return publishLines(toLines(events, ids), { endpoint, auth, timeoutMs, signal });
    },
  };
}

function parseUrl(url: string | URL): URL {
  let base: URL;
  try {
    base = new URL(url);
  } catch {
    throw new WeirError("bad_url", "The URL of Weir is not a URL."); // without it: it may be a secret
  }
  if (!/^https?:$/.test(base.protocol) || base.username !== "" || base.password !== "") {
    throw new WeirError("bad_url", "The URL of Weir must be http: or https:, without a user.");
  }
  return publishEndpoint(base);
}

/** Returns the event with an id, under which the server stores it only once. */
function withId(event: Publication, index?: number): Publication {
  const { channel, data, type, id = randomId(), key, ttl, traceparent } = event;
  requireEvent({ channel, data }, index);
  return { channel, data, type, id, key, ttl, traceparent };
}

/** @throws {WeirError} `bad_channel`, `bad_data` */
function requireEvent(
  { channel, data }: Pick<Publication, "channel" | "data">,
  index?: number,
): void {
  const error = channelNameError(channel);
  if (error !== undefined) throw new WeirError(error.code, error.detail, { index });
  if (data !== undefined) return;
  throw new WeirError("bad_data", "The data is undefined, which is not JSON.", { index });
}

/** Makes a line of each event, or says why it cannot be sent. */
function toLines(
  events: Iterable<Publication> | AsyncIterable<Publication>,
  hasIds: boolean,
): Iterable<EventLine | WeirError> | AsyncIterable<EventLine | WeirError> {
  // A random part for each event would take longer than its JSON.
  const prefix = hasIds ? `${randomId()}-` : "";
  let count = 0;
  const toLine = (event: Publication): EventLine | WeirError => {
    const { channel, data, type, key, ttl, traceparent } = event;
    const id = event.id ?? (hasIds ? prefix + count++ : undefined);
    try {
      requireEvent({ channel, data });
      const text = toJson({ channel, data, type, id, key, ttl, traceparent });
      return lineError(text) ?? { text, isRepeatable: id !== undefined };
    } catch (cause) {
      if (cause instanceof WeirError) return cause;
      throw cause;
    }
  };
  return mapItems(events, toLine);
}

function toJson(body: unknown): string {
  try {
    return JSON.stringify(body);
  } catch (cause) {
    throw new WeirError("bad_data", `The data is not JSON: ${cause}`, { cause });
  }
}

interface PublishRequest {
  readonly endpoint: URL;
  readonly auth: ProducerOptions["auth"];
  readonly signal: AbortSignal | undefined;
  readonly body: string;
}

/** Sends the request until it succeeds, is refused for good, or `timeoutMs` have passed. */
async function sendRepeatedly(request: PublishRequest, timeoutMs: number): Promise<unknown> {
  const end = performance.now() + timeoutMs;
  for (let failures = 0;; failures++) {
    const remainingMs = end - performance.now();
    try {
      return await sendOnce(request, Math.min(remainingMs, TRY_TIMEOUT_MS));
    } catch (cause) {
      request.signal?.throwIfAborted();
      if (!isRetryable(cause) || cause.code === "auth_failed") throw cause;
      const delayMs = retryDelayMs(cause, failures);
      if (performance.now() + delayMs >= end) throw cause;
      await delay(delayMs, { signal: request.signal });
    }
  }
}

/** Sends the request, and once more with a new credential if the server refuses the first one. */
async function sendOnce(request: PublishRequest, timeoutMs: number): Promise<unknown> {
  try {
    return await post(request, timeoutMs);
  } catch (cause) {
    const isRefused = cause instanceof WeirError && isCredentialError(cause);
    if (!isRefused || typeof request.auth !== "function") throw cause;
    return await post(request, timeoutMs);
  }
}

async function post(
  { endpoint, auth, signal, body }: PublishRequest,
  timeoutMs: number,
): Promise<unknown> {
  signal?.throwIfAborted();
  const headers = await publishHeaders(auth, "application/json");
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(timeoutError(timeoutMs)), timeoutMs);
  const removeListener = onAbort(signal, () => controller.abort(signal?.reason));
  try {
    const response = await fetch(endpoint, {
      method: "POST",
      headers,
      body,
      signal: controller.signal,
    });
    if (!response.ok) throw await readRefusal(response);
    return parseJsonObject(await response.text());
  } catch (cause) {
    signal?.throwIfAborted();
    throw toRequestError(endpoint, cause);
  } finally {
    clearTimeout(timer);
    removeListener();
  }
}

/** @throws {WeirError} `bad_answer` */
function readAnswer(answer: unknown, count: number): readonly Published[] {
  const { events } = answer as { readonly events?: unknown };
  if (Array.isArray(events) && events.length === count && events.every(isAcknowledgement)) {
    return events.map(({ channel, offset, id, duplicate = false }) => (
      { channel, offset, id, duplicate }
    ));
  }
  throw badAnswerError("The answer has no acknowledgements.");
}

function isAcknowledgement(value: unknown): boolean {
  const { channel, offset, id } = (value ?? {}) as Partial<Published>;
  return [channel, offset, id].every((member) => typeof member === "string");
}
