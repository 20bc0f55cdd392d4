import type { Authority } from "../../auth/authority.ts";

/** The client of one connection that speaks `weir.v1`: its credentials and its limits. */
export interface MessageClient {
  /** Undefined until the first message brings a credential. */
  readonly authority: Authority | undefined;
  /**
   * Verifies a credential. Counts the attempt against the limits.
   *
   * @param by what the client may do until now
   * @throws {Problem} the reason why the credential is refused; `rate_limited`
   */
  authenticate(credential: string, by: Authority | undefined): Promise<Authority>;
  /**
   * Gives the client another authority.
   *
   * @throws {Problem} `too_many_connections`: the client then keeps the authority that it has
   */
  admitted(authority: Authority): void;
  /** Counts a publish by `authority`. @throws {Problem} `rate_limited` */
  published(authority: Authority, events: number, bytes: number): void;
  /** Counts subscriptions by `authority`. @throws {Problem} `rate_limited` */
  subscribed(authority: Authority, channels: number): void;
  /** Records that `authority` asked for something that it has no right to. */
  denied(authority: Authority, detail: string): void;
  /** Called when the connection is closed because the client floods it. */
  flooded(): void;
  /** Called when the connection is really closed, perhaps more than once. */
  left(): void;
}
