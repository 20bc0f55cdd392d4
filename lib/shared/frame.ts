import { MAX_EVENT_BYTES } from "./event.ts";

/**
 * Characters in a frame of the subprotocol `weir.v1`: one event of the largest size, escaped, fits.
 * Guards against one frame that fills memory.
 */
export const MAX_FRAME_CHARS = 2 * MAX_EVENT_BYTES;

/** Messages in one frame. Guards against one frame that blocks all other clients. */
export const MAX_FRAME_MESSAGES = 256;
