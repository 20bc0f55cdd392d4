import type { ListenOptions, Published, PublishOptions, Weir } from "../../lib/client/api.ts";

/** A `listen()` of the code under test. The test calls its callbacks. */
export interface FakeListening {
  readonly channel: string;
  readonly options: ListenOptions<unknown>;
  /** As the subscription's: the test sets it. */
  cursor: string | undefined;
  isClosed: boolean;
}

/** A publish of the code under test. The test settles it. */
export interface FakePublish {
  readonly channel: string;
  readonly data: unknown;
  readonly options: PublishOptions;
  resolve(offset: string): void;
  reject(cause: unknown): void;
}

/** What hooks use of a client, without a connection. */
export class FakeWeir implements Pick<Weir, "listen" | "publish"> {
  readonly listenings: FakeListening[] = [];
  readonly publishes: FakePublish[] = [];

  readonly listen: Weir["listen"] = (channel, options) => {
    const listening: FakeListening = {
      channel,
      options: options as ListenOptions<unknown>,
      cursor: undefined,
      isClosed: false,
    };
    this.listenings.push(listening);
    return {
      get cursor() {
        return listening.cursor;
      },
      close: () => void (listening.isClosed = true),
      [Symbol.dispose]: () => void (listening.isClosed = true),
    };
  };

  readonly publish: Weir["publish"] = (channel, data, options = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Published>();
    this.publishes.push({
      channel,
      data,
      options,
      resolve: (offset) => resolve({ channel, offset, id: options.id ?? "", duplicate: false }),
      reject,
    });
    return promise;
  };

  /** The last one that is open. */
  get listening(): FakeListening {
    const listening = this.listenings.findLast(({ isClosed }) => !isClosed);
    if (listening === undefined) throw new Error("nothing listens");
    return listening;
  }

  /** Delivers an event to all that listen. */
  deliver(offset: string, id: string, data: unknown): void {
    for (const listening of this.listenings) {
      if (listening.isClosed) continue;
      const { channel, options } = listening;
      listening.cursor = offset;
      options.onEvent({
        kind: "event",
        channel,
        offset,
        id,
        type: "message",
        time: "2026-01-01T00:00:00Z",
        contentType: "application/json",
        data,
      }, offset);
    }
  }

  /** As the client that the code under test takes. */
  get weir(): Weir {
    return this as unknown as Weir; // the rest is not used
  }
}
