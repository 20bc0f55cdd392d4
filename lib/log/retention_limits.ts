import { type Channel, watchedChannel } from "../shared/channel.ts";
import type { Retention } from "./log.ts";

/**
 * Of who came and went: long enough for whoever goes on from a snapshot, however often the server's
 * other channels are read back.
 */
const PRESENCE_RETENTION = { age: 60 * 60 * 1_000, events: 10_000 } as const;

/**
 * What a channel keeps.
 *
 * @param own what it says itself.
 * @param defaults for what it doesn't.
 */
export function retentionOf(
  channel: Channel,
  own: Partial<Retention>,
  defaults: Retention,
): Retention {
  const presence = watchedChannel(channel) === undefined ? {} : PRESENCE_RETENTION;
  return { ...defaults, ...presence, ...own };
}
