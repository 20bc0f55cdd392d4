import type { Published, PublishOptions } from "../api.ts";
import { badAnswerError, isCredentialError, isRetryable, toRequestError } from "../core/errors.ts";
import { channelNameError } from "../core/channel_name.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { readRefusal } from "../core/refusal.ts";
import { WeirError } from "../core/weir_error.ts";
import { backoffMs } from "../../shared/async/backoff.ts";
import { timeoutError } from "../../shared/async/deadline.ts";
import { delay } from "../../shared/async/delay.ts";
import { randomId } from "../../shared/random_id.ts";

/** How long one try may take. Guards against a connection that is lost without notice. */
const TRY_TIMEOUT_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** Upper bounds of the first delay between two tries, and of every delay. */
const RETRY_DELAYS = { baseMs: 200, maxMs: 5_000 } as const;
/** The text of a token or an API key. Others cannot be in a header. */
const CREDENTIAL = /^[\x21-\x7e]+$/;

export interface ProducerOptions {
  /**
   * An API key or a token, or a function that returns one. The function is called before each
   * request, and once more if the server refuses what it returned, so cache tokens in it. Without
   * `auth` no credential is sent: open mode, or anonymous access.
   */
  readonly auth?: string | (() => string | Promise<string>) | undefined;
  /**
   * Milliseconds for a call with all its tries. After temporary failures it is tried again until
   * then.
   *
   * @default 30_000
   */
  readonly timeoutMs?: number | undefined;
}

export interface PublishManyOptions {
  readonly signal?: AbortSignal | undefined;
}

/** One event of {@link Producer.publishMany}. */
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
    async publish(channel, data, { type, id, key, ttl, ephemeral, signal } = {}) {
      if (!ephemeral) {
        const event = withId({ channel, data, type, id, key, ttl });
        const [published] = readAnswer(await send(event, signal, true), 1);
        return published as Published; // readAnswer() has checked the count
      }
      requireEvent({ channel, data });
      await send({ channel, data, type, id, key, ttl, ephemeral: true }, signal, false);
      return { channel, offset: "", id: "", duplicate: false };
    },
    async publishMany(events, { signal } = {}) {
      if (events.length === 0) return [];
      const body = { events: events.map(withId) };
      return readAnswer(await send(body, signal, true), events.length);
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
  return new URL("v1/events", `${base.origin}${base.pathname.replace(/\/?$/, "/")}`);
}

/** Returns the event with an id, under which the server stores it only once. */
function withId({ channel, data, type, id = randomId(), key, ttl }: Publication, index?: number) {
  requireEvent({ channel, data }, index);
  return { channel, data, type, id, key, ttl };
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
      const { retryAfter } = cause;
      // Random, since producers that were refused together must not come back together.
      const delayMs = retryAfter === undefined
        ? backoffMs(failures, RETRY_DELAYS)
        : retryAfter * (1 + Math.random() / 2);
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
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  const credential = await credentialOf(auth);
  if (credential !== undefined) headers["Authorization"] = `Bearer ${credential}`;
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

/** @throws {WeirError} `auth_failed`, without the credential */
async function credentialOf(auth: ProducerOptions["auth"]): Promise<string | undefined> {
  if (auth === undefined) return undefined;
  let credential: unknown;
  try {
    credential = typeof auth === "function" ? await auth() : auth;
  } catch (cause) {
    throw new WeirError("auth_failed", "`auth` threw.", { cause });
  }
  // A key from a file often ends with a line end.
  const text = typeof credential === "string" ? credential.trim() : "";
  if (CREDENTIAL.test(text)) return text;
  throw new WeirError("auth_failed", "`auth` is neither an API key nor a token.");
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
