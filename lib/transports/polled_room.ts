import type { DrainPoller } from "./drain_poller.ts";
import { Room } from "./room.ts";

interface PolledRoomOptions {
  /** Returns how many bytes wait for the connection. */
  readonly queued: () => number;
  /** Returns whether a write that fits only alone may begin. */
  readonly mayBeLarge: (bytes: number) => boolean;
  /** A queue with fewer bytes counts as empty. @default as for {@link Room} */
  readonly emptyBytes?: number;
  readonly poller: Pick<DrainPoller, "waitForRoom">;
  /** The connection. One that is neither closed nor open has no room. */
  readonly connection: { readonly isClosed: boolean; readonly isOpen: boolean };
}

/** A {@link Room} that is polled while somebody waits for it. */
export class PolledRoom extends Room {
  readonly #poller: PolledRoomOptions["poller"];
  readonly #connection: PolledRoomOptions["connection"];
  #isPolled = false;

  constructor({ queued, mayBeLarge, emptyBytes, poller, connection }: PolledRoomOptions) {
    super(queued, mayBeLarge, emptyBytes);
    this.#poller = poller;
    this.#connection = connection;
  }

  override wait(bytes: number): Promise<void> {
    const waited = super.wait(bytes);
    if (!this.#isPolled) void this.#poll();
    return waited;
  }

  async #poll(): Promise<void> {
    const connection = this.#connection;
    this.#isPolled = true;
    while (this.isAwaited) {
      await this.#poller.waitForRoom(() =>
        connection.isClosed || (connection.isOpen && this.isDue)
      );
      if (connection.isClosed) this.wakeAll();
      else this.wake();
    }
    this.#isPolled = false;
  }
}
