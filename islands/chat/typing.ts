import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

/** How often it is said that somebody types, at the most, in ms. */
export const SEND_INTERVAL_MS = 2_000;
/** How long it is shown after it was said, in ms. */
export const SHOW_MS = 4_000;
/** Names that are shown. Met: a line that grows with the room. */
const MAX_NAMES = 3;

/** Says that the visitor types, not more often than it is of use. */
export class TypingSender {
  readonly #send: () => void;
  #last = -Infinity;

  constructor(say: () => void) {
    this.#send = say;
  }

  /** Something was typed. @param now milliseconds, of a clock that does not go back */
  typed(now: number): void {
    if (now - this.#last < SEND_INTERVAL_MS) return;
    this.#last = now;
    this.#send();
  }

  /** It was sent: what is typed next is another message. */
  reset(): void {
    this.#last = -Infinity;
  }
}

interface Typing {
  readonly name: string;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Who types at the moment: each as long as it was said not long ago. */
export class Typists implements Disposable {
  readonly #names: Signal<readonly string[]> = signal([]);
  readonly #timers = new Map<string, Typing>();

  get names(): ReadonlySignal<readonly string[]> {
    return this.#names;
  }

  types(member: string, name: string): void {
    this.#forget(member);
    const timer = setTimeout(() => {
      this.#forget(member);
      this.#show();
    }, SHOW_MS);
    this.#timers.set(member, { name, timer });
    this.#show();
  }

  /** Somebody of this name has said something, so no longer types. */
  said(name: string): void {
    for (const [member, one] of this.#timers) {
      if (one.name === name) this.#forget(member);
    }
    this.#show();
  }

  [Symbol.dispose](): void {
    for (const member of [...this.#timers.keys()]) this.#forget(member);
  }

  #forget(member: string): void {
    clearTimeout(this.#timers.get(member)?.timer);
    this.#timers.delete(member);
  }

  #show(): void {
    const names = [...this.#timers.values()].map(({ name }) => name);
    if (names.join("\n") !== this.#names.peek().join("\n")) this.#names.value = names;
  }
}

/** `Ann is typing…`; empty where nobody does. */
export function typingText(names: readonly string[]): string {
  const [first, second, third] = names;
  if (first === undefined) return "";
  if (second === undefined) return `${first} is typing…`;
  if (third === undefined) return `${first} and ${second} are typing…`;
  return names.length > MAX_NAMES
    ? "Several people are typing…"
    : `${first}, ${second} and ${third} are typing…`;
}
