/** The client library of Weir: docs/client.md. */

import type { ConnectOptions, Subscription, Weir } from "./api.ts";
import { Connection } from "./connection.ts";
import type { KeptCursors } from "./kept_cursor.ts";
import { later } from "./later.ts";
import { laterPresence } from "./later_presence.ts";
import { callback } from "./observable.ts";
import { onAbort } from "./on_abort.ts";
import { Outbox } from "./outbox.ts";
import { PLATFORM, type Platform } from "./platform.ts";
import { repeated } from "./repeated.ts";
import { listening, type Source, subscription } from "./subscription.ts";
import type { Ways } from "./transport.ts";
import { openWebSocket } from "./websocket.ts";
import { WeirError } from "./weir_error.ts";

export type * from "./api.ts";
export { TRANSPORTS } from "./api.ts";
export { webStorage } from "./cursor_store.ts";
export type { ClientCode } from "./weir_error.ts";
export { WeirError };

/** What is there for where WebSockets are not comes when it is needed: few ever do. */
const WAYS: Ways = {
  transports: {
    "websocket": openWebSocket,
    "sse": async (host) => (await later()).openEventStream(host),
    "long-poll": async (host) => (await later()).openLongPoll(host),
    "short-poll": async (host) => (await later()).openShortPoll(host),
  },
  call: async (...args) => (await later()).makeCall(...args),
  better: async (...args) => (await later()).better(...args),
};

/**
 * A client of the Weir at `url`, which may be relative to the page. It connects when it is needed.
 *
 * @param platform for tests.
 */
export function connect(
  url: string | URL,
  options: ConnectOptions = {},
  platform: Platform = PLATFORM,
): Weir {
  const { signal, tabs, cursors, onError } = options;
  // Whether it is looked at says nothing of a page that other tabs read by.
  const here = tabs === undefined ? platform : { ...platform, isHidden: () => false };
  const open = (base: URL) => new Connection(base, WAYS, { ...options, platform: here });
  const base = baseOf(url);
  const link = base && tabs
    ? tabs(base, () => open(base))
    : open(base ?? new URL("http://localhost"));
  if (base === undefined) {
    const detail = `${JSON.stringify(String(url))} is no http: or https: URL.`;
    void link.close(new WeirError("bad_url", detail));
  }
  // What is loaded later is there then when the network goes.
  link.state.subscribe(({ status }) => status === "open" && later().catch(() => {}));
  const outbox = new Outbox(link, options.outbox);
  const report = (error: WeirError) => callback(() => onError?.(error));
  let kept: KeptCursors | undefined;
  const sourceOf = (channel: string): Source => ({
    link,
    channel,
    kept: cursors && repeated(link, later).then(
      ({ KeptCursors }) => (kept ??= new KeptCursors(cursors, report)).of(channel),
      () => undefined, // closed
    ),
  });
  const close = async () => {
    await link.close();
    await kept?.written();
  };
  onAbort(signal, () => void close());
  return {
    state: link.state,
    // deno-lint-ignore no-explicit-any -- whether gaps are among the items is for the overloads
    subscribe: (channel: string, options = {}): Subscription<any> =>
      subscription(sourceOf(channel), options),
    listen: (channel, options) => listening(sourceOf(channel), options),
    publish: (channel, data, options) => outbox.publish(channel, data, options),
    history: async (channel, options) => (await later()).readHistory(link, channel, options),
    presence: (channel) => laterPresence(link, channel, report),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** With a slash at the end, so that paths go below it; undefined where it is no URL to ask. */
function baseOf(url: string | URL): URL | undefined {
  try {
    const base = new URL(url, globalThis.location?.href);
    if (!/^https?:$/.test(base.protocol)) return undefined;
    base.search = base.hash = "";
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    return base;
  } catch {
    return undefined; // the client says so
  }
}
