import { type Signal, signal } from "@preact/signals";
import type { TransportName, Weir } from "../../lib/client/api.ts";
import { connect } from "../../lib/client/client.ts";
import { PLATFORM } from "../../lib/client/core/platform.ts";
import { Lane } from "./lane.ts";
import { LabNetwork } from "./network.ts";

/** What "throttle" adds to everything that comes in, in ms. */
const THROTTLE_MS = 1_000;

/** One transport of the lab: a client that has no other, on a network that can be worked on. */
export class LabLane implements Disposable {
  readonly lane = new Lane();
  readonly weir: Weir;
  readonly isCut: Signal<boolean> = signal(false);
  readonly isThrottled: Signal<boolean> = signal(false);
  /** Why it reads no more. */
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly #network = new LabNetwork(this.lane);

  /** @param publishedAt when this page has published the event with this id, if it has */
  constructor(
    readonly transport: TransportName,
    channel: string,
    publishedAt: (id: string) => number | undefined,
  ) {
    const { fetch, WebSocket, watch } = this.#network;
    const platform = { ...PLATFORM, fetch, WebSocket, watch };
    this.weir = connect(location.origin, { transports: [transport] }, platform);
    this.weir.listen(channel, {
      onEvent: ({ id, offset }) => {
        const now = performance.now();
        const sent = publishedAt(id);
        this.lane.arrived(offset, now, sent === undefined ? undefined : now - sent);
      },
      onGap: ({ firstAvailable }) => this.lane.skipped(firstAvailable),
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
