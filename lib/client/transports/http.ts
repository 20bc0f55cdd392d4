import { type ConnectionContext, urlOf } from "../connection/transport.ts";
import { timeoutError } from "../../shared/async/deadline.ts";
import { isCredentialError, isRetryable, toRequestError } from "../core/errors.ts";
import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { readRefusal } from "../core/refusal.ts";
import { onAbort } from "../core/on_abort.ts";
import { WeirError } from "../core/weir_error.ts";

interface RequestOptions {
  /** @default "GET" */
  readonly method?: string | undefined;
  /** The `Accept` header. @default "application/json" */
  readonly accepts?: string | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

/**
 * Reads an answer. The request's timeout covers all of it, unless it calls `stopTimeout()`.
 */
type ReadResponse<T> = (response: Response, stopTimeout: () => void) => Promise<T>;

/**
 * Sends a request and resolves with what `read` makes of a successful answer.
 *
 * @throws {WeirError} the server's refusal, `unreachable`, `bad_answer`, `auth_failed`, or what
 * `read` throws.
 */
export function request<T>(
  context: ConnectionContext,
  path: string,
  options: RequestOptions,
  read: ReadResponse<T>,
): Promise<T> {
  const work = send(context, path, options, read);
  context.release(work);
  return work;
}

async function send<T>(
  context: ConnectionContext,
  path: string,
  { method = "GET", accepts = "application/json", body, signal, timeoutMs }: RequestOptions,
  read: ReadResponse<T>,
): Promise<T> {
  const { base, platform, credentials, closed } = context;
  const presented = await credentials.get();
  const { token, ticket } = presented;
  const url = urlOf(base, path);
  const headers: Record<string, string> = { Accept: accepts };
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (ticket !== undefined) url.searchParams.set("ticket", ticket);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = platform.setTimeout(() => controller.abort(timeoutError(timeoutMs)), timeoutMs);
  const stopTimeout = () => platform.clearTimeout(timer);
  const removers = [signal, closed].map((signal) => onAbort(signal, abort));
  try {
    const response = await platform.fetch(url, {
      method,
      headers,
      cache: "no-store",
      signal: controller.signal,
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    if (!response.ok) throw await readRefusal(response);
    credentials.isAccepted = true;
    return await read(response, stopTimeout);
  } catch (cause) {
    abort(); // cancels the rest of the answer
    const error = toRequestError(base, cause);
    const isRefused = isCredentialError(error) && credentials.kept === presented;
    if (isRefused) credentials.kept = undefined;
    throw error;
  } finally {
    stopTimeout();
    for (const remove of removers) remove();
  }
}

/** Requests JSON. Tries once more with a new credential if the current one is refused. */
export async function requestJson(
  context: ConnectionContext,
  path: string,
  options: RequestOptions,
): Promise<JsonObject> {
  try {
    return await request(context, path, options, readJson);
  } catch (cause) {
    // Publishes are retried, so this is the only sign of a delay. `auth` reports its own errors.
    const isPublish = options.method === "POST";
    if (isPublish && isRetryable(cause) && cause.code !== "auth_failed") context.report(cause);
    const isRefused = cause instanceof WeirError && isCredentialError(cause);
    if (!isRefused || !context.credentials.isRenewable) throw cause;
    return await request(context, path, options, readJson);
  }
}

async function readJson(response: Response): Promise<JsonObject> {
  return response.status === 204 ? {} : parseJsonObject(await response.text());
}
