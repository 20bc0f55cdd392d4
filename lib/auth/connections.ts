import { Problem } from "../shared/problem.ts";
import { Authority, type Grant } from "./authority.ts";

/** How often expiry is checked, in ms: a connection ends at most this late. */
const SWEEP_INTERVAL_MS = 500;
/** At most how long before its credential expires a connection is warned, in ms. */
const WARNING_MS = 60_000;

/** Why access control ends a connection. */
export type EndReason = "expired" | "revoked";

/** The transport's side of an open connection. */
export interface ConnectionHandler {
  /** The credential expires in `expiresIn` ms: time to send another. Called once per credential. */
  expiring(expiresIn: number): void;
  /** Another credential replaced the last one: stop what it does not allow. */
  changed(): void;
  /** The credential is no longer valid: send the reason and close. */
  end(reason: EndReason): void;
}

interface ConnectionOptions {
  readonly id: string;
  readonly authority: Authority;
  readonly handler: ConnectionHandler;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly onReplaced: (connection: Connection) => void;
  readonly onClosed: (connection: Connection) => void;
}

/** An open connection and the credential that it currently uses. */
export class Connection implements Disposable {
  readonly id: string;
  readonly handler: ConnectionHandler;
  readonly #onReplaced: (connection: Connection) => void;
  readonly #onClosed: (connection: Connection) => void;
  #authority: Authority;
  /** Milliseconds since 1970; Infinity if the credential never expires or the warning was given. */
  #warnAt = Infinity;

  constructor({ id, authority, handler, now, onReplaced, onClosed }: ConnectionOptions) {
    this.id = id;
    this.handler = handler;
    this.#onReplaced = onReplaced;
    this.#onClosed = onClosed;
    this.#authority = authority;
    this.#planWarning(now);
  }

  get authority(): Authority {
    return this.#authority;
  }

  /** @throws {Problem} `forbidden` if `next` has another tenant or subject. */
  requireSuccessor(next: Authority): void {
    if (this.#authority.mayBecome(next)) return;
    throw new Problem(
      "forbidden",
      "A connection continues only with a credential of the same tenant and subject.",
    );
  }

  /** @throws {Problem} as {@link requireSuccessor} */
  replace(next: Authority, now: number): void {
    this.requireSuccessor(next);
    this.#authority = next;
    this.#planWarning(now);
    this.#onReplaced(this);
    this.handler.changed();
  }

  /** Ends the connection if its credential has expired, and warns it if that is soon. */
  checkExpiry(now: number): void {
    if (this.#authority.isExpired(now)) return this.handler.end("expired");
    if (now < this.#warnAt) return;
    this.#warnAt = Infinity;
    this.handler.expiring((this.#authority.grant.expiresAt ?? now) - now);
  }

  [Symbol.dispose](): void {
    this.#onClosed(this);
  }

  #planWarning(now: number): void {
    const { expiresAt = Infinity } = this.#authority.grant;
    this.#warnAt = expiresAt - Math.min(WARNING_MS, (expiresAt - now) / 2);
  }
}

/** The open connections of an isolate. Warns and ends them as their credentials change. */
export class Connections {
  readonly #connections = new Map<string, Connection>();
  /** Connections whose credential was not checked for revocation yet. */
  readonly #unchecked = new Set<Connection>();
  readonly #isRevoked: (grant: Grant) => boolean;
  readonly #now: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param isRevoked called once for each credential of a connection, which may have been revoked
   * while the connection was being opened. Later revocations go to {@link revoke}.
   */
  constructor(
    isRevoked: (grant: Grant) => boolean = () => false,
    now: () => number = Date.now,
  ) {
    this.#isRevoked = isRevoked;
    this.#now = now;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Adds a connection until it is disposed of. Closing it is the handler's task. */
  open(id: string, authority: Authority, handler: ConnectionHandler): Connection {
    const connection = new Connection({
      id,
      authority,
      handler,
      now: this.#now(),
      onReplaced: (connection) => this.#unchecked.add(connection),
      onClosed: (connection) => this.#remove(connection),
    });
    // Open mode has no credential that could expire.
    if (authority.grant.kind === "open") return connection;
    this.#connections.set(id, connection);
    this.#unchecked.add(connection);
    this.#timer ??= setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
    return connection;
  }

  has(id: string): boolean {
    return this.#connections.has(id);
  }

  /**
   * Gives the connection another credential.
   *
   * @returns false if there is no such connection in this isolate.
   * @throws {Problem} `forbidden`
   */
  replace(id: string, next: Authority): boolean {
    const connection = this.#connections.get(id);
    connection?.replace(next, this.#now());
    return connection !== undefined;
  }

  /** Ends the connections whose credential is revoked and returns their authorities. */
  revoke(isRevoked: (grant: Grant) => boolean): readonly Authority[] {
    return endRevoked(isRevoked, this.#connections.values());
  }

  /** Makes matching credentials expire at `expiresAt` (ms since 1970), if not earlier. */
  limit(matches: (grant: Grant) => boolean, expiresAt: number): void {
    for (const connection of this.#connections.values()) {
      const { grant } = connection.authority;
      if (!matches(grant) || (grant.expiresAt ?? Infinity) <= expiresAt) continue;
      connection.replace(new Authority({ ...grant, expiresAt }), this.#now());
    }
  }

  /** Warns and ends connections whose credential expires, and ends unchecked ones if revoked. */
  sweep(): void {
    const now = this.#now();
    const unchecked = [...this.#unchecked];
    this.#unchecked.clear();
    endRevoked(this.#isRevoked, unchecked);
    for (const connection of [...this.#connections.values()]) connection.checkExpiry(now);
  }

  #remove(connection: Connection): void {
    this.#connections.delete(connection.id);
    this.#unchecked.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** @throws {AggregateError} if handlers fail, after all others have ended. */
function endRevoked(
  isRevoked: (grant: Grant) => boolean,
  connections: Iterable<Connection>,
): readonly Authority[] {
  const revoked = [...connections].filter(({ authority: { grant } }) => isRevoked(grant));
  const authorities = revoked.map(({ authority }) => authority);
  const errors: unknown[] = [];
  for (const { handler } of revoked) {
    try {
      handler.end("revoked");
    } catch (cause) {
      errors.push(cause);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "connections could not be ended");
  return authorities;
}
