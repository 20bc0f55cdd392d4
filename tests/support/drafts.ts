import {
  type ChannelKey,
  channelKeyOf,
  DEFAULT_TENANT,
  parseChannel,
} from "../../lib/shared/channel.ts";
import { DEFAULT_TYPE, JSON_TYPE } from "../../lib/shared/event.ts";
import type { Draft } from "../../lib/log/log.ts";

/** Returns the key of a channel of the default tenant. */
export function testChannelKey(name: string): ChannelKey {
  return channelKeyOf(DEFAULT_TENANT, parseChannel(name));
}

/** Makes a draft with default members, except those in `rest`. */
export function draft(
  channel: string,
  data: string | Uint8Array,
  rest: Partial<Omit<Draft, "channelKey" | "data" | "bytes">> = {},
): Draft {
  return {
    channelKey: testChannelKey(channel),
    id: undefined,
    type: DEFAULT_TYPE,
    contentType: typeof data === "string" ? JSON_TYPE : "application/octet-stream",
    data,
    bytes: typeof data === "string" ? new TextEncoder().encode(data).length : data.length,
    key: undefined,
    publisher: undefined,
    ttlMs: undefined,
    ...rest,
  };
}
