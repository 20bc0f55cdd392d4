/**
 * What a page does not need before it is connected. `client.ts` imports this module dynamically,
 * and the package's build makes one chunk of it (`package/bundle.ts`).
 */

import { watchOutages } from "./connection/outage.ts";
import { openReplacement } from "./connection/replacement.ts";
import { makePresence } from "./presence/presence.ts";
import { sendBatch } from "./publishing/batch.ts";
import { readHistory } from "./reading/history.ts";
import { SavedCursors } from "./reading/saved_cursors.ts";
import { makeCall } from "./transports/calls.ts";
import { openEventStream } from "./transports/event_stream.ts";
import { openLongPoll, openShortPoll } from "./transports/polling.ts";
import { resolveAnchorsWithRetry } from "./transports/resolve_anchors.ts";
import { openWebTransport } from "./transports/webtransport.ts";

/** One object, whose property names the build can shorten. */
export default {
  makeCall,
  makePresence,
  openReplacement,
  openEventStream,
  openLongPoll,
  openShortPoll,
  openWebTransport,
  readHistory,
  resolveAnchorsWithRetry,
  SavedCursors,
  sendBatch,
  watchOutages,
} as const;
