/** The client library of Weir: docs/client.md. */

import type { ConnectOptions, Subscription, Weir } from "./api.ts";
import { Connection } from "./connection/connection.ts";
import type { SavedCursors } from "./reading/saved_cursors.ts";
import { lazyPresence } from "./presence/lazy_presence.ts";
import { unreachableError } from "./core/errors.ts";
import { runCallback } from "./core/observable.ts";
import { onAbort } from "./core/on_abort.ts";
import { Outbox } from "./publishing/outbox.ts";
import { PLATFORM, type Platform } from "./core/platform.ts";
import { retryCall } from "./core/retry_call.ts";
import { listening, type Source, subscription } from "./reading/subscription.ts";
import type { ConnectionModules } from "./connection/modules.ts";
import { openWebSocket } from "./transports/websocket.ts";
import { WeirError } from "./core/weir_error.ts";

export type * from "./api.ts";
export { TRANSPORTS } from "./api.ts";
export { webStorage } from "./reading/web_storage.ts";
export type { ClientCode } from "./core/weir_error.ts";
export { WeirError };

/** WebSockets are part of the first load; the other transports load when one is needed. */
const MODULES: ConnectionModules = {
  transports: {
    "websocket": (host) =>
      openWebSocket(host, async () => (await loadLazyChunk()).resolveStartsWithRetry(host)),
    "sse": async (host) => (await loadLazyChunk()).openEventStream(host),
    "long-poll": async (host) => (await loadLazyChunk()).openLongPoll(host),
    "short-poll": async (host) => (await loadLazyChunk()).openShortPoll(host),
  },
  call: async (...args) => (await loadLazyChunk()).makeCall(...args),
  openBetterTransport: async (...args) => (await loadLazyChunk()).openBetterTransport(...args),
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
  const open = (base: URL) => new Connection(base, MODULES, { ...options, platform: here });
  const base = baseOf(url);
  const link = base && tabs
    ? tabs(base, () => open(base))
    : open(base ?? new URL("http://localhost"));
  if (base === undefined) {
    const detail = `${JSON.stringify(String(url))} is no http: or https: URL.`;
    void link.close(new WeirError("bad_url", detail));
  }
  // What is loaded later is there then when the network goes.
  link.state.subscribe(({ status }) => status === "open" && loadLazyChunk().catch(() => {}));
  const outbox = new Outbox(
    link,
    async (...args) => await (await loadLazyChunk()).sendBatch(...args),
    options.outbox,
  );
  const report = (error: WeirError) => runCallback(() => onError?.(error));
  let saved: SavedCursors | undefined;
  const sourceOf = (channel: string): Source => ({
    link,
    channel,
    kept: cursors && retryCall(link, loadLazyChunk).then(
      ({ SavedCursors }) => (saved ??= new SavedCursors(cursors, report)).forChannel(channel),
      () => undefined, // closed
    ),
  });
  const close = async () => {
    await link.close();
    await saved?.flush();
  };
  onAbort(signal, () => void close());
  return {
    state: link.state,
    // deno-lint-ignore no-explicit-any -- whether gaps are among the items is for the overloads
    subscribe: (channel: string, options = {}): Subscription<any> =>
      subscription(sourceOf(channel), options),
    listen: (channel, options) => listening(sourceOf(channel), options),
    publish: (channel, data, options) => outbox.publish(channel, data, options),
    history: async (channel, options) =>
      (await loadLazyChunk()).readHistory(link, channel, options),
    presence: (channel) =>
      lazyPresence(async () => {
        const { makePresence } = await retryCall(link, loadLazyChunk);
        return makePresence(link, channel, report);
      }, report),
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

/** @throws {WeirError} `unreachable` */
async function loadLazyChunk(): Promise<typeof import("./lazy_chunk.ts")> {
  try {
    return await import("./lazy_chunk.ts");
  } catch (cause) {
    throw unreachableError("Failed to load the client's lazy chunk.", cause);
  }
}
