/** `weir-client/rtc`: calls, messages and files between the members of a channel. */

import type { Weir } from "../api.ts";
import type { Room, RoomOptions } from "./api.ts";
import { ClientRoom } from "./room.ts";

export type * from "./api.ts";
export { getDisplayMedia, getUserMedia } from "./media.ts";

/**
 * Enters the channel and connects to every other session in it by WebRTC. The connections stay when
 * Weir is away.
 */
export function joinRoom<D = unknown>(
  weir: Weir,
  channel: string,
  options: RoomOptions<D> = {},
): Room<D> {
  return new ClientRoom(weir, channel, options);
}
