import { pause } from "./shared/async/delay.ts";

const PREFIX = "WEIR_INTERNAL_ISOLATE_";
/** Between two checks whether other isolates are still running. */
const CHECK_INTERVAL_MS = 10;

/**
 * The isolates of one process (`deno serve --parallel`), which end together: the first that exits
 * takes the others along. They see each other by the process's environment, which they share.
 */
export class Siblings {
  readonly #name = `${PREFIX}${crypto.randomUUID()}`;
  // A child process that inherits the environment has another.
  readonly #process = String(Deno.pid);

  /** From here on the others wait for this isolate. */
  constructor() {
    Deno.env.set(this.#name, this.#process);
  }

  /**
   * This isolate has done its own part. Resolves when all the others have too.
   *
   * @param wait for the next check whether they are still running.
   */
  async leave(wait = () => pause(CHECK_INTERVAL_MS)): Promise<void> {
    Deno.env.delete(this.#name);
    while (this.#othersAreThere()) await wait();
  }

  #othersAreThere(): boolean {
    return Object.entries(Deno.env.toObject())
      .some(([name, process]) => name.startsWith(PREFIX) && process === this.#process);
  }
}
