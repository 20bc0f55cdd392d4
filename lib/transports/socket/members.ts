import type { Authority } from "../../auth/authority.ts";
import {
  dataBytes,
  mayUseMember,
  type Member,
  memberId,
  parseMemberData,
  resolveMemberName,
} from "../../presence/member.ts";
import type { Presence } from "../../presence/presence.ts";
import { channelKeyOf, channelOf, parseChannel } from "../../shared/channel.ts";
import { Problem } from "../../shared/problem.ts";
import type { SocketClient } from "./client.ts";
import type { MessageOf } from "./message.ts";
import type { SocketOutput } from "./output.ts";

/** Members that one socket is. Met: one socket that fills everyone's presence. */
const MAX_MEMBERSHIPS = 100;

export interface SocketMembersOptions {
  readonly presence: Pick<Presence, "join" | "leave" | "disconnect">;
  readonly client: Pick<SocketClient, "published">;
  readonly output: SocketOutput;
  /** Told of what failed when nobody waited for it. */
  readonly fail: (cause: unknown) => void;
}

/** A member that the socket is, or asks to be. */
interface Membership {
  readonly member: Member;
  /** It was let in. */
  isIn: boolean;
  /** `enter` messages without their answer. */
  calls: number;
}

/** The members that one socket is, in which channels. */
export class SocketMembers {
  readonly #options: SocketMembersOptions;
  readonly #memberships = new Map<string, Membership>();
  /** Those that were ended since their right was lost. */
  readonly #lost = new WeakSet<Member>();

  constructor(options: SocketMembersOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#memberships.size === 0;
  }

  /**
   * @throws {Problem} `bad_channel`, `bad_member`, `channel_reserved`, `event_too_large`,
   * `forbidden`, `presence_full`, `rate_limited`, `too_many_channels`, `contended`,
   * `commit_unknown`, `overloaded`, `storage_*`, `shutting_down`
   */
  async enter(authority: Authority, message: MessageOf<"enter">): Promise<void> {
    const { presence, client, output } = this.#options;
    const { ref } = message;
    const asked = memberOf(authority, message);
    const data = parseMemberData(message.data);
    client.published(authority, dataBytes(data));
    const key = memberId(asked);
    const known = this.#memberships.get(key);
    if (known === undefined && this.#memberships.size >= MAX_MEMBERSHIPS) {
      throw new Problem(
        "too_many_channels",
        `A socket is ${MAX_MEMBERSHIPS} members at the most.`,
      );
    }
    const membership = known ?? { member: asked, isIn: false, calls: 0 };
    this.#memberships.set(key, membership);
    membership.calls++;
    const { member } = membership;
    try {
      const offset = await presence.join(this, member, data);
      if (this.#lost.has(member)) {
        throw new Problem("forbidden", "The right to this was lost while it was being done.");
      }
      membership.isIn = true;
      const { channelKey, name } = member;
      output.send({ op: "entered", ref, channel: channelOf(channelKey), member: name, offset });
    } catch (cause) {
      const isOut = !membership.isIn && membership.calls === 1;
      if (isOut && this.#memberships.get(key) === membership) this.#memberships.delete(key);
      throw cause;
    } finally {
      membership.calls--;
    }
  }

  /** @throws {Problem} as {@link enter} does */
  async leave(authority: Authority, message: MessageOf<"leave">): Promise<void> {
    const { presence, client, output } = this.#options;
    const member = memberOf(authority, message);
    client.published(authority, 0);
    this.#memberships.delete(memberId(member));
    await presence.leave(this, member);
    output.send({ op: "left", ref: message.ref });
  }

  /** Ends what `authority` doesn't allow, and says so. */
  checkRights(authority: Authority): void {
    const { presence, output, fail } = this.#options;
    for (const [key, { member }] of [...this.#memberships]) {
      const { channelKey, name } = member;
      const channel = channelOf(channelKey);
      if (authority.may("presence", channel) && mayUseMember(authority, name)) continue;
      this.#memberships.delete(key);
      this.#lost.add(member);
      output.send({ op: "left", channel, member: name, reason: "forbidden" });
      presence.leave(this, member).catch(fail);
    }
  }

  /** The socket has ended: its members may come back by another. */
  close(): void {
    for (const { member } of this.#memberships.values()) {
      this.#options.presence.disconnect(this, member);
    }
    this.#memberships.clear();
  }
}

/** Whom a message is about, where that is allowed. */
function memberOf(
  authority: Authority,
  { channel, member }: Pick<MessageOf<"enter">, "channel" | "member">,
): Member {
  const channelKey = channelKeyOf(authority.tenant, parseChannel(channel));
  authority.require("presence", channelOf(channelKey));
  return { channelKey, name: resolveMemberName(authority, member) };
}
