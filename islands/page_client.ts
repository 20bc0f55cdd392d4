import type { TransportName, Weir } from "../lib/client/api.ts";
import { connect } from "../lib/client/client.ts";
import { currentClient } from "./current_client.ts";

/** The one client of the page, which goes by the session's cookie. Only in a browser. */
export function pageClient(): Weir {
  return currentClient.value ??= connect(location.origin);
}

/** Closes the page's client, and puts one in its place that may use these transports alone. */
export function replaceClient(transports?: readonly TransportName[]): Weir {
  void currentClient.peek()?.close();
  return currentClient.value = connect(location.origin, { transports });
}
