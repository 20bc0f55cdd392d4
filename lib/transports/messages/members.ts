import { type Authority, KEY_PREFIX } from "../../auth/authority.ts";
import { JoinState } from "../../presence/join_state.ts";
import {
  dataBytes,
  type Member,
  memberId,
  parseMemberData,
  resolveMemberName,
} from "../../presence/member.ts";
import type { SessionKey } from "../../presence/local_members.ts";
import { NamedSession } from "../../presence/named_session.ts";
import type { Presence } from "../../presence/presence.ts";
import type { SignalSender } from "../../rtc/signal.ts";
import { channelKeyOf, channelOf, parseChannel } from "../../shared/channel.ts";
import type { Offset } from "../../shared/offset.ts";
import { Problem } from "../../shared/problem.ts";
import type { MessageClient } from "./client.ts";
import type { MessageOf } from "./message.ts";
import type { MessageOutput } from "./output.ts";

/**
 * Members of one connection, each session of a member counted. Guards against one client that fills the
 * presence of all channels.
 */
const MAX_MEMBERSHIPS = 100;

/** The presence as connections use it. */
export type MemberPresence = Pick<
  Presence,
  "join" | "leave" | "endSession" | "disconnect" | "hasSession"
>;

interface ClientMembersOptions {
  readonly presence: MemberPresence;
  readonly client: Pick<MessageClient, "published">;
  readonly output: Pick<MessageOutput, "send">;
  /** Called with failures that answer no message. */
  readonly fail: (cause: unknown) => void;
}

/** A session of a member, as which the connection has joined, or asks to join. */
interface Membership {
  readonly member: Member;
  readonly session: SessionKey;
  readonly state: JoinState;
}

/** The members as which one connection is present. */
export class ClientMembers {
  readonly #options: ClientMembersOptions;
  readonly #memberships = new Map<string, Membership>();
  /** Members that were removed because the credential lost the right. */
  readonly #revoked = new WeakSet<Member>();

  constructor(options: ClientMembersOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#memberships.size === 0;
  }

  /**
   * Joins as the message says, and answers it.
   *
   * @throws {Problem} `bad_channel`, `bad_member`, `channel_reserved`, `event_too_large`,
   * `forbidden`, `presence_full`, `rate_limited`, `too_many_channels`, `too_many_sessions`,
   * `contended`, `commit_unknown`, `overloaded`, `storage_*`, `shutting_down`
   */
  async join(authority: Authority, message: MessageOf<"enter">): Promise<void> {
    const { presence, client, output } = this.#options;
    const { ref } = message;
    const requested = memberOf(authority, message);
    const data = parseMemberData(message.data);
    client.published(authority, 1, dataBytes(data));
    const id = membershipId(requested, message.session);
    const known = this.#memberships.get(id);
    if (known === undefined && this.#memberships.size >= MAX_MEMBERSHIPS) {
      throw new Problem(
        "too_many_channels",
        `A connection can be at most ${MAX_MEMBERSHIPS} members.`,
      );
    }
    const membership = known ??
      { member: requested, session: this.#sessionOf(message), state: new JoinState() };
    this.#memberships.set(id, membership);
    const { member, session, state } = membership;
    state.start();
    let offset: Offset;
    try {
      offset = await presence.join(session, member, data);
      if (this.#revoked.has(member)) {
        throw new Problem("forbidden", "The credential lost the right while the member joined.");
      }
    } catch (cause) {
      const isOut = state.refuse();
      if (isOut && this.#memberships.get(id) === membership) this.#memberships.delete(id);
      throw cause;
    }
    state.accept();
    const channel = channelOf(member.channelKey);
    output.send({ op: "entered", ref, channel, member: member.name, offset });
  }

  /** Leaves as the message says, and answers it. @throws {Problem} as {@link join} does */
  async leave(authority: Authority, message: MessageOf<"leave">): Promise<void> {
    const { presence, client, output } = this.#options;
    const member = memberOf(authority, message);
    client.published(authority, 1, 0);
    const { session } = message;
    this.#memberships.delete(membershipId(member, session));
    if (session === undefined) await presence.leave(this, member);
    else await presence.endSession({ member, sessionName: session });
    output.send({ op: "left", ref: message.ref });
  }

  /**
   * Returns who publishes to the channel. Where the credential does not tell, it is the member as
   * which the client is present there, if it is only one.
   */
  publisherOf(authority: Authority, channel: string): string | undefined {
    const { kind, subject } = authority.grant;
    const isProven = kind === "key" || subject !== undefined;
    if (isProven || this.#memberships.size === 0) return authority.publisher;
    const names = new Set<string>();
    for (const { member, state } of this.#memberships.values()) {
      if (state.isJoined && channelOf(member.channelKey) === channel) names.add(member.name);
    }
    const [only] = names;
    return names.size > 1 || only?.startsWith(KEY_PREFIX) ? undefined : only;
  }

  /**
   * Returns whether the client has joined as the member, by the session of that name or by one
   * without a name, and the session has not ended.
   */
  hasJoined(member: Member, sessionName: string | undefined): boolean {
    const membership = this.#memberships.get(membershipId(member, sessionName));
    return membership !== undefined && membership.state.isJoined &&
      this.#options.presence.hasSession(membership.session, member);
  }

  /** Returns the sender of a signal. @throws {Problem} if `authority` does not allow it */
  senderOf(authority: Authority, message: MessageOf<"signal">): SignalSender {
    const member = memberOf(authority, message);
    const { channel, session } = message;
    return {
      member,
      session,
      publisher: this.publisherOf(authority, channel),
      hasJoined: this.hasJoined(member, session),
    };
  }

  /** Removes the members that `authority` no longer allows, and tells the client. */
  checkRights(authority: Authority): void {
    const { presence, output, fail } = this.#options;
    for (const [id, { member, session }] of [...this.#memberships]) {
      const { channelKey, name } = member;
      const channel = channelOf(channelKey);
      if (authority.may("presence", channel) && authority.mayBeMember(name)) continue;
      this.#memberships.delete(id);
      this.#revoked.add(member);
      const named = session instanceof NamedSession && { session: session.name };
      output.send({ op: "left", channel, member: name, ...named, reason: "forbidden" });
      presence.leave(session, member).catch(fail);
    }
  }

  /** Disconnects all members, which may come back by another connection. */
  close(): void {
    const { presence } = this.#options;
    for (const { member, session } of this.#memberships.values()) {
      presence.disconnect(session, member);
    }
    this.#memberships.clear();
  }

  #sessionOf({ session }: Pick<MessageOf<"enter">, "session">): SessionKey {
    return session === undefined ? this : new NamedSession(session, true);
  }
}

/**
 * Returns the member that a message is about.
 *
 * @throws {Problem} if `authority` does not allow it
 */
function memberOf(
  authority: Authority,
  { channel, member }: Pick<MessageOf<"enter">, "channel" | "member">,
): Member {
  const channelKey = channelKeyOf(authority.tenant, parseChannel(channel));
  authority.require("presence", channelOf(channelKey));
  return { channelKey, name: resolveMemberName(authority, member) };
}

function membershipId(member: Member, sessionName = ""): string {
  return `${memberId(member)}\0${sessionName}`;
}
