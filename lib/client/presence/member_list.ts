import { isOffset } from "../../shared/offset.ts";
import type { Member } from "../api.ts";
import { channelPathSegment } from "../core/channel_path.ts";
import { badAnswerError } from "../core/errors.ts";
import type { Link } from "../core/link.ts";
import { type Observable, ObservableValue } from "../core/observable.ts";
import { onAbort } from "../core/on_abort.ts";
import type { WeirError } from "../core/weir_error.ts";
import { NOBODY } from "./lazy_presence.ts";
import { retryReporting } from "./retry_reporting.ts";

type OnError = (error: WeirError) => unknown;

/** A member and the offset of its last event. */
type MemberRow<T> = Member<T> & { readonly offset: string };

interface MemberSnapshot<T> {
  readonly members: readonly MemberRow<T>[];
  readonly cursor: string;
}

/** The members of a channel: a snapshot and the changes after it, read while it has listeners. */
export class MemberList<T> implements Observable<readonly Member<T>[]> {
  readonly #link: Link;
  readonly #channel: string;
  readonly #onError: OnError;
  readonly #list = new ObservableValue<readonly Member<T>[]>(NOBODY);
  #listeners = 0;
  #members = new Map<string, MemberRow<T>>();
  #isPublishing = false;
  #reading = new AbortController();

  constructor(link: Link, channel: string, onError: OnError) {
    this.#link = link;
    this.#channel = channel;
    this.#onError = onError;
  }

  get value(): readonly Member<T>[] {
    return this.#list.value;
  }

  readonly subscribe = (listener: (members: readonly Member<T>[]) => void): () => void => {
    listener(this.value);
    return this.onChange(listener);
  };

  /** Calls `listener` after each change. Returns a function that stops it. */
  onChange(listener: (members: readonly Member<T>[]) => void): () => void {
    let unsubscribe: (() => void) | undefined = this.#list.onChange(listener);
    if (this.#listeners++ === 0) {
      this.#reading = new AbortController();
      void this.#read(this.#reading.signal);
    }
    return () => {
      if (unsubscribe === undefined) return;
      unsubscribe();
      unsubscribe = undefined;
      if (--this.#listeners === 0) this.#reading.abort();
    };
  }

  async #read(signal: AbortSignal): Promise<void> {
    const readSnapshot = async () => {
      const path = `/v1/channels/${channelPathSegment(this.#channel)}/members`;
      const answer = await this.#link.call({ op: "get", path }, signal);
      if (!Array.isArray(answer["members"]) || !isOffset(String(answer["cursor"]))) {
        throw badAnswerError("The answer has no members or no cursor.");
      }
      return answer as unknown as MemberSnapshot<T>;
    };
    try {
      const { members, cursor } = await retryReporting(
        this.#link,
        readSnapshot,
        this.#onError,
        signal,
      );
      this.#members = new Map(members.map((member) => [member.member, member]));
      this.#changed();
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
        const current = this.#members.get(member.member);
        if (current !== undefined && offset <= current.offset) return;
        if (type === "leave") this.#members.delete(member.member);
        else this.#members.set(member.member, { ...member, offset });
        this.#changed();
      },
      gap: () => {
        feed.close(); // changes are lost, so a new snapshot is needed
        void this.#read(signal);
      },
      ended: this.#onError,
    });
    onAbort(signal, () => feed.close());
  }

  /** Publishes changes that arrive together as one. */
  #changed(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    queueMicrotask(() => {
      this.#isPublishing = false;
      this.#list.set([...this.#members.values()]);
    });
  }
}
