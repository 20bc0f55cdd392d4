const PREFIX = "WEIR_INTERNAL_ISOLATE_";
/** Between two looks at who is still there, in ms. */
const INTERVAL = 10;

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
   * @param pause between two looks at who is still there.
   */
  async leave(pause = untilNextLook): Promise<void> {
    Deno.env.delete(this.#name);
    while (this.#othersAreThere()) await pause();
  }

  #othersAreThere(): boolean {
    return Object.entries(Deno.env.toObject())
      .some(([name, process]) => name.startsWith(PREFIX) && process === this.#process);
  }
}

function untilNextLook(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, INTERVAL));
}
