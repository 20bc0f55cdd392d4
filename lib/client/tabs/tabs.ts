import type { TabSharing } from "../api.ts";
import type { Link } from "../core/link.ts";
import { TabLink } from "./tab_link.ts";

/** Has the version of the tabs' messages: pages of an old and a new version may be open at once. */
const PREFIX = "weir/3:";

/**
 * Makes all tabs of one origin that connect to the same server with `tabs: sharedTabs(name)`, of the
 * same name, share one connection.
 */
export function sharedTabs(name: string): TabSharing {
  return (base, open) => shareLink(`${name}:${base}`, open);
}

/**
 * Returns a link that all tabs of this origin share which use the same name. One tab, the leader,
 * has the connection, by `open()`; the others reach it over a BroadcastChannel. The leader holds a
 * lock, which another tab gets when the leader closes or crashes, or takes when it does not answer.
 * The new leader continues from where each reader is.
 *
 * Without Web Locks (they need HTTPS or localhost) it returns a link of its own.
 */
export function shareLink(name: string, open: () => Link): Link {
  const { navigator, BroadcastChannel } = globalThis;
  const isShareable = navigator?.locks !== undefined && BroadcastChannel !== undefined;
  return isShareable ? new TabLink(`${PREFIX}${name}`, open) : open();
}
