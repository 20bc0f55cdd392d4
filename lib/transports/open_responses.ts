import { waitAtMost } from "../shared/async/deadline.ts";

/** Tracks the responses that are still being sent. */
export class OpenResponses {
  readonly #responses = new Set<Promise<unknown>>();

  /** @param completed settles when the response is sent or its client has gone (`ServeHandlerInfo`) */
  add(completed: unknown): void {
    if (!(completed instanceof Promise)) return; // not every runtime has it
    this.#responses.add(completed);
    const forget = () => void this.#responses.delete(completed);
    completed.then(forget, forget);
  }

  /**
   * Returns a handle that, once disposed of, disposes of `connection` as soon as the response is
   * sent. Guards against clients that don't read answers, so that they hold more connections than
   * they may.
   */
  untilSent(completed: unknown, connection: Disposable): Disposable {
    if (!(completed instanceof Promise)) return connection;
    const release = () => connection[Symbol.dispose]();
    return { [Symbol.dispose]: () => void completed.then(release, release) };
  }

  /** Resolves when all responses are sent, but after `timeoutMs` at the latest. */
  async allSent(timeoutMs: number): Promise<void> {
    await waitAtMost(Promise.allSettled(this.#responses), timeoutMs);
  }
}
