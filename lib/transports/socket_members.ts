import type { Authority } from "../auth/authority.ts";
import { mayBe, memberData, memberOf, type Place } from "../presence/member.ts";
import type { Presence } from "../presence/presence.ts";
import { addressOf, channelOf, parseChannel } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { SocketClient } from "./socket_client.ts";
import type { MessageOf } from "./socket_message.ts";
import type { SocketOutput } from "./socket_output.ts";

/** Members that one socket is. Met: one socket that fills everyone's presence. */
const MAX_MEMBERSHIPS = 100;

const utf8 = new TextEncoder();

export interface SocketMembersOptions {
  readonly presence: Pick<Presence, "enter" | "leave" | "lose">;
  readonly client: Pick<SocketClient, "published">;
  readonly output: SocketOutput;
  /** Told of what failed when nobody waited for it. */
  readonly fail: (cause: unknown) => void;
}

/** The members that one socket is, in which channels. */
export class SocketMembers {
  readonly #options: SocketMembersOptions;
  readonly #places = new Map<string, Place>();
  /** Those that were ended since their right was lost. */
  readonly #lost = new WeakSet<Place>();

  constructor(options: SocketMembersOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#places.size === 0;
  }

  /**
   * @throws {Problem} `bad_channel`, `bad_member`, `channel_reserved`, `event_too_large`,
   * `forbidden`, `presence_full`, `rate_limited`, `too_many_channels`, `contended`,
   * `commit_unknown`, `overloaded`, `storage_*`, `shutting_down`
   */
  async enter(authority: Authority, message: MessageOf<"enter">): Promise<void> {
    const { presence, client, output } = this.#options;
    const { ref } = message;
    const asked = placeOf(authority, message);
    const data = memberData(message.data);
    client.published(authority, data === undefined ? 0 : utf8.encode(data).length);
    const key = keyOf(asked);
    const isKnown = this.#places.has(key);
    if (!isKnown && this.#places.size >= MAX_MEMBERSHIPS) {
      throw new Problem(
        "too_many_channels",
        `A socket is ${MAX_MEMBERSHIPS} members at the most.`,
      );
    }
    const place = this.#places.get(key) ?? asked;
    this.#places.set(key, place);
    try {
      const offset = await presence.enter(this, place, data);
      if (this.#lost.has(place)) {
        throw new Problem("forbidden", "The right to this was lost while it was being done.");
      }
      const { address, member } = place;
      output.send({ op: "entered", ref, channel: channelOf(address), member, offset });
    } catch (cause) {
      if (!isKnown && this.#places.get(key) === place) this.#places.delete(key);
      throw cause;
    }
  }

  /** @throws {Problem} as {@link enter} does */
  async leave(authority: Authority, message: MessageOf<"leave">): Promise<void> {
    const { presence, client, output } = this.#options;
    const place = placeOf(authority, message);
    client.published(authority, 0);
    this.#places.delete(keyOf(place));
    await presence.leave(this, place);
    output.send({ op: "left", ref: message.ref });
  }

  /** Ends what `authority` doesn't allow, and says so. */
  checkRights(authority: Authority): void {
    const { presence, output, fail } = this.#options;
    for (const [key, place] of [...this.#places]) {
      const { address, member } = place;
      const channel = channelOf(address);
      if (authority.may("presence", channel) && mayBe(authority, member)) continue;
      this.#places.delete(key);
      this.#lost.add(place);
      output.send({ op: "left", channel, member, reason: "forbidden" });
      presence.leave(this, place).catch(fail);
    }
  }

  /** The socket has ended: its members may come back by another. */
  close(): void {
    for (const place of this.#places.values()) this.#options.presence.lose(this, place);
    this.#places.clear();
  }
}

/** Whom a message is about, where that is allowed. */
function placeOf(
  authority: Authority,
  { channel, member }: Pick<MessageOf<"enter">, "channel" | "member">,
): Place {
  const address = addressOf(authority.tenant, parseChannel(channel));
  authority.require("presence", channelOf(address));
  return { address, member: memberOf(authority, member) };
}

function keyOf({ address, member }: Place): string {
  return `${address}\0${member}`;
}
