import type { TransportName, Weir } from "../lib/client/api.ts";
import { connect } from "../lib/client/client.ts";
import { currentClient } from "./current_client.ts";

/** Returns the page's client, which uses the session cookie. Only in the browser. */
export function pageClient(): Weir {
  return currentClient.value ??= connect(location.origin);
}

/** Replaces the page's client by one that uses only these transports. */
export function replaceClient(transports?: readonly TransportName[]): Weir {
  void currentClient.peek()?.close();
  return currentClient.value = connect(location.origin, { transports });
}
