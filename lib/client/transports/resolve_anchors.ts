import type { TransportHost } from "../connection/transport.ts";
import { retryDelayMs } from "../core/retry_delay.ts";
import { pause } from "../../shared/async/delay.ts";
import { badAnswerError } from "../core/errors.ts";
import type { JsonObject } from "../core/json_object.ts";
import { offsetBefore } from "../core/offset.ts";
import { WeirError } from "../core/weir_error.ts";
import { isOffset } from "../../shared/offset.ts";
import type { ProblemCodeOf } from "../../shared/problem_codes.ts";
import { requestJson } from "./http.ts";

/** Timeout of a request for the first or last offset of a channel. */
const TIMEOUT_MS = 10_000;
/** Least time before it is repeated. */
const MIN_RETRY_MS = 1_000;

/** The server's errors about a channel: other channels can still be read. */
const CHANNEL_ERRORS: Readonly<Record<ProblemCodeOf<"channel">, true>> = {
  bad_channel: true,
  bad_cursor: true,
  bad_parameter: true,
  channel_not_found: true,
  channel_reserved: true,
  cursor_other_channels: true,
  forbidden: true,
  too_many_channels: true,
};

export function isChannelError({ code }: WeirError): boolean {
  return Object.hasOwn(CHANNEL_ERRORS, code);
}

/**
 * Finds the offsets of `latest` and `earliest` for the readers that need them.
 *
 * @param needsOffsets whether the transport can only read from offsets.
 * @throws {WeirError} unless the error is about a channel, which ends its feeds.
 */
export async function resolveAnchors(host: TransportHost, needsOffsets: boolean): Promise<void> {
  const { channels } = host;
  await Promise.all(
    channels.unresolvedAnchors(needsOffsets).map(async ([channel, anchor]) => {
      const page = await readOneEvent(host, channel, anchor);
      if (page === undefined) return;
      const { events, gap, cursor } = page as {
        readonly events?: readonly { readonly offset: string }[];
        readonly gap?: { readonly requested: string };
        readonly cursor?: string;
      };
      const [first] = events ?? [];
      const offset = gap?.requested ?? (first === undefined ? cursor : offsetBefore(first.offset));
      if (offset === undefined || !isOffset(offset)) {
        throw badAnswerError("The answer has no cursor.");
      }
      channels.anchorResolved(channel, anchor, offset);
    }),
  );
}

/**
 * Finds the offsets for readers that join channels which the transport reads already, and retries
 * until there are none left.
 *
 * @throws {DOMException} if the transport ends before.
 */
export async function resolveAnchorsWithRetry(host: TransportHost): Promise<void> {
  const { channels, platform, signal } = host;
  for (let failures = 0; channels.unresolvedAnchors(false).length > 0;) {
    try {
      await resolveAnchors(host, false);
    } catch {
      // The transport reports errors of the credential and the server.
      const delayMs = MIN_RETRY_MS + retryDelayMs(failures++, platform.random);
      await pause(delayMs, { signal, timers: platform });
      signal.throwIfAborted();
    }
  }
}

/**
 * Reads one event of a channel. If the channel is refused its feeds end, and it resolves with
 * undefined.
 *
 * @throws {WeirError} any other error.
 */
export async function readOneEvent(
  host: TransportHost,
  channel: string,
  after: string,
): Promise<JsonObject | undefined> {
  const { channels, signal } = host;
  // In the query, because URL parsers remove "." and ".." from paths.
  const path = `/v1/events?channel=${encodeURIComponent(channel)}&after=${after}&limit=1`;
  try {
    return await requestJson(host, path, { signal, timeoutMs: TIMEOUT_MS });
  } catch (cause) {
    if (!(cause instanceof WeirError && isChannelError(cause))) throw cause;
    channels.ended(channel, cause);
  }
}
