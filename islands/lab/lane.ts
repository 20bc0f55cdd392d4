import { type Signal, signal } from "@preact/signals";
import type { TransportName, Weir } from "../../lib/client/api.ts";
import { makeClient } from "../../lib/client/make_client.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import { LaneRecord } from "./lane_record.ts";
import type { LaneView } from "./lane_view.ts";
import { LabNetwork } from "./network.ts";

/** The delay that "Throttle" adds to everything that arrives. */
export const THROTTLE_MS = 1_000;

/** A client with a single transport, on a network that can be cut and throttled. */
export class Lane implements LaneView, Disposable {
  readonly record = new LaneRecord();
  readonly weir: Weir;
  readonly isCut: Signal<boolean> = signal(false);
  readonly isThrottled: Signal<boolean> = signal(false);
  /** Says why reading has ended. */
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly #network = new LabNetwork(this.record);

  /** @param publishedAt returns when this page published the event with this id, if it did */
  constructor(
    readonly transport: TransportName,
    channel: string,
    publishedAt: (id: string) => number | undefined,
  ) {
    const { fetch, WebSocket, WebTransport, watch } = this.#network;
    const platform = { ...PLATFORM, fetch, WebSocket, WebTransport, watch };
    this.weir = makeClient(location.origin, { transports: [transport] }, platform);
    this.weir.listen(channel, {
      onEvent: ({ id, offset }) => {
        const now = performance.now();
        const sent = publishedAt(id);
        this.record.arrived(offset, now, sent === undefined ? undefined : now - sent);
      },
      onGap: ({ firstAvailable }) => this.record.skipped(firstAvailable),
      onError: ({ detail }) => this.problem.value = detail,
    });
  }

  cut(): void {
    this.#network.cut();
    this.isCut.value = true;
  }

  resume(): void {
    this.#network.resume();
    this.isCut.value = false;
  }

  throttle(isOn: boolean): void {
    this.#network.throttle(isOn ? THROTTLE_MS : 0);
    this.isThrottled.value = isOn;
  }

  [Symbol.dispose](): void {
    void this.weir.close();
  }
}
