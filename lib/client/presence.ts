import { isOffset } from "../shared/offset.ts";
import type { Member, Observable, Presence } from "./api.ts";
import { inPath } from "./in_path.ts";
import type { Link } from "./link.ts";
import { Seat } from "./membership.ts";
import { onAbort } from "./on_abort.ts";
import { Value } from "./observable.ts";
import { badAnswer } from "./refusal.ts";
import { repeated } from "./repeated.ts";
import { telling } from "./telling.ts";
import type { WeirError } from "./weir_error.ts";

type OnError = (error: WeirError) => unknown;

/** @param tell told of refusals that come when nobody waits for an answer. */
export function makePresence<T>(link: Link, channel: string, tell: OnError): Presence<T> {
  const onError = (error: WeirError) => error.code === "closed" || tell(error);
  const seat = new Seat(link, channel, onError);
  return {
    members: new MemberList<T>(link, channel, onError),
    enter: (data, { member, signal } = {}) => seat.enter(data, member, signal),
    leave: () => seat.leave(),
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
    const get = telling(this.#onError, async () => {
      const path = `/v1/channels/${inPath(this.#channel)}/members`;
      const answer = await this.#link.call({ op: "get", path }, signal);
      if (!Array.isArray(answer["members"]) || !isOffset(String(answer["cursor"]))) {
        throw badAnswer("The members of a channel can't be read.");
      }
      return answer as unknown as Snapshot<T>;
    });
    try {
      const { members, cursor } = await repeated(this.#link, get, { signal });
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
