import { isOffset } from "../shared/offset.ts";
import { isChannelRefusal } from "./channel_refusal.ts";
import { before } from "./channels.ts";
import { requestJson } from "./http.ts";
import type { Answer } from "./link.ts";
import { badAnswer } from "./refusal.ts";
import type { Host } from "./transport.ts";
import { WeirError } from "./weir_error.ts";

/** For an answer that only says where a channel begins or ends, in ms. */
const LIMIT_MS = 10_000;

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
  const path = `/v1/channels/${encodeURIComponent(channel)}/events?after=${after}&limit=1`;
  try {
    return await requestJson(host, path, { signal, limit: LIMIT_MS });
  } catch (cause) {
    if (!(cause instanceof WeirError && isChannelRefusal(cause))) throw cause;
    channels.ended(channel, cause);
  }
}
