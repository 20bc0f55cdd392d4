import type { ClientMessage } from "./message.ts";

/** Follows messages from their arrival to their answer, for traces. */
export interface MessageTracer {
  /** Calls `handle` in a context of the message, and returns what it returns. */
  message(
    message: ClientMessage,
    handle: () => Promise<void> | undefined,
  ): Promise<void> | undefined;
}
