import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

/** The shortest interval between two typing events of a visitor. */
export const SEND_INTERVAL_MS = 2_000;
/** How long a typing event is shown. */
export const SHOW_MS = 4_000;
/** Names shown at most. Guards against a line that grows with the room. */
const MAX_NAMES = 3;

/** Sends typing events of the visitor at a limited rate. */
export class TypingSender {
  readonly #send: () => void;
  #last = -Infinity;

  constructor(send: () => void) {
    this.#send = send;
  }

  /** Sends an event unless one was sent recently. @param now milliseconds of a monotonic clock */
  typed(now: number): void {
    if (now - this.#last < SEND_INTERVAL_MS) return;
    this.#last = now;
    this.#send();
  }

  /** The message was sent: the next key press sends an event at once. */
  reset(): void {
    this.#last = -Infinity;
  }
}

interface Typing {
  readonly name: string;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The people who are typing, by their recent typing events. */
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

  /** Removes a person whose message has arrived. */
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

/** Returns `Ann is typing…`, or an empty text if nobody is. */
export function typingText(names: readonly string[]): string {
  const [first, second, third] = names;
  if (first === undefined) return "";
  if (second === undefined) return `${first} is typing…`;
  if (third === undefined) return `${first} and ${second} are typing…`;
  return names.length > MAX_NAMES
    ? "Several people are typing…"
    : `${first}, ${second} and ${third} are typing…`;
}
