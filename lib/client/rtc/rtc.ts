/** `weir-client/rtc`: calls, messages and files between the members of a channel. */

export type * from "./api.ts";
