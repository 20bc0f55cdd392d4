import { isTimeoutError } from "../../shared/async/deadline.ts";
import type { TransportName } from "../core/state.ts";
import type { AttemptEnd } from "./attempt.ts";
import type { OpenTransport } from "./transport.ts";

/** After this many short connections in a row, the next transport is tried. */
const MAX_SHORT_CONNECTIONS = 3;

interface NamedTransport {
  readonly name: TransportName;
  readonly open: OpenTransport;
}

/** Decides which transport to try, by how earlier attempts ended. */
export class TransportChoice {
  /** Best first. */
  readonly choices: readonly NamedTransport[];
  /** Index of the transport to try first. */
  first = 0;
  /** Whether HTTP had no answer either, so that a transport that failed may work later. */
  wasAway = false;
  #shortConnections = 0;

  constructor(choices: readonly NamedTransport[]) {
    this.choices = choices;
  }

  /**
   * Whether to try the next transport after the one at `index` failed to open. If HTTP has no
   * answer the server is probably away, so later transports are tried only after more failures.
   *
   * @param failures how often connecting has failed in a row.
   */
  shouldTryNext({ error: { code, cause } }: AttemptEnd, index: number, failures: number): boolean {
    if (code !== "unreachable" && code !== "bad_answer") return false;
    const { name } = this.choices[index]!; // an index in the list
    if (/^web/.test(name) || isTimeoutError(cause)) return true;
    this.wasAway = true;
    return index <= failures;
  }

  /**
   * Chooses the next transport after a connection by the one at `index` ended.
   *
   * @param isBlameless whether the end says nothing against the transport.
   */
  connectionEnded(index: number, { error }: AttemptEnd, isBlameless: boolean): void {
    this.#shortConnections = isBlameless ? 0 : this.#shortConnections + 1;
    if (!isTimeoutError(error.cause) && this.#shortConnections < MAX_SHORT_CONNECTIONS) return;
    this.#shortConnections = 0;
    this.first = Math.min(index + 1, this.choices.length - 1);
  }
}
