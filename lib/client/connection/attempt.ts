import type { TransportName } from "../core/state.ts";
import { closedError, isCredentialError, toRequestError } from "../core/errors.ts";
import type { ConnectionContext, OpenTransport, Transport, TransportHost } from "./transport.ts";
import type { WeirError } from "../core/weir_error.ts";
import { deadline } from "../core/deadline.ts";

export interface AttemptEnd {
  readonly error: WeirError;
  /** The server said goodbye. */
  readonly isGoodbye?: boolean;
}

/** One transport, from its opening to its end. */
export class Attempt {
  /** Its place in the list of transports. */
  readonly index: number;
  readonly name: TransportName;
  /** Resolves once it has ended, by itself or by `close()`. */
  readonly ended: Promise<AttemptEnd>;
  /** Aborts when it has. */
  readonly signal: AbortSignal;
  /** None until it is open. */
  transport: Transport | undefined;
  readonly #host: TransportHost;
  readonly #abort = new AbortController();
  #end = (_ended: AttemptEnd) => {};

  constructor(shared: ConnectionContext, index: number, name: TransportName) {
    this.index = index;
    this.name = name;
    this.ended = new Promise((resolve) => this.#end = resolve);
    this.signal = this.#abort.signal;
    this.#host = { ...shared, signal: this.signal, down: this.down };
  }

  /** Opens the transport, or ends. */
  async open(opener: OpenTransport, limit: number): Promise<void> {
    await Promise.race([this.#open(opener, limit), this.ended]);
  }

  readonly down = (error: WeirError, isGoodbye = false): void => {
    if (isCredentialError(error)) this.#host.credentials.kept = undefined;
    this.#end({ error, isGoodbye });
    this.#abort.abort();
  };

  close(): void {
    this.down(closedError());
  }

  /** Asks for a credential and opens the transport, which gets `limit` ms for it. */
  async #open(opener: OpenTransport, limit: number): Promise<void> {
    const { platform, credentials, base } = this.#host;
    try {
      if (!credentials.kept) await credentials.renew();
      if (this.signal.aborted) return;
      this.transport = await deadline(platform, limit, opener(this.#host), this.signal);
    } catch (cause) {
      this.down(toRequestError(base, cause));
    }
  }
}
