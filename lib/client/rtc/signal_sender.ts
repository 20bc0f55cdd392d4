import { pause } from "../../shared/async/delay.ts";
import type { Link } from "../core/link.ts";
import { retryCall } from "../core/retry_call.ts";
import { WeirError } from "../core/weir_error.ts";
import type { Signal } from "./signal.ts";

/** Wait after the server did not know this client's session, which it enters again by itself. */
const NOT_A_MEMBER_MS = 250;

/** Who signals, and to whom. */
interface SignalRoute {
  readonly channel: string;
  readonly member: string;
  readonly session: string;
  readonly to: string;
  readonly toSession: string;
}

/**
 * Sends signals to one session, each once the one before is stored, so that a retry cannot change
 * their order. What gathers meanwhile is sent together.
 */
export class SignalSender {
  readonly #link: Link;
  readonly #route: SignalRoute;
  readonly #onError: (error: WeirError) => void;
  readonly #end = new AbortController();
  #waiting: Signal[] = [];
  #isSending = false;

  /** Whether signals wait, or are on their way. */
  get isSending(): boolean {
    return this.#isSending;
  }

  constructor(link: Link, route: SignalRoute, onError: (error: WeirError) => void) {
    this.#link = link;
    this.#route = route;
    this.#onError = onError;
  }

  send(signal: Signal): void {
    const last = this.#waiting.at(-1);
    if (last?.id === signal.id && last.for === signal.for && !signal.description && !signal.begin) {
      const candidates = [...last.candidates ?? [], ...signal.candidates ?? []];
      this.#waiting[this.#waiting.length - 1] = { ...last, ...signal, candidates };
    } else this.#waiting.push(signal);
    if (!this.#isSending) void this.#run();
  }

  close(): void {
    this.#waiting = [];
    this.#end.abort();
  }

  /**
   * Sends data at once, apart from the signals of the connection. Resolves when it is stored.
   *
   * @throws {WeirError} `no_such_member` if the session has left, `closed`, and what the server says
   */
  async deliver(data: unknown): Promise<void> {
    const { signal } = this.#end;
    const call = { op: "signal", ...this.#route, data } as const;
    for (;;) {
      try {
        return void await retryCall(this.#link, () => this.#link.call(call), { signal });
      } catch (cause) {
        // Links throw nothing else.
        if (signal.aborted || (cause as WeirError).code !== "not_a_member") throw cause;
        await pause(NOT_A_MEMBER_MS, { signal });
      }
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    this.#isSending = true;
    await undefined; // candidates of the same turn go along
    for (let data; (data = this.#waiting.shift()) && !signal.aborted;) {
      try {
        await this.deliver(data);
      } catch (cause) {
        if (signal.aborted) break;
        const { code } = cause as WeirError;
        if (code === "no_such_member") this.#waiting = []; // it has left
        else if (code !== "closed") this.#onError(cause as WeirError);
      }
    }
    this.#isSending = false;
  }
}
