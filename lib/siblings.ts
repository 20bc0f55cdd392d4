import { pause } from "./shared/async/delay.ts";

const PREFIX = "WEIR_INTERNAL_ISOLATE_";
/** Milliseconds between two checks for isolates that still run. */
const CHECK_INTERVAL_MS = 10;

/**
 * Lets the isolates of one process (`deno serve --parallel`) wait for each other when they stop,
 * because the first that exits ends the process. Each isolate has a variable in the process's
 * environment, which all of them share.
 */
export class Siblings {
  readonly #name = `${PREFIX}${crypto.randomUUID()}`;
  // Distinguishes this process from a parent whose environment it inherits.
  readonly #processId = String(Deno.pid);

  /** Makes the others wait for this isolate. */
  constructor() {
    Deno.env.set(this.#name, this.#processId);
  }

  /**
   * Records that this isolate is ready to exit. Resolves when all others are, too.
   *
   * @param wait waits before the next check
   */
  async leave(wait = () => pause(CHECK_INTERVAL_MS)): Promise<void> {
    Deno.env.delete(this.#name);
    while (this.others > 0) await wait();
  }

  /** Returns how many other isolates of the process run. */
  get others(): number {
    return Object.entries(Deno.env.toObject()).filter(([name, processId]) =>
      name.startsWith(PREFIX) && name !== this.#name && processId === this.#processId
    ).length;
  }
}
