/** What a page can do without until it is connected: it comes in one piece, by later.ts. */

import "./client.ts"; // so that all that both need is one file of the package
export { sendBatch } from "./batch.ts";
export { better } from "./better.ts";
export { makeCall } from "./calls.ts";
export { openEventStream } from "./event_stream.ts";
export { readHistory } from "./history.ts";
export { KeptCursors } from "./kept_cursor.ts";
export { placeBeside } from "./placing.ts";
export { openLongPoll, openShortPoll } from "./polling.ts";
export { makePresence } from "./presence.ts";
