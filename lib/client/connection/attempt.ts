import { deadline } from "../../shared/async/deadline.ts";
import { closedError, isCredentialError, toRequestError } from "../core/errors.ts";
import type { TransportName } from "../core/state.ts";
import type { WeirError } from "../core/weir_error.ts";
import type { ConnectionContext, OpenTransport, Transport, TransportHost } from "./transport.ts";

/** How an attempt ended. */
export interface AttemptEnd {
  readonly error: WeirError;
  /** Whether the server announced the end. */
  readonly isGoodbye?: boolean;
}

/** One try to hold a connection by one transport, from its opening to its end. */
export class Attempt {
  /** Index of the transport in the connection's list. */
  readonly index: number;
  readonly name: TransportName;
  /** Resolves once the attempt has ended, by itself or by `close()`. */
  readonly ended: Promise<AttemptEnd>;
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal;
  /** Undefined until it is open. */
  transport: Transport | undefined;
  /** Receives the reason for the end first. If it returns true, the attempt continues for now. */
  onDown: ((error: WeirError, isGoodbye: boolean) => boolean) | undefined;
  readonly #host: TransportHost;
  readonly #abort = new AbortController();
  #end = (_end: AttemptEnd) => {};

  constructor(context: ConnectionContext, index: number, name: TransportName) {
    this.index = index;
    this.name = name;
    this.ended = new Promise((resolve) => this.#end = resolve);
    this.signal = this.#abort.signal;
    this.#host = { ...context, signal: this.signal, down: this.down };
  }

  /** Gets a credential and opens the transport within `timeoutMs`. Resolves once open or ended. */
  async open(openTransport: OpenTransport, timeoutMs: number): Promise<void> {
    await Promise.race([this.#open(openTransport, timeoutMs), this.ended]);
  }

  readonly down = (error: WeirError, isGoodbye = false): void => {
    if (this.onDown?.(error, isGoodbye)) return;
    if (isCredentialError(error)) this.#host.credentials.kept = undefined;
    this.#end({ error, isGoodbye });
    this.#abort.abort();
  };

  close(): void {
    this.down(closedError());
  }

  /** The time to get a credential does not count. */
  async #open(openTransport: OpenTransport, timeoutMs: number): Promise<void> {
    const { platform, credentials, base } = this.#host;
    try {
      if (!credentials.kept) await credentials.renew();
      if (this.signal.aborted) return;
      this.transport = await deadline(openTransport(this.#host), timeoutMs, {
        signal: this.signal,
        timers: platform,
      });
    } catch (cause) {
      this.down(toRequestError(base, cause));
    }
  }
}
