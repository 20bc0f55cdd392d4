import type { ConnectOptions, Subscription, Weir } from "./api.ts";
import { Connection } from "./connection/connection.ts";
import type { ConnectionModules } from "./connection/modules.ts";
import { unreachableError } from "./core/errors.ts";
import { runCallback } from "./core/observable.ts";
import { onAbort } from "./core/on_abort.ts";
import type { Platform } from "./core/platform.ts";
import { retryCall } from "./core/retry_call.ts";
import { WeirError } from "./core/weir_error.ts";
import { lazyPresence } from "./presence/lazy_presence.ts";
import { Outbox } from "./publishing/outbox.ts";
import type { Source } from "./reading/event_queue.ts";
import type { SavedCursors } from "./reading/saved_cursors.ts";
import { listen, subscribe } from "./reading/subscription.ts";
import { openWebSocket } from "./transports/websocket.ts";

type LazyChunk = typeof import("./lazy_chunk.ts").default;

/** WebSockets are part of the first load. Everything else loads when it is needed. */
const MODULES: ConnectionModules = {
  transports: {
    "webtransport": lazily((chunk) => chunk.openWebTransport),
    "websocket": (host) => openWebSocket(host, lazily((chunk) => chunk.resolveAnchorsWithRetry)),
    "sse": lazily((chunk) => chunk.openEventStream),
    "long-poll": lazily((chunk) => chunk.openLongPoll),
    "short-poll": lazily((chunk) => chunk.openShortPoll),
  },
  call: lazily((chunk) => chunk.makeCall),
  openReplacement: lazily((chunk) => chunk.openReplacement),
};

/** @see {@link import("./client.ts").connect} */
export function makeClient(url: string | URL, options: ConnectOptions, platform: Platform): Weir {
  const { signal, tabs, cursors, onError } = options;
  const parsed = parseBase(url);
  const base = parsed ?? new URL("http://localhost");
  // A hidden page may hold the connection of visible ones.
  const here = tabs ? { ...platform, isHidden: () => false } : platform;
  const open = () => new Connection(base, MODULES, { ...options, platform: here });
  const link = parsed && tabs ? tabs(base, open) : open();
  if (!parsed) {
    const detail = `${JSON.stringify(String(url))} is not an http: or https: URL.`;
    void link.close(new WeirError("bad_url", detail));
  }
  const report = (error: WeirError) => runCallback(() => onError?.(error));
  // Loads the lazy chunk while there is a network.
  const watch = lazily((chunk) => chunk.watchOutages);
  link.state.onChange(({ status }) => {
    if (status === "open" || status === "reconnecting") {
      watch({ link, base, platform, report }).catch(() => {});
    }
  });
  const outbox = new Outbox(link, lazily((chunk) => chunk.sendBatch), options.outbox);
  let saved: SavedCursors | undefined;
  const sourceOf = (channel: string): Source => ({
    link,
    channel,
    savedCursor: cursors && retryCall(link, loadLazyChunk).then(
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
    link,
    state: link.state,
    // deno-lint-ignore no-explicit-any -- the overloads decide whether gaps are among the items
    subscribe: (channel: string, options = {}): Subscription<any> =>
      subscribe(sourceOf(channel), options),
    listen: (channel, options) => listen(sourceOf(channel), options),
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

/** Returns the URL with a slash at its end, so that paths resolve below it. Undefined if invalid. */
function parseBase(url: string | URL): URL | undefined {
  try {
    const base = new URL(url, globalThis.location?.href);
    if (!/^https?:$/.test(base.protocol)) return undefined;
    base.search = base.hash = "";
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    return base;
  } catch {
    return undefined;
  }
}

/** Returns a function of the lazy chunk that loads the chunk when it is called. */
function lazily<Args extends readonly unknown[], Result>(
  pick: (chunk: LazyChunk) => (...args: Args) => Result | Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => await pick(await loadLazyChunk())(...args);
}

/** @throws {WeirError} `unreachable` */
async function loadLazyChunk(): Promise<LazyChunk> {
  try {
    return (await import("./lazy_chunk.ts")).default;
  } catch (cause) {
    throw unreachableError("Failed to load the lazy chunk.", cause);
  }
}
