import { isOffset } from "../shared/offset.ts";
import type { Member, Observable, Presence } from "./api.ts";
import { inPath } from "./in_path.ts";
import type { Link } from "./link.ts";
import { onAbort } from "./on_abort.ts";
import { Value } from "./observable.ts";
import { badAnswer } from "./refusal.ts";
import { isCallable, isPassing, repeated } from "./repeated.ts";
import type { WeirError } from "./weir_error.ts";

type OnError = (error: WeirError) => unknown;

/** @param tell told of refusals that come when nobody waits for an answer. */
export function makePresence<T>(link: Link, channel: string, tell: OnError): Presence<T> {
  const onError = (error: WeirError) => error.code === "closed" || tell(error);
  const membership = new Membership(link, channel, onError);
  return {
    members: new MemberList<T>(link, channel, onError),
    enter: (data, { member } = {}) =>
      membership.enter({
        ...(member !== undefined && { member }),
        ...(data !== undefined && { data }),
      }),
    leave: () => membership.leave(),
  };
}

type Known<T> = Member<T> & { readonly offset: string };

interface Snapshot<T> {
  readonly members: readonly Known<T>[];
  readonly cursor: string;
}

/** A snapshot and the changes after it, read while there are listeners. */
class MemberList<T> implements Observable<readonly Member<T>[]> {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: OnError;
  readonly #list = new Value<readonly Member<T>[]>([]);
  #listeners = 0;
  #members = new Map<string, Known<T>>();
  #isTelling = false;
  #reading = new AbortController();

  constructor(link: Link, channel: string, onError: OnError) {
    this.#link = link;
    this.#channel = channel;
    this.#onError = onError;
  }

  get value(): readonly Member<T>[] {
    return this.#list.value;
  }

  subscribe(listener: (members: readonly Member<T>[]) => void): () => void {
    let end: (() => void) | undefined = this.#list.subscribe(listener);
    if (this.#listeners++ === 0) {
      this.#reading = new AbortController();
      void this.#read(this.#reading.signal);
    }
    return () => {
      if (end === undefined) return;
      end();
      end = undefined;
      if (--this.#listeners === 0) this.#reading.abort();
    };
  }

  async #read(signal: AbortSignal): Promise<void> {
    const get = () => {
      const path = `/v1/channels/${inPath(this.#channel)}/members`;
      return this.#link.call({ op: "get", path }, signal);
    };
    try {
      const answer = await repeated(this.#link, get, { signal });
      if (!Array.isArray(answer["members"]) || !isOffset(String(answer["cursor"]))) {
        throw badAnswer("The members of a channel can't be read.");
      }
      const { members, cursor } = answer as unknown as Snapshot<T>;
      this.#members = new Map(members.map((member) => [member.member, member]));
      this.#tell();
      this.#follow(cursor, signal);
    } catch (cause) {
      if (!signal.aborted) this.#onError(cause as WeirError); // links throw nothing else
    }
  }

  #follow(cursor: string, signal: AbortSignal): void {
    const feed = this.#link.feed(`$presence:${this.#channel}`, cursor, {
      started() {},
      ephemeral() {},
      event: ({ type, offset, data }) => {
        const member = data as Member<T>;
        const known = this.#members.get(member.member);
        if (known !== undefined && offset <= known.offset) return;
        if (type === "leave") this.#members.delete(member.member);
        else this.#members.set(member.member, { ...member, offset });
        this.#tell();
      },
      gap: () => {
        feed.close(); // only another snapshot helps
        void this.#read(signal);
      },
      ended: this.#onError,
    });
    onAbort(signal, () => feed.close());
  }

  /** Once for what comes in one go: a storm of arrivals is one change. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#list.set([...this.#members.values()]);
    });
  }
}

interface Wanted {
  /** As given, or as the server said: over HTTP it has to be named. */
  member?: string;
  readonly data?: unknown;
}

/** The server's answer, as far as it counts here. */
interface Entered {
  readonly member?: string;
  /** Milliseconds; none where the member is there as long as the connection. */
  readonly expiresIn?: number;
}

/** Keeps what `enter()` asked for true until `leave()`. One call is under way at a time. */
class Membership {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: OnError;
  #wanted: Wanted | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #end = () => {};

  constructor(link: Link, channel: string, onError: OnError) {
    this.#link = link;
    this.#channel = channel;
    this.#onError = onError;
  }

  async enter(wanted: Wanted): Promise<void> {
    const before = this.#wanted?.member;
    if (before !== undefined && before !== (wanted.member ??= before)) await this.leave();
    this.#forget();
    const ended = new AbortController();
    const unwatch = this.#link.state.subscribe((state) => {
      if (isCallable(state)) this.#enterAgain(wanted, ended.signal);
      else if (state.status === "closed") clearTimeout(this.#renewal);
    });
    this.#wanted = wanted;
    this.#end = () => {
      unwatch();
      ended.abort();
    };
    await this.#enter(wanted, ended.signal);
  }

  async leave(): Promise<void> {
    const left = this.#wanted;
    if (left === undefined) return;
    this.#forget();
    const { member } = left;
    const whom = { channel: this.#channel, ...(member !== undefined && { member }) };
    try {
      await this.#inTurn(() => this.#link.call({ op: "leave", ...whom }));
    } catch (cause) {
      if (!isPassing(cause)) throw cause; // else the connection is gone, and the member with it
    }
  }

  /** What was replaced or left meanwhile is done with. */
  async #enter(wanted: Wanted, signal: AbortSignal): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const enter = () => this.#link.call({ op: "enter", channel: this.#channel, ...wanted });
        const { member, expiresIn } = await repeated(this.#link, enter, { signal }) as Entered;
        clearTimeout(this.#renewal);
        if (signal.aborted) return;
        if (member !== undefined) wanted.member ??= member;
        if (expiresIn === undefined) return;
        this.#renewal = setTimeout(() => this.#enterAgain(wanted, signal), expiresIn / 2);
      });
    } catch (cause) {
      if (signal.aborted) return;
      this.#forget();
      throw cause;
    }
  }

  #enterAgain(wanted: Wanted, signal: AbortSignal): void {
    this.#enter(wanted, signal).catch(this.#onError);
  }

  #inTurn<R>(act: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(act);
    this.#last = turn.catch(() => {}); // told to whom it concerns
    return turn;
  }

  #forget(): void {
    this.#wanted = undefined;
    clearTimeout(this.#renewal);
    this.#end();
  }
}
