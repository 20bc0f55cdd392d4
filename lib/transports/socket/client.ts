import type { Authority } from "../../auth/authority.ts";

/** Who is at the other end of a socket. */
export interface SocketClient {
  /** None: the first frame brings a credential. */
  readonly authority: Authority | undefined;
  /**
   * What a credential allows. Counts the look at it.
   *
   * @param by who the client is until now.
   * @throws {Problem} why the credential is refused; `rate_limited`
   */
  authenticate(credential: string, by: Authority | undefined): Promise<Authority>;
  /**
   * From now on it is `authority`.
   *
   * @throws {Problem} `too_many_connections`: then it stays who it was.
   */
  admitted(authority: Authority): void;
  /** Counts a publish by `authority`. @throws {Problem} `rate_limited` */
  published(authority: Authority, bytes: number): void;
  /** Counts subscriptions by `authority`. @throws {Problem} `rate_limited` */
  subscribed(authority: Authority, channels: number): void;
  /** Told what `authority` asked for without the right to it. */
  denied(authority: Authority, detail: string): void;
  /** Called once the socket has ended. */
  left(): void;
}
