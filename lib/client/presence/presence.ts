import { isOffset } from "../../shared/offset.ts";
import type { Member, Presence } from "../api.ts";
import { type Observable, ObservableValue } from "../core/observable.ts";
import { channelPathSegment } from "../core/channel_path.ts";
import type { Link } from "../core/link.ts";
import { MembershipHolder } from "./membership.ts";
import { onAbort } from "../core/on_abort.ts";
import { badAnswerError } from "../core/errors.ts";
import { retryCall } from "../core/retry_call.ts";
import { telling } from "./telling.ts";
import type { WeirError } from "../core/weir_error.ts";

type OnError = (error: WeirError) => unknown;

/** @param tell told of refusals that come when nobody waits for an answer. */
export function makePresence<T>(link: Link, channel: string, tell: OnError): Presence<T> {
  const onError = (error: WeirError) => error.code === "closed" || tell(error);
  const seat = new MembershipHolder(link, channel, onError);
  return {
    members: new MemberList<T>(link, channel, onError),
    enter: (data, { member, signal } = {}) => seat.enter(data, member, signal),
    leave: () => seat.leave(),
  };
}

type MemberRow<T> = Member<T> & { readonly offset: string };

interface MemberSnapshot<T> {
  readonly members: readonly MemberRow<T>[];
  readonly cursor: string;
}

/** A snapshot and the changes after it, read while there are listeners. */
class MemberList<T> implements Observable<readonly Member<T>[]> {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: OnError;
  readonly #list = new ObservableValue<readonly Member<T>[]>([]);
  #listeners = 0;
  #members = new Map<string, MemberRow<T>>();
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
      const path = `/v1/channels/${channelPathSegment(this.#channel)}/members`;
      const answer = await this.#link.call({ op: "get", path }, signal);
      if (!Array.isArray(answer["members"]) || !isOffset(String(answer["cursor"]))) {
        throw badAnswerError("The members of a channel can't be read.");
      }
      return answer as unknown as MemberSnapshot<T>;
    });
    try {
      const { members, cursor } = await retryCall(this.#link, get, { signal });
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
