/**
 * The modules that a page does not need before it is connected. `client.ts` imports this module
 * dynamically; the package's build makes one chunk of it (`package/bundle.ts`).
 */

export { openBetterTransport } from "./connection/upgrade.ts";
export { makePresence } from "./presence/presence.ts";
export { sendBatch } from "./publishing/batch.ts";
export { readHistory } from "./reading/history.ts";
export { SavedCursors } from "./reading/saved_cursors.ts";
export { makeCall } from "./transports/calls.ts";
export { openEventStream } from "./transports/event_stream.ts";
export { openLongPoll, openShortPoll } from "./transports/polling.ts";
export { resolveStartsWithRetry } from "./transports/resolve_starts.ts";
