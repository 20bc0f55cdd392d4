import type { Link } from "../core/link.ts";
import { onAbort } from "../core/on_abort.ts";
import { canCall, retryCall } from "../core/retry_call.ts";
import { telling } from "./telling.ts";
import { WeirError } from "../core/weir_error.ts";

type OnError = (error: WeirError) => unknown;

/** Of each client, those that are and those that are coming to their end. */
const MEMBERSHIPS = new WeakMap<Link, Set<Membership>>();

/** One of the application's places in a channel: one member at a time, or none. */
export class MembershipHolder {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: OnError;
  #membership: Membership | undefined;

  constructor(link: Link, channel: string, onError: OnError) {
    this.#link = link;
    this.#channel = channel;
    this.#onError = onError;
  }

  async enter(data: unknown, asked: string | undefined, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const own = this.#membership;
    const member = asked ?? own?.member;
    if (own && own.member !== member) await this.leave();
    const membership = this.#membership = this.#membershipOf(member);
    const entered = membership.enter(this, data);
    await new Promise<void>((resolve, reject) => {
      const forget = onAbort(signal, () => {
        reject(signal?.reason);
        this.leave().catch(this.#onError);
      });
      entered.then(resolve, reject).finally(() => forget());
    });
  }

  async leave(): Promise<void> {
    const left = this.#membership;
    this.#membership = undefined;
    await left?.leave(this);
  }

  #membershipOf(member: string | undefined): Membership {
    const all = MEMBERSHIPS.get(this.#link) ?? new Set();
    MEMBERSHIPS.set(this.#link, all);
    for (const one of all) if (one.is(this.#channel, member)) return one;
    return new Membership(this.#link, this.#channel, member, this.#onError, all);
  }
}

/** The server's answer, as far as it counts here. */
interface Entered {
  readonly member?: string;
  /** Milliseconds; none where the member is there as long as the connection. */
  readonly expiresIn?: number;
}

/**
 * That this client is one member of a channel: kept true while there are holders. One call is under
 * way at a time.
 */
class Membership {
  readonly channel: string;
  /** As given, or as the server said: over HTTP it has to be named. */
  member: string | undefined;
  readonly #asked: string | undefined;
  readonly #link: Link;
  readonly #onError: OnError;
  /** It is among them as long as calls may be under way. */
  readonly #all: Set<Membership>;
  readonly #holders = new Set<MembershipHolder>();
  /** As it is to be, and as the server has it. */
  #data: unknown;
  #accepted: unknown;
  /** Numbers of the enters so far, and of the last one that is done. */
  #enters = 0;
  #done = 0;
  #underWay = 0;
  #newest: Promise<void> = Promise.resolve();
  #last: Promise<unknown> = Promise.resolve();
  /** Whether sessions that the server may have are over HTTP: one way, the other, or both. */
  readonly #ways = new Set<boolean>();
  #renewal: ReturnType<typeof setTimeout> | undefined;
  /** Aborts when there are no holders any more. */
  #life: AbortController | undefined;

  constructor(
    link: Link,
    channel: string,
    member: string | undefined,
    onError: OnError,
    all: Set<Membership>,
  ) {
    this.channel = channel;
    this.member = this.#asked = member;
    this.#link = link;
    this.#onError = onError;
    this.#all = all.add(this);
  }

  /** @param asked none: as whom the credential makes it. */
  is(channel: string, asked: string | undefined): boolean {
    return this.channel === channel && (this.member === asked || this.#asked === asked);
  }

  /** With other data it is an update, of all holders'; without, it is as it was. */
  async enter(holder: MembershipHolder, data: unknown): Promise<void> {
    const isNew = !this.#holders.has(holder);
    this.#holders.add(holder);
    if (data !== undefined) this.#data = data;
    const { signal } = this.#life ??= this.#begin();
    try {
      await (this.#newest = this.#enter(signal));
    } catch (cause) {
      if (this.#underWay > 0) return await this.#newest; // which took its place
      if (isNew) this.#holders.delete(holder);
      if (this.#holders.size === 0) this.#forget();
      else { // what was before goes on
        this.#data = this.#accepted;
        this.#enterAgain(signal);
      }
      throw cause;
    }
  }

  async leave(holder: MembershipHolder): Promise<void> {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    this.#end();
    try {
      await this.#inTurn(() => {
        const leave = () => this.#leave();
        // Without a connection the member goes by itself.
        return canCall(this.#link.state.value) ? retryCall(this.#link, leave) : leave();
      });
    } finally {
      if (this.#holders.size === 0) this.#all.delete(this);
    }
  }

  #begin(): AbortController {
    const life = new AbortController();
    const { signal } = life;
    const { state, left } = this.#link;
    onAbort(
      signal,
      state.subscribe((state) => {
        if (canCall(state)) this.#enterAgain(signal);
        else if (state.status === "closed") clearTimeout(this.#renewal);
      }),
    );
    const unhear = left?.subscribe(({ channel, member, reason }) => {
      if (channel !== this.channel || member !== this.member) return;
      if (this.#underWay > 0) return; // which is refused then
      this.#forget();
      this.#onError(new WeirError(String(reason), `${member} may not be in ${channel} any more.`));
    });
    if (unhear) onAbort(signal, unhear);
    return life;
  }

  async #enter(signal: AbortSignal): Promise<void> {
    const number = ++this.#enters;
    this.#underWay++;
    try {
      await this.#inTurn(async () => {
        if (this.#done >= number) return; // it went along with one before
        let enters = 0;
        let data: unknown;
        const enter = telling(this.#onError, () => {
          enters = this.#enters;
          data = this.#data;
          return this.#link.call({ op: "enter", ...this.#whom, ...data !== undefined && { data } });
        });
        const { member, expiresIn } = await retryCall(this.#link, enter, { signal }) as Entered;
        this.member ??= member;
        this.#ways.add(expiresIn !== undefined);
        clearTimeout(this.#renewal);
        if (signal.aborted) return;
        this.#done = enters;
        this.#accepted = data;
        if (expiresIn === undefined) return;
        this.#renewal = setTimeout(() => this.#enterAgain(signal), expiresIn / 2);
      });
    } catch (cause) {
      if (!signal.aborted) throw cause; // else it has left
    } finally {
      this.#underWay--;
    }
  }

  #enterAgain(signal: AbortSignal): void {
    if (this.#underWay > 0) return; // the same
    this.#enter(signal).catch((error: WeirError) => {
      if (this.#underWay > 0) return; // which tells
      this.#forget();
      this.#onError(error);
    });
  }

  async #leave(): Promise<void> {
    const ways = this.#ways.size > 0 ? [...this.#ways] : [false]; // an answer may have been lost
    try {
      for (const isByHttp of ways) {
        if (this.#holders.size > 0) return; // one has come again
        await this.#link.call({ op: "leave", ...this.#whom, ...isByHttp && { isByHttp } });
        this.#ways.delete(isByHttp);
      }
    } catch (cause) {
      // Else the connection is gone, and the member with it.
      if (!(cause instanceof WeirError) || cause.code !== "unreachable") throw cause;
    }
  }

  get #whom(): { readonly channel: string; readonly member?: string } {
    const { channel, member } = this;
    return { channel, ...member !== undefined && { member } };
  }

  #inTurn<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(act);
    this.#last = turn.catch(() => {}); // told to whom it concerns
    return turn;
  }

  #forget(): void {
    this.#end();
    this.#all.delete(this);
  }

  #end(): void {
    this.#holders.clear();
    this.#data = this.#accepted = undefined;
    clearTimeout(this.#renewal);
    this.#life?.abort();
    this.#life = undefined;
  }
}
