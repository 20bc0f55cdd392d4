import { isOffset } from "../../shared/offset.ts";
import { fullJitter } from "../core/backoff.ts";
import { offsetBefore } from "../core/offset.ts";
import { requestJson } from "./http.ts";
import type { JsonObject } from "../core/json_object.ts";
import { delay } from "../core/delay.ts";
import { badAnswerError } from "../core/errors.ts";
import type { TransportHost } from "../connection/transport.ts";
import { WeirError } from "../core/weir_error.ts";

/** For an answer that only says where a channel begins or ends, in ms. */
const LIMIT_MS = 10_000;
/** The least that passes before it is asked for again, in ms. */
const RETRY_MS = 1_000;

/** Finds out where `latest` or `earliest` is, for those that need an offset to begin at. */
export async function resolveStarts(host: TransportHost, isByOffset: boolean): Promise<void> {
  const { channels } = host;
  await Promise.all(
    channels.unresolvedStarts(isByOffset).map(async ([channel, start]) => {
      const page = await readOneEvent(host, channel, start);
      if (page === undefined) return;
      const { events, gap, cursor } = page as {
        readonly events?: readonly { readonly offset: string }[];
        readonly gap?: { readonly requested: string };
        readonly cursor?: string;
      };
      const [first] = events ?? [];
      const offset = gap?.requested ?? (first === undefined ? cursor : offsetBefore(first.offset));
      if (offset === undefined || !isOffset(offset)) throw badAnswerError("A page has no cursor.");
      channels.startResolved(channel, start, offset);
    }),
  );
}

/**
 * The same, for a transport that reads others meanwhile: repeated until all have their places.
 *
 * @throws {DOMException} where the transport ends before that.
 */
export async function resolveStartsWithRetry(host: TransportHost): Promise<void> {
  const { channels, platform, signal } = host;
  for (let failures = 0; channels.unresolvedStarts(false).length > 0;) {
    try {
      await resolveStarts(host, false);
    } catch {
      // The transport itself says what is wrong with the credential or the server.
      const wait = RETRY_MS + fullJitter(failures++, platform.random);
      await delay(platform, wait, signal);
      signal.throwIfAborted();
    }
  }
}

/**
 * One event of one channel. Where that is refused for the channel's sake its readers are told, and
 * the answer is undefined.
 *
 * @throws {WeirError} where it is refused for another reason.
 */
export async function readOneEvent(
  host: TransportHost,
  channel: string,
  after: string,
): Promise<JsonObject | undefined> {
  const { channels, signal } = host;
  // By query: in a path "." and ".." would be taken for other paths.
  const path = `/v1/events?channel=${encodeURIComponent(channel)}&after=${after}&limit=1`;
  try {
    return await requestJson(host, path, { signal, timeoutMs: LIMIT_MS });
  } catch (cause) {
    if (!(cause instanceof WeirError && isChannelError(cause))) throw cause;
    channels.ended(channel, cause);
  }
}

const CHANNEL_ERROR =
  /^(forbidden|bad_(channel|cursor|parameter)|channel_\w+|cursor_\w+|too_many_channels)$/;

/** Whether the error is about the channel: others can be read. */
export function isChannelError({ code }: WeirError): boolean {
  return CHANNEL_ERROR.test(code);
}
