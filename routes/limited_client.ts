import type { Access } from "../lib/auth/access.ts";
import type { Authority } from "../lib/auth/authority.ts";
import type { Requester } from "../lib/auth/caller.ts";
import type { CountedConnection } from "../lib/auth/connection_limiter.ts";
import type { MessageClient } from "../lib/transports/messages/client.ts";
import { countRefused } from "./access.ts";

type ClientAccess = Pick<Access, "audit" | "credentials" | "limiter">;

/** Counts the messages of a client of `weir.v1` against its limits. */
export class LimitedClient implements MessageClient {
  readonly authority: Authority | undefined;
  readonly #access: ClientAccess;
  readonly #ip: string;
  #connection: CountedConnection;

  constructor(access: ClientAccess, { authority, ip }: Requester, connection: CountedConnection) {
    this.authority = authority;
    this.#access = access;
    this.#ip = ip;
    this.#connection = connection;
  }

  async authenticate(credential: string, by: Authority | undefined): Promise<Authority> {
    this.#access.limiter.subscribe({ authority: by, ip: this.#ip }, 1);
    try {
      return await this.#access.credentials.verify(credential, this.#ip);
    } catch (cause) {
      return countRefused(this.#access, this.#ip, cause);
    }
  }

  admitted(authority: Authority): void {
    const requester = { authority, ip: this.#ip };
    this.#connection = this.#access.limiter.connect(requester, this.#connection);
  }

  published(authority: Authority, events: number, bytes: number): void {
    this.#access.limiter.publish({ authority, ip: this.#ip }, events, bytes);
  }

  subscribed(authority: Authority, channels: number): void {
    this.#access.limiter.subscribe({ authority, ip: this.#ip }, channels);
  }

  denied(authority: Authority, detail: string): void {
    this.#access.audit.recordDenial({ authority, ip: this.#ip }, detail);
  }

  flooded(): void {
    this.#access.limiter.flooded(this.#ip);
  }

  left(): void {
    this.#connection[Symbol.dispose]();
  }
}
