import { isOffset } from "../shared/offset.ts";
import { fullJitter } from "./backoff.ts";
import { isChannelRefusal } from "./channel_refusal.ts";
import { before } from "./channels.ts";
import { requestJson } from "./http.ts";
import type { Answer } from "./link.ts";
import { pause } from "./pause.ts";
import { badAnswer } from "./refusal.ts";
import type { Host } from "./transport.ts";
import { WeirError } from "./weir_error.ts";

/** For an answer that only says where a channel begins or ends, in ms. */
const LIMIT_MS = 10_000;
/** The least that passes before it is asked for again, in ms. */
const RETRY_MS = 1_000;

/** Finds out where `latest` or `earliest` is, for those that need an offset to begin at. */
export async function place(host: Host, isByOffset: boolean): Promise<void> {
  const { channels } = host;
  await Promise.all(
    channels.unplaced(isByOffset).map(async ([channel, start]) => {
      const page = await readOne(host, channel, start);
      if (page === undefined) return;
      const { events, gap, cursor } = page as {
        readonly events?: readonly { readonly offset: string }[];
        readonly gap?: { readonly requested: string };
        readonly cursor?: string;
      };
      const [first] = events ?? [];
      const offset = gap?.requested ?? (first === undefined ? cursor : before(first.offset));
      if (offset === undefined || !isOffset(offset)) throw badAnswer("A page has no cursor.");
      channels.placed(channel, start, offset);
    }),
  );
}

/**
 * The same, for a transport that reads others meanwhile: repeated until all have their places.
 *
 * @throws {DOMException} where the transport ends before that.
 */
export async function placeBeside(host: Host): Promise<void> {
  const { channels, platform, signal } = host;
  for (let failures = 0; channels.unplaced(false).length > 0;) {
    try {
      await place(host, false);
    } catch {
      // The transport itself says what is wrong with the credential or the server.
      const wait = RETRY_MS + fullJitter(failures++, platform.random);
      await pause(platform, wait, signal);
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
export async function readOne(
  host: Host,
  channel: string,
  after: string,
): Promise<Answer | undefined> {
  const { channels, signal } = host;
  // By query: in a path "." and ".." would be taken for other paths.
  const path = `/v1/events?channel=${encodeURIComponent(channel)}&after=${after}&limit=1`;
  try {
    return await requestJson(host, path, { signal, limit: LIMIT_MS });
  } catch (cause) {
    if (!(cause instanceof WeirError && isChannelRefusal(cause))) throw cause;
    channels.ended(channel, cause);
  }
}
