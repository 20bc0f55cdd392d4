import type { JsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { parseJsonObject } from "../core/json_object.ts";
import { isCredentialError, toRequestError } from "../core/errors.ts";
import { isRetryable } from "../core/retry_call.ts";
import { type ConnectionContext, urlOf } from "../connection/transport.ts";
import { WeirError } from "../core/weir_error.ts";
import { timeoutError } from "../core/deadline.ts";

/** The most that `Retry-After` may ask for, in ms. Met: an answer that keeps a client away for good. */
const MAX_RETRY_AFTER_MS = 3_600_000;

export interface RequestOptions {
  readonly method?: string | undefined;
  readonly accept?: string | undefined;
  /** JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

/**
 * What `read` makes of an answer that is no refusal. The limit is for the whole answer, or for
 * its head where that is all that `read` waits for: then it calls `begun`.
 *
 * @throws {WeirError} the server's; `unreachable`, `bad_answer`, `auth_failed`; and what `read`
 * throws
 */
export function request<T>(
  shared: ConnectionContext,
  path: string,
  options: RequestOptions,
  read: (response: Response, begun: () => void) => Promise<T>,
): Promise<T> {
  const work = send(shared, path, options, read);
  shared.release(work);
  return work;
}

async function send<T>(
  shared: ConnectionContext,
  path: string,
  { method = "GET", accept = "application/json", body, signal, timeoutMs: limit }: RequestOptions,
  read: (response: Response, begun: () => void) => Promise<T>,
): Promise<T> {
  const { base, platform, credentials, closed } = shared;
  const url = urlOf(base, path);
  const headers: Record<string, string> = { Accept: accept };
  const presented = await credentials.get();
  const { token, ticket } = presented;
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (ticket !== undefined) url.searchParams.set("ticket", ticket);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const abort = new AbortController();
  const end = () => abort.abort();
  const timer = platform.setTimeout(() => abort.abort(timeoutError(limit)), limit);
  const begun = () => platform.clearTimeout(timer);
  const ends = [signal, closed].map((signal) => onAbort(signal, end));
  try {
    const response = await platform.fetch(url, {
      method,
      headers,
      cache: "no-store",
      signal: abort.signal,
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    if (!response.ok) throw await refusalOf(response);
    credentials.isAccepted = true;
    return await read(response, begun);
  } catch (cause) {
    end(); // what is left of the answer is not wanted
    const error = toRequestError(base, cause);
    const isRefused = isCredentialError(error) && credentials.kept === presented;
    if (isRefused) credentials.kept = undefined;
    throw error;
  } finally {
    begun();
    for (const forget of ends) forget();
  }
}

/** The answer's JSON; with another credential where the one that was there has had its time. */
export async function requestJson(
  shared: ConnectionContext,
  path: string,
  options: RequestOptions,
): Promise<JsonObject> {
  try {
    return await request(shared, path, options, jsonOf);
  } catch (cause) {
    // A publish is repeated, and nobody would know why it takes so long. (Of `auth` it is told.)
    const isPublish = options.method === "POST";
    if (isPublish && isRetryable(cause) && cause.code !== "auth_failed") shared.report(cause);
    const isRefused = cause instanceof WeirError && isCredentialError(cause);
    if (!isRefused || !shared.credentials.isRenewable) throw cause;
    return await request(shared, path, options, jsonOf);
  }
}

async function jsonOf(response: Response): Promise<JsonObject> {
  return response.status === 204 ? {} : parseJsonObject(await response.text());
}

/** A refusal as problem details (RFC 9457); what isn't one is no answer of a Weir. */
async function refusalOf(response: Response): Promise<WeirError> {
  const { status, headers } = response;
  const retryAfter = retryAfterOf(headers.get("Retry-After"), headers.get("Date"));
  try {
    const { code, detail, index } = JSON.parse(await response.text());
    if (typeof code === "string") {
      return new WeirError(code, String(detail), { status, retryAfter, index });
    }
  } catch {
    // said below: whatever is wrong with the body, it is no problem of Weir's
  }
  const detail = `It was answered with ${status}. Is the URL that of a Weir?`;
  return new WeirError("bad_answer", detail, { status, retryAfter });
}

/**
 * Milliseconds (RFC 9110 §10.2.3). Weir says it in seconds; what stands before it may name a date,
 * which counts from the answer's own, as clocks differ.
 */
function retryAfterOf(header: string | null, date: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const from = date === null ? Date.now() : Date.parse(date);
  const wait = Number.isNaN(seconds) ? Date.parse(header) - from : seconds * 1_000;
  return wait >= 0 ? Math.min(wait, MAX_RETRY_AFTER_MS) : undefined;
}
