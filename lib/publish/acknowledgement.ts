import type { AppendedEvent, Draft } from "../log/log.ts";
import { channelOf } from "../shared/channel.ts";

/** Returns, as JSON, where an event was stored. */
export function acknowledgement(
  { channelKey, id: givenId }: Draft,
  { offset, id, duplicate }: AppendedEvent,
): string {
  const channel = JSON.stringify(channelOf(channelKey));
  const end = duplicate ? `,"duplicate":true}` : "}";
  const idJson = givenId === undefined ? `"${id}"` : JSON.stringify(id);
  return `{"channel":${channel},"offset":"${offset}","id":${idJson}${end}`;
}
