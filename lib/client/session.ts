import { unreachable } from "./refusal.ts";
import type { Down, Host, OpenTransport, Shared, Transport } from "./transport.ts";
import type { WeirError } from "./weir_error.ts";

export interface Ended extends Down {
  readonly error: WeirError;
}

/** One transport, from its opening to its end. */
export class Session {
  /** Its place in the list of transports. */
  readonly index: number;
  /** Resolves once it has ended, by itself or by `close()`. */
  readonly ended: Promise<Ended>;
  /** None until it is open. */
  transport: Transport | undefined;
  readonly #host: Host;
  readonly #abort = new AbortController();
  #end = (_ended: Ended) => {};

  constructor(shared: Shared, index: number) {
    this.index = index;
    this.ended = new Promise((resolve) => this.#end = resolve);
    this.#host = { ...shared, signal: this.#abort.signal, down: this.down };
  }

  get hasEnded(): boolean {
    return this.#abort.signal.aborted;
  }

  /**
   * Asks for a credential and opens the transport, which gets `limit` ms for it.
   *
   * @throws {WeirError}
   */
  async open(opener: OpenTransport, limit: number): Promise<void> {
    const { platform, credentials, base } = this.#host;
    let timer: unknown;
    const ended = this.ended.then(({ error }) => Promise.reject(error));
    try {
      await Promise.race([credentials.renew(), ended]);
      const late = unreachable(`No answer from ${base.origin} in ${limit} ms: is the URL right?`);
      timer = platform.setTimeout(() => this.down(late, { isSilent: true }), limit);
      this.transport = await Promise.race([opener(this.#host), ended]);
    } catch (cause) {
      this.close();
      throw cause;
    } finally {
      platform.clearTimeout(timer);
    }
  }

  readonly down = (error: WeirError, how: Down = {}): void => {
    this.#end({ error, ...how });
    this.#abort.abort();
  };

  close(): void {
    this.down(unreachable("The connection was closed."));
  }
}
