import { forEachInTurns } from "../shared/async/in_turns.ts";
import { Problem } from "../shared/problem.ts";
import { Authority, type Grant } from "./authority.ts";

/** How often expiry is checked, in ms: a connection ends at most this late. */
const SWEEP_INTERVAL_MS = 500;
/** At most how long before its credential expires a connection is warned, in ms. */
const WARNING_MS = 60_000;
/**
 * Connections that are ended in one turn of the event loop. Guards against thousands that end
 * together, such as those of a tenant that is revoked.
 */
export const ENDED_PER_TURN = 100;

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

  /** Returns whether {@link checkExpiry} has something to do. */
  isDue(now: number): boolean {
    return now >= this.#warnAt || this.#authority.isExpired(now);
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
    this.#timer ??= setInterval(() => void this.sweep(), SWEEP_INTERVAL_MS);
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

  /**
   * Ends the connections whose credential is revoked: some at once, and thousands in several turns of
   * the event loop. Resolves once all have ended.
   *
   * @param onEnded receives the authority of each.
   * @throws {AggregateError} if handlers fail, after all others have ended.
   */
  async revoke(
    isRevoked: (grant: Grant) => boolean,
    onEnded: (authority: Authority) => void = () => {},
  ): Promise<void> {
    const revoked = new Map<Connection, Authority>();
    for (const connection of this.#connections.values()) {
      const { authority } = connection;
      if (isRevoked(authority.grant)) revoked.set(connection, authority);
    }
    await forEachInTurns(revoked, ENDED_PER_TURN, ([connection, authority]) => {
      if (!this.#has(connection, authority)) return;
      connection.handler.end("revoked");
      onEnded(authority);
    });
  }

  /** Makes matching credentials expire at `expiresAt` (ms since 1970), if not earlier. */
  limit(matches: (grant: Grant) => boolean, expiresAt: number): void {
    for (const connection of this.#connections.values()) {
      const { grant } = connection.authority;
      if (!matches(grant) || (grant.expiresAt ?? Infinity) <= expiresAt) continue;
      connection.replace(new Authority({ ...grant, expiresAt }), this.#now());
    }
  }

  /**
   * Warns and ends connections whose credential expires, and ends unchecked ones if revoked: some at
   * once, and thousands in several turns of the event loop.
   *
   * @throws {AggregateError} if handlers fail, after all others were called.
   */
  async sweep(): Promise<void> {
    const now = this.#now();
    const due = new Map<Connection, Authority>();
    const revoked = new Set<Connection>();
    for (const connection of this.#unchecked) {
      const { authority } = connection;
      if (!this.#isRevoked(authority.grant)) continue;
      revoked.add(connection);
      due.set(connection, authority);
    }
    this.#unchecked.clear();
    for (const connection of this.#connections.values()) {
      if (connection.isDue(now)) due.set(connection, connection.authority);
    }
    await forEachInTurns(due, ENDED_PER_TURN, ([connection, authority]) => {
      if (!this.#has(connection, authority)) return;
      if (revoked.has(connection)) connection.handler.end("revoked");
      else connection.checkExpiry(now);
    });
  }

  /** Returns whether the connection is still open and uses this credential. */
  #has(connection: Connection, authority: Authority): boolean {
    return this.#connections.get(connection.id) === connection &&
      connection.authority === authority;
  }

  #remove(connection: Connection): void {
    this.#connections.delete(connection.id);
    this.#unchecked.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
