import type { ConnectionState } from "../../lib/client/api.ts";
import type { Call, Feed, FeedListener, Link } from "../../lib/client/core/link.ts";
import type { JsonObject } from "../../lib/client/core/json_object.ts";
import { ObservableValue } from "../../lib/client/core/observable.ts";
import { WeirError } from "../../lib/client/core/weir_error.ts";

/** A requested feed. The test calls its listener. */
export interface FakeFeed {
  readonly channel: string;
  readonly after: string;
  readonly listener: FeedListener;
  isPaused: boolean;
  isClosed: boolean;
}

/** A link without a network. The test answers its calls and calls the listeners of its feeds. */
export class FakeLink implements Link {
  readonly state = new ObservableValue<ConnectionState>({ status: "open", transport: "websocket" });
  readonly left = new ObservableValue<JsonObject>({});
  readonly feeds: FakeFeed[] = [];
  readonly calls: Call[] = [];
  readonly #answer: (call: Call) => JsonObject | Promise<JsonObject>;

  constructor(answer: (call: Call) => JsonObject | Promise<JsonObject> = () => ({})) {
    this.#answer = answer;
  }

  feed(channel: string, after: string, listener: FeedListener): Feed {
    const feed = { channel, after, listener, isPaused: false, isClosed: false };
    this.feeds.push(feed);
    return {
      pause: () => void (feed.isPaused = true),
      resume: () => void (feed.isPaused = false),
      close: () => void (feed.isClosed = true),
    };
  }

  /** Feeds that are not closed. */
  get open(): readonly FakeFeed[] {
    return this.feeds.filter(({ isClosed }) => !isClosed);
  }

  async call(call: Call): Promise<JsonObject> {
    await undefined;
    const { status } = this.state.value;
    if (status === "closed") throw new WeirError("closed", "The client was closed.");
    this.calls.push(call);
    return await this.#answer(call);
  }

  retry(): void {}

  /** Loses the connection. */
  lose(): void {
    const error = new WeirError("unreachable", "No server answers.");
    this.state.set({ status: "reconnecting", at: 0, delay: 0, error });
  }

  reconnect(): void {
    this.state.set({ status: "open", transport: "websocket" });
  }

  close(error?: WeirError): Promise<void> {
    this.state.set({ status: "closed", ...(error !== undefined && { error }) });
    for (const { listener } of this.open) {
      listener.ended(error ?? new WeirError("closed", "The client was closed."));
    }
    return Promise.resolve();
  }
}
