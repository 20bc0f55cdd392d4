import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { ChannelListeners } from "./channel_listeners.ts";
import { type ChannelChange, type CommitNews, type Doorbell, headsOf } from "./doorbell.ts";

/** What a commit has changed. */
interface CommitMessage {
  readonly by: string;
  readonly versionstamp: string | undefined;
  readonly channelKeys: readonly ChannelKey[];
  /** The heads of `channelKeys`, in their order; undefined if none was passed on. */
  readonly heads: readonly unknown[] | undefined;
}

type EphemeralMessage = readonly [ChannelKey, EphemeralEvent];

/**
 * The doorbell and relay of a store that only this process has open. Its isolates reach each other
 * by `BroadcastChannel`, so commits write nothing for it. Ephemeral events have a channel of their
 * own and bypass the store.
 */
export class BroadcastDoorbell implements Doorbell, Relay {
  readonly #isolate = crypto.randomUUID();
  readonly #rings = new ChannelListeners<[CommitNews | undefined]>();
  readonly #events = new ChannelListeners<[EphemeralEvent]>();
  readonly #channel: BroadcastChannel;
  readonly #eventChannel: BroadcastChannel;
  readonly #isShared: () => boolean;
  #hasOthers = false;

  /**
   * @param store names the store, in the same way in all isolates that share it.
   * @param isShared returns whether another isolate may have the store open. Until then nothing is
   * sent, which takes 1–2 µs of each publish.
   */
  constructor(store: string, isShared: () => boolean = () => true) {
    this.#isShared = isShared;
    this.#channel = new BroadcastChannel(`weir:${store}`);
    this.#channel.onmessage = ({ data }: MessageEvent<CommitMessage>) => this.#ring(data);
    this.#eventChannel = new BroadcastChannel(`weir:${store}:ephemeral`);
    this.#eventChannel.onmessage = (
      { data: [channelKey, event] }: MessageEvent<EphemeralMessage>,
    ) => this.#events.call([channelKey], event);
  }

  prepare(): void {}

  ring(change: ChannelChange): void {
    this.committed([change], "");
  }

  committed(changes: readonly ChannelChange[], versionstamp: string | undefined): void {
    if (!this.#mayBeHeard()) return;
    const message: CommitMessage = {
      by: this.#isolate,
      versionstamp,
      channelKeys: changes.map(({ channelKey }) => channelKey),
      heads: headsOf(changes),
    };
    try {
      this.#channel.postMessage(message);
    } catch {
      // The channel is closed. The events are stored, so the other isolates' safety poll finds them.
    }
  }

  listen(channelKey: ChannelKey, onRing: (news?: CommitNews) => void): Disposable {
    return this.#rings.add(channelKey, onRing);
  }

  relay(channelKey: ChannelKey, event: EphemeralEvent): void {
    if (!this.#mayBeHeard()) return;
    try {
      this.#eventChannel.postMessage([channelKey, event] satisfies EphemeralMessage);
    } catch {
      // The channel is closed because this isolate stops. Ephemeral events have no guarantee.
    }
  }

  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable {
    return this.#events.add(channelKey, onEvent);
  }

  close(): Promise<void> {
    this.#channel.close();
    this.#eventChannel.close();
    return Promise.resolve();
  }

  #mayBeHeard(): boolean {
    this.#hasOthers ||= this.#isShared();
    return this.#hasOthers;
  }

  #ring({ by, versionstamp, channelKeys, heads }: CommitMessage): void {
    channelKeys.forEach((channelKey, i) => {
      const news = versionstamp === undefined ? undefined : { by, versionstamp, head: heads?.[i] };
      this.#rings.call([channelKey], news);
    });
  }
}
