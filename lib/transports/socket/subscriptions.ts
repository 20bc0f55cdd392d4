import type { Authority } from "../../auth/authority.ts";
import type { Hub } from "../../hub/hub.ts";
import type { CloseReason } from "../../hub/sink.ts";
import type { Subscription } from "../../hub/subscription.ts";
import type { Encoder, Run } from "../../log/run.ts";
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
import { jsonGap, jsonMembers, socketMessage } from "../json_encoding.ts";
import type { SocketClient } from "./client.ts";
import type { MessageOf } from "./message.ts";
import { type SocketOutput, SocketSink } from "./output.ts";
import { ReadPositions, startPositions } from "../read_positions.ts";

/** Channels of one socket. Met: one socket that makes the server follow everything. */
const MAX_SOCKET_CHANNELS = 1_000;

export interface SocketSubscriptionsOptions {
  readonly hub: Hub;
  readonly client: Pick<SocketClient, "subscribed">;
  readonly output: SocketOutput;
  /** Ends the socket. */
  readonly close: (reason: CloseReason) => void;
}

/** A subscription of the socket: to one channel, or to several under one cursor. */
interface Group {
  readonly channels: number;
  /** In the order of the channels; those that lost their right have gone. */
  readonly subscriptions: Map<Channel, Subscription>;
  isStarted: boolean;
  isEnded: boolean;
}

/** What one socket is subscribed to, by the rights of the authority that it was given last. */
export class SocketSubscriptions {
  readonly #options: SocketSubscriptionsOptions;
  readonly #groups = new Map<string, Group>();
  #channels = 0;
  #authority: Authority | undefined;

  constructor(options: SocketSubscriptionsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  /**
   * Answers with where the subscription begins, then its events follow.
   *
   * @throws {Problem} `bad_*`, `channel_reserved`, `cursor_other_channels`, `forbidden`,
   * `not_subscribed` (an unsubscribe has overtaken it), `rate_limited`, `subscribed_already`,
   * `too_many_channels`, `storage_*`, `shutting_down`
   */
  async add(authority: Authority, message: MessageOf<"subscribe">): Promise<void> {
    this.#authority = authority;
    const { key, channelKeys } = target(authority.tenant, message);
    for (const channelKey of channelKeys) authority.requireRead(channelOf(channelKey));
    this.#options.client.subscribed(authority, channelKeys.length);
    this.#requireRoom(key, channelKeys.length);
    const start = parseAfter(message.after ?? "latest", channelKeys.map(channelOf));
    const group: Group = {
      channels: channelKeys.length,
      subscriptions: new Map(),
      isStarted: false,
      isEnded: false,
    };
    this.#groups.set(key, group);
    this.#channels += channelKeys.length;
    try {
      const positions = await startPositions(this.#options.hub, channelKeys, start);
      await this.#subscribe(group, channelKeys, positions, message.channels !== undefined);
    } catch (cause) {
      if (!group.isEnded) this.#end(key); // else that is another's by now
      throw cause;
    }
    if (group.isEnded) {
      throw new Problem("not_subscribed", "An unsubscribe came before the answer.");
    }
    this.#answer(group, message);
    for (const subscription of group.subscriptions.values()) subscription.start();
    group.isStarted = true;
    this.#checkGroup(key, group); // the rights may have changed meanwhile
  }

  /** @throws {Problem} `bad_*`, `channel_reserved`, `not_subscribed`, `too_many_channels` */
  remove({ tenant }: Authority, message: MessageOf<"unsubscribe">): void {
    const { key } = target(tenant, message);
    if (!this.#end(key)) {
      throw new Problem("not_subscribed", `This socket is not subscribed to ${quote(key)}.`);
    }
    this.#options.output.send({ op: "unsubscribed", ref: message.ref });
  }

  /** Ends what `authority` doesn't allow, and says so. */
  checkRights(authority: Authority): void {
    this.#authority = authority;
    for (const [key, group] of [...this.#groups]) this.#checkGroup(key, group);
  }

  /** Ends all, without a word. */
  close(): void {
    for (const key of [...this.#groups.keys()]) this.#end(key);
  }

  /** @throws {Problem} `subscribed_already`, `too_many_channels` */
  #requireRoom(key: string, channels: number): void {
    if (this.#groups.has(key)) {
      throw new Problem(
        "subscribed_already",
        `This socket is subscribed to ${quote(key)} already.`,
      );
    }
    if (this.#channels + channels > MAX_SOCKET_CHANNELS) {
      throw new Problem(
        "too_many_channels",
        `A socket has ${MAX_SOCKET_CHANNELS} channels at the most.`,
      );
    }
  }

  async #subscribe(
    group: Group,
    channelKeys: readonly ChannelKey[],
    positions: readonly Position[],
    isVector: boolean,
  ): Promise<void> {
    const { hub, output, close } = this.#options;
    const encoders = isVector ? vectorEncoders(channelKeys, positions) : [plainMessage];
    for (const [i, channelKey] of channelKeys.entries()) {
      const sink = new SocketSink(output, encoders[i] ?? plainMessage, close);
      const subscription = await hub.subscribe(channelKey, positions[i] ?? "latest", sink);
      group.subscriptions.set(channelOf(channelKey), subscription);
      if (group.isEnded) subscription.close(); // unsubscribed, or gone, meanwhile
    }
  }

  #answer({ subscriptions }: Group, { ref, channels }: MessageOf<"subscribe">): void {
    const names = [...subscriptions.keys()];
    const positions = [...subscriptions.values()].map(({ position }) => position);
    const [only] = positions;
    this.#options.output.send(
      channels === undefined && only !== undefined
        ? { op: "subscribed", ref, channel: names[0], offset: offsetOf(only) }
        : { op: "subscribed", ref, channels: names, cursor: formatCursor(names, positions) },
    );
  }

  #checkGroup(key: string, { isStarted, subscriptions }: Group): void {
    if (!isStarted) return; // looked at when all are there
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
    return true;
  }
}

interface Target {
  /** Names the subscription on its socket. */
  readonly key: string;
  /** Sorted, without repeats. */
  readonly channelKeys: readonly ChannelKey[];
}

/** What a message is about. @throws {Problem} `bad_*`, `channel_reserved`, `too_many_channels` */
function target(
  tenant: Tenant,
  { channel, channels }: Pick<MessageOf<"subscribe">, "channel" | "channels">,
): Target {
  if ((channel === undefined) === (channels === undefined)) {
    throw new Problem("bad_message", `Give either "channel" or "channels".`);
  }
  const names = channels === undefined ? [channel ?? ""] : [...new Set(channels)].sort();
  if (names.length > MAX_CURSOR_CHANNELS) {
    throw new Problem(
      "too_many_channels",
      `A subscription has ${MAX_CURSOR_CHANNELS} channels at the most.`,
    );
  }
  const channelKeys = names.map((name) => channelKeyOf(tenant, parseReadableChannel(name)));
  return {
    key: channels === undefined ? names[0] ?? "" : JSON.stringify(names),
    channelKeys,
  };
}

const plainMessage: Encoder<string> = (run) => run.encode(socketMessage);

/** For each of several channels under one cursor. */
function vectorEncoders(
  channelKeys: readonly ChannelKey[],
  positions: readonly Position[],
): readonly Encoder<string>[] {
  const read = new ReadPositions(channelKeys.map(channelOf), positions);
  return channelKeys.map((_, i) => (run) => vectorMessage(run, i, read));
}

/** The messages of one run of one of several channels: each with the cursor over them all. */
function vectorMessage(run: Run, index: number, positions: ReadPositions): string {
  const cursorAt = (sequence: number) => positions.advancedCursor(index, run.epoch, sequence);
  const lines = run.gap === undefined
    ? []
    : [`{"op":"gap",${run.encode(jsonGap)},"cursor":"${cursorAt(run.after)}"}`];
  run.encode(jsonMembers).forEach((members, at) => {
    lines.push(`{"op":"event",${members},"cursor":"${cursorAt(run.after + at + 1)}"}`);
  });
  return lines.join("\n");
}
