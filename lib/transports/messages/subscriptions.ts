import type { Authority } from "../../auth/authority.ts";
import type { Hub } from "../../hub/hub.ts";
import type { CloseReason } from "../../hub/sink.ts";
import type { Subscription } from "../../hub/subscription.ts";
import {
  type Channel,
  type ChannelKey,
  channelKeyOf,
  channelOf,
  parseReadableChannel,
  type Tenant,
} from "../../shared/channel.ts";
import { formatCursor, MAX_CURSOR_CHANNELS, parseAfter } from "../../shared/cursor.ts";
import { offsetOf, type Position } from "../../shared/offset.ts";
import { Problem, quote } from "../../shared/problem.ts";
import type { MessageClient } from "./client.ts";
import { encodingsWithCursor, SHARED_ENCODING } from "./encoding.ts";
import type { MessageOf } from "./message.ts";
import type { EventOutput, MessageOutput } from "./output.ts";
import { startPositions } from "../read_positions.ts";

/** Channels of one connection. Guards against a client that makes the server follow all channels. */
const MAX_CHANNELS = 1_000;

interface ClientSubscriptionsOptions {
  readonly hub: Hub;
  readonly client: Pick<MessageClient, "subscribed">;
  readonly output: MessageOutput;
  /** Ends the connection. */
  readonly close: (reason: CloseReason) => void;
}

/** The subscriptions of one `subscribe`: to one channel, or to several under one cursor. */
interface SubscriptionGroup {
  readonly channels: number;
  readonly output: EventOutput;
  /** In the order of the channels, without those that the client may no longer read. */
  readonly subscriptions: Map<Channel, Subscription>;
  isStarted: boolean;
  isEnded: boolean;
}

/** Holds the subscriptions of one connection, and ends those that its latest authority doesn't allow. */
export class ClientSubscriptions {
  readonly #options: ClientSubscriptionsOptions;
  readonly #groups = new Map<string, SubscriptionGroup>();
  #channels = 0;
  #authority: Authority | undefined;

  constructor(options: ClientSubscriptionsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  /**
   * Subscribes and answers with the position from which the events then follow.
   *
   * @throws {Problem} `bad_*`, `channel_reserved`, `cursor_other_channels`, `forbidden`,
   * `not_subscribed` (an unsubscribe came before the answer), `rate_limited`, `subscribed_already`,
   * `too_many_channels`, `storage_*`, `shutting_down`
   */
  async add(authority: Authority, message: MessageOf<"subscribe">): Promise<void> {
    this.#authority = authority;
    const { key, channelKeys } = parseTarget(authority.tenant, message);
    for (const channelKey of channelKeys) authority.requireRead(channelOf(channelKey));
    this.#options.client.subscribed(authority, channelKeys.length);
    this.#requireRoom(key, channelKeys.length);
    const start = parseAfter(message.after ?? "latest", channelKeys.map(channelOf));
    const group: SubscriptionGroup = {
      channels: channelKeys.length,
      output: this.#options.output.openEventOutput(),
      subscriptions: new Map(),
      isStarted: false,
      isEnded: false,
    };
    this.#groups.set(key, group);
    this.#channels += channelKeys.length;
    try {
      const positions = await startPositions(this.#options.hub, channelKeys, start);
      const hasCursor = message.channels !== undefined;
      const isResume = typeof start !== "string";
      await this.#subscribe({ group, channelKeys, hasCursor, isResume }, positions);
    } catch (cause) {
      if (!group.isEnded) this.#end(key); // else the key may name another group now
      throw cause;
    }
    if (group.isEnded) {
      throw new Problem(
        "not_subscribed",
        "An unsubscribe came before this subscribe was answered.",
      );
    }
    this.#answer(group, message);
    for (const subscription of group.subscriptions.values()) subscription.start();
    group.isStarted = true;
    this.#checkGroup(key, group); // the rights may have changed in the meantime
  }

  /** @throws {Problem} `bad_*`, `channel_reserved`, `not_subscribed`, `too_many_channels` */
  remove({ tenant }: Authority, message: MessageOf<"unsubscribe">): void {
    const { key } = parseTarget(tenant, message);
    if (!this.#end(key)) {
      throw new Problem("not_subscribed", `This connection is not subscribed to ${quote(key)}.`);
    }
    this.#options.output.send({ op: "unsubscribed", ref: message.ref });
  }

  /** Ends the subscriptions that `authority` doesn't allow, and tells the client. */
  checkRights(authority: Authority): void {
    this.#authority = authority;
    for (const [key, group] of [...this.#groups]) this.#checkGroup(key, group);
  }

  /** Ends all subscriptions, without telling the client. */
  close(): void {
    for (const key of [...this.#groups.keys()]) this.#end(key);
  }

  /** @throws {Problem} `subscribed_already`, `too_many_channels` */
  #requireRoom(key: string, channels: number): void {
    if (this.#groups.has(key)) {
      throw new Problem(
        "subscribed_already",
        `This connection is already subscribed to ${quote(key)}.`,
      );
    }
    if (this.#channels + channels > MAX_CHANNELS) {
      throw new Problem(
        "too_many_channels",
        `A connection may be subscribed to at most ${MAX_CHANNELS} channels.`,
      );
    }
  }

  async #subscribe(
    { group, channelKeys, hasCursor, isResume }: {
      readonly group: SubscriptionGroup;
      readonly channelKeys: readonly ChannelKey[];
      readonly hasCursor: boolean;
      readonly isResume: boolean;
    },
    positions: readonly Position[],
  ): Promise<void> {
    const { hub, close } = this.#options;
    const encodings = hasCursor ? encodingsWithCursor(channelKeys, positions) : [SHARED_ENCODING];
    for (const [i, channelKey] of channelKeys.entries()) {
      const sink = group.output.sink(encodings[i] ?? SHARED_ENCODING, close);
      const position = positions[i] ?? "latest";
      const subscription = await hub.subscribe(channelKey, position, sink, { isResume });
      group.subscriptions.set(channelOf(channelKey), subscription);
      if (group.isEnded) subscription.close(); // unsubscribed or disconnected in the meantime
    }
  }

  #answer(
    { output, subscriptions }: SubscriptionGroup,
    { ref, channels }: MessageOf<"subscribe">,
  ): void {
    const names = [...subscriptions.keys()];
    const positions = [...subscriptions.values()].map(({ position }) => position);
    const [only] = positions;
    output.send(
      channels === undefined && only !== undefined
        ? { op: "subscribed", ref, channel: names[0], offset: offsetOf(only) }
        : { op: "subscribed", ref, channels: names, cursor: formatCursor(names, positions) },
    );
  }

  #checkGroup(key: string, { isStarted, subscriptions }: SubscriptionGroup): void {
    if (!isStarted) return; // add() checks once all subscriptions exist
    for (const [channel, subscription] of subscriptions) {
      if (this.#authority?.mayRead(channel)) continue;
      subscription.close();
      subscriptions.delete(channel);
      this.#options.output.send({ op: "unsubscribed", channel, reason: "forbidden" });
    }
    if (subscriptions.size === 0) this.#end(key);
  }

  #end(key: string): boolean {
    const group = this.#groups.get(key);
    if (group === undefined) return false;
    this.#groups.delete(key);
    this.#channels -= group.channels;
    group.isEnded = true;
    for (const subscription of group.subscriptions.values()) subscription.close();
    group.output.end();
    return true;
  }
}

interface SubscriptionTarget {
  /** Names the group on its connection. */
  readonly key: string;
  /** Sorted, without repeats. */
  readonly channelKeys: readonly ChannelKey[];
}

/** Parses the channels of a message. @throws {Problem} `bad_*`, `channel_reserved`, `too_many_channels` */
function parseTarget(
  tenant: Tenant,
  { channel, channels }: Pick<MessageOf<"subscribe">, "channel" | "channels">,
): SubscriptionTarget {
  if ((channel === undefined) === (channels === undefined)) {
    throw new Problem("bad_message", `Give either "channel" or "channels".`);
  }
  const names = channels === undefined ? [channel ?? ""] : [...new Set(channels)].sort();
  if (names.length > MAX_CURSOR_CHANNELS) {
    throw new Problem(
      "too_many_channels",
      `A subscription may have at most ${MAX_CURSOR_CHANNELS} channels.`,
    );
  }
  const channelKeys = names.map((name) => channelKeyOf(tenant, parseReadableChannel(name)));
  return {
    key: channels === undefined ? names[0] ?? "" : JSON.stringify(names),
    channelKeys,
  };
}
