/** The client library of Weir: docs/client.md. */

import type {
  ConnectOptions,
  History,
  HistoryOptions,
  Listening,
  ListenOptions,
  Presence,
  Published,
  PublishOptions,
  SubscribeOptions,
  Subscription,
  Weir,
} from "./api.ts";
import { Connection } from "./connection.ts";
import { KeptCursor } from "./cursor_store.ts";
import { later } from "./later.ts";
import { laterPresence } from "./later_presence.ts";
import type { Link } from "./link.ts";
import { callback } from "./observable.ts";
import { onAbort } from "./on_abort.ts";
import { Outbox } from "./outbox.ts";
import { PLATFORM, type Platform } from "./platform.ts";
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
  call: async (...args) => (await later()).callOverHttp(...args),
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
  const { signal, tabs } = options;
  // Whether it is looked at says nothing of a page that other tabs read by.
  const here = tabs === undefined ? platform : { ...platform, isHidden: () => false };
  const open = (base: URL) => new Connection(base, WAYS, { ...options, platform: here });
  const base = baseOf(url);
  let link: Link;
  if (base === undefined) {
    link = open(new URL("http://localhost"));
    const detail = `${JSON.stringify(String(url))} is no http: or https: URL of a Weir.`;
    void link.close(new WeirError("bad_url", detail));
  } else {
    link = tabs?.(base, () => open(base)) ?? open(base);
  }
  // What is loaded later is there then when the network goes.
  link.state.subscribe(({ status }) => status === "open" && later().catch(() => {}));
  const client = new Client(link, options);
  onAbort(signal, () => void client.close());
  return client;
}

class Client implements Weir {
  readonly #link: Link;
  readonly #options: ConnectOptions;
  readonly #outbox: Outbox;

  constructor(link: Link, options: ConnectOptions) {
    this.#link = link;
    this.#options = options;
    this.#outbox = new Outbox(link, options.outbox);
  }

  get state(): Link["state"] {
    return this.#link.state;
  }

  subscribe<T>(
    channel: string,
    options: SubscribeOptions<T> = {},
    // deno-lint-ignore no-explicit-any -- whether gaps are among the items is for the overloads
  ): Subscription<any> {
    return subscription(this.#source(channel), options);
  }

  listen<T>(channel: string, options: ListenOptions<T>): Listening {
    return listening(this.#source(channel), options);
  }

  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published> {
    return this.#outbox.publish(channel, data, options);
  }

  async history<T>(channel: string, options?: HistoryOptions<T>): Promise<History<T>> {
    const { readHistory } = await later();
    return await readHistory(this.#link, channel, options);
  }

  presence<T>(channel: string): Presence<T> {
    return laterPresence(this.#link, channel, (error) => this.#report(error));
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #source(channel: string): Source {
    const { cursors } = this.#options;
    const kept = cursors && new KeptCursor(cursors, channel, (error) => this.#report(error));
    return { link: this.#link, channel, kept };
  }

  #report(error: WeirError): void {
    callback(() => this.#options.onError?.(error));
  }
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
