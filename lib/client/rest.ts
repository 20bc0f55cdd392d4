/** What a page can do without until it is connected: it comes in one piece, by later.ts. */

import "./client.ts"; // so that all that both need is one file of the package
export { openEventStream } from "./event_stream.ts";
export { readHistory } from "./history.ts";
export { callOverHttp } from "./http_calls.ts";
export { place } from "./placing.ts";
export { openLongPoll, openShortPoll } from "./polling.ts";
export { makePresence } from "./presence.ts";
