import { withinLimit } from "../shared/time_limit.ts";

/** Answers that are still being sent. */
export class OpenResponses {
  readonly #answers = new Set<Promise<unknown>>();

  /** @param completed settles when the answer is sent or its client has gone (`ServeHandlerInfo`). */
  add(completed: unknown): void {
    if (!(completed instanceof Promise)) return; // where the runtime doesn't say
    this.#answers.add(completed);
    const forget = () => void this.#answers.delete(completed);
    completed.then(forget, forget);
  }

  /** Resolves when all of them are sent, or after `limit` ms. */
  async allSent(limit: number): Promise<void> {
    await withinLimit(Promise.allSettled(this.#answers), limit);
  }
}
