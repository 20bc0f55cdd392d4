import type { EnterOptions } from "../api.ts";
import type { Link } from "../core/link.ts";
import { onAbort } from "../core/on_abort.ts";
import type { WeirError } from "../core/weir_error.ts";
import { Membership } from "./membership.ts";

/** The memberships of each client, until they have ended. */
const MEMBERSHIPS = new WeakMap<Link, Set<Membership>>();

/**
 * One presence of the application in a channel. It holds at most one membership, which it may share
 * with other holders.
 */
export class MembershipHolder {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: (error: WeirError) => unknown;
  #membership: Membership | undefined;

  constructor(link: Link, channel: string, onError: (error: WeirError) => unknown) {
    this.#link = link;
    this.#channel = channel;
    this.#onError = onError;
  }

  async enter(
    data: unknown,
    { member: requestedMember, session: requestedSession, signal }: EnterOptions,
  ): Promise<void> {
    signal?.throwIfAborted();
    const current = this.#membership;
    const member = requestedMember ?? current?.member;
    const session = requestedSession ?? current?.session;
    if (current && (current.member !== member || current.session !== session)) await this.leave();
    const membership = this.#membership = this.#findMembership(member, session);
    const entered = membership.enter(this, data);
    await new Promise<void>((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        reject(signal?.reason);
        this.leave().catch(this.#onError);
      });
      entered.then(resolve, reject).finally(() => removeListener());
    });
  }

  async leave(): Promise<void> {
    const membership = this.#membership;
    this.#membership = undefined;
    await membership?.leave(this);
  }

  #findMembership(member: string | undefined, session: string | undefined): Membership {
    const memberships = MEMBERSHIPS.get(this.#link) ?? new Set();
    MEMBERSHIPS.set(this.#link, memberships);
    for (const one of memberships) if (one.is(this.#channel, member, session)) return one;
    const membership: Membership = new Membership({
      link: this.#link,
      channel: this.#channel,
      member,
      session,
      onError: this.#onError,
      onEnd: () => memberships.delete(membership),
    });
    memberships.add(membership);
    return membership;
  }
}
