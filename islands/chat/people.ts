import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Member, Presence, Weir } from "../../lib/client/api.ts";
import { isRetryable } from "../../lib/client/core/errors.ts";
import type { Author } from "./lines.ts";
import { nameIn } from "../person_name.ts";
import { reasonOf } from "../reason.ts";
import { channelOf } from "./room_name.ts";

interface Person {
  readonly member: string;
  readonly name: string;
  readonly isMe: boolean;
}

/** The people in a room, including the visitor. */
export class People implements Disposable {
  readonly #presence: Presence;
  readonly #author: Author;
  readonly #present: Signal<readonly Person[]> = signal([]);
  readonly #problem: Signal<string | undefined> = signal(undefined);
  readonly #unwatch: () => void;

  constructor(weir: Pick<Weir, "presence">, room: string, author: Author) {
    this.#presence = weir.presence(channelOf(room));
    this.#author = author;
    this.#unwatch = this.#presence.members.subscribe((members) => {
      this.#present.value = peopleOf(members, author);
    });
  }

  /** The visitor first, then the others in the order in which they joined. */
  get present(): ReadonlySignal<readonly Person[]> {
    return this.#present;
  }

  /** Why others cannot see the visitor. */
  get problem(): ReadonlySignal<string | undefined> {
    return this.#problem;
  }

  /** Joins the room under this name. All tabs of the visitor count as one person. */
  async enter(name: string): Promise<void> {
    const { member, subject } = this.#author;
    try {
      await this.#presence.enter({ name }, { member: subject ?? member });
      this.#problem.value = undefined;
    } catch (cause) {
      this.#problem.value = reasonOf(cause);
    }
  }

  [Symbol.dispose](): void {
    this.#unwatch();
    this.#presence.leave().catch((cause) => {
      // Without a connection the visitor leaves the room anyway.
      if (!isRetryable(cause)) this.#problem.value = reasonOf(cause);
    });
  }
}

export function peopleOf(members: readonly Member[], author: Author): readonly Person[] {
  const { member: own, subject } = author;
  // The server marks the ids of anonymous members, so that they differ from all subjects.
  const isMine = (member: string) =>
    subject === undefined ? member === own || member === `~${own}` : member === subject;
  const people = members.map(({ member, data }) => ({
    member,
    name: nameIn(data) ?? member,
    isMe: isMine(member),
  }));
  return [...people.filter(({ isMe }) => isMe), ...people.filter(({ isMe }) => !isMe)];
}
