import { Problem } from "../shared/problem.ts";
import { Authority, type Grant } from "./authority.ts";

/** Between two looks at what expires, in ms: a session ends so much late at the most. */
const SWEEP_MS = 500;
/** How long before its end a session is told that its credential expires, in ms, at the most. */
const WARNING_MS = 60_000;

/** Why access control ends a connection. */
export type EndReason = "expired" | "revoked";

/** What lives by a session: an open connection. */
export interface ConnectionHandler {
  /** The credential ends in `expiresIn` ms: time to bring another. Said once for each. */
  expiring(expiresIn: number): void;
  /** Another credential has taken its place: what it doesn't allow must stop. */
  changed(): void;
  /** The credential is no longer good: the connection must say so and end. */
  end(reason: EndReason): void;
}

/** An open connection and the credential that it lives by at the moment. */
export class Connection implements Disposable {
  readonly id: string;
  readonly handler: ConnectionHandler;
  readonly #onReplaced: (connection: Connection) => void;
  readonly #onClosed: (connection: Connection) => void;
  #authority: Authority;
  /** Milliseconds since 1970; infinite where the credential has no end. */
  #warnAt = Infinity;

  constructor(
    id: string,
    authority: Authority,
    handler: ConnectionHandler,
    now: number,
    { onReplaced, onClosed }: {
      readonly onReplaced: (connection: Connection) => void;
      readonly onClosed: (connection: Connection) => void;
    },
  ) {
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

  /** @throws {Problem} `forbidden` where `next` is of another tenant or another person. */
  requireSuccessor(next: Authority): void {
    if (this.#authority.mayBecome(next)) return;
    throw new Problem(
      "forbidden",
      "A connection goes on only with a credential of the same tenant and subject.",
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

  look(now: number): void {
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

/** All open connections of an isolate, by the credentials that they live by. */
export class Connections {
  readonly #connections = new Map<string, Connection>();
  /** Those whose credential was not looked at yet. */
  readonly #unchecked = new Set<Connection>();
  readonly #isRevoked: (grant: Grant) => boolean;
  readonly #now: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param isRevoked is asked once of each credential that a session lives by: it may have been
   * revoked on its way here. What is revoked later {@link revoke} is told.
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

  /** Disposing the session ends it here; the connection itself is the holder's. */
  open(id: string, authority: Authority, handler: ConnectionHandler): Connection {
    const connection = new Connection(id, authority, handler, this.#now(), {
      onReplaced: (connection) => this.#unchecked.add(connection),
      onClosed: (connection) => this.#left(connection),
    });
    // Open mode has nothing that could end.
    if (authority.grant.kind === "open") return connection;
    this.#connections.set(id, connection);
    this.#unchecked.add(connection);
    this.#timer ??= setInterval(() => this.sweep(), SWEEP_MS);
    return connection;
  }

  has(id: string): boolean {
    return this.#connections.has(id);
  }

  /**
   * Gives the session another credential.
   *
   * @returns false where there is no such session in this isolate.
   * @throws {Problem} `forbidden`
   */
  replace(id: string, next: Authority): boolean {
    const session = this.#connections.get(id);
    session?.replace(next, this.#now());
    return session !== undefined;
  }

  /** Ends those whose credential is revoked, and answers them. */
  revoke(isRevoked: (grant: Grant) => boolean): readonly Authority[] {
    return endThose(isRevoked, this.#connections.values());
  }

  /** Those that match end at `expiresAt` (ms since 1970) at the latest, unless another comes. */
  limit(matches: (grant: Grant) => boolean, expiresAt: number): void {
    for (const connection of this.#connections.values()) {
      const { grant } = connection.authority;
      if (!matches(grant) || (grant.expiresAt ?? Infinity) <= expiresAt) continue;
      connection.replace(new Authority({ ...grant, expiresAt }), this.#now());
    }
  }

  /** Warns and ends what is due, also what was revoked while its session was being opened. */
  sweep(): void {
    const now = this.#now();
    const unchecked = [...this.#unchecked];
    this.#unchecked.clear();
    endThose(this.#isRevoked, unchecked);
    for (const connection of [...this.#connections.values()]) connection.look(now);
  }

  #left(connection: Connection): void {
    this.#connections.delete(connection.id);
    this.#unchecked.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** @throws {AggregateError} where a holder fails; the others' have ended then too. */
function endThose(
  isRevoked: (grant: Grant) => boolean,
  connections: Iterable<Connection>,
): readonly Authority[] {
  const revoked = [...connections].filter(({ authority: { grant } }) => isRevoked(grant));
  const authorities = revoked.map(({ authority }) => authority);
  const faults: unknown[] = [];
  for (const { handler: handler } of revoked) {
    try {
      handler.end("revoked");
    } catch (cause) {
      faults.push(cause);
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, "connections could not be ended");
  return authorities;
}
