import type { Authority } from "../../auth/authority.ts";
import type { Connection, ConnectionHandler, Connections } from "../../auth/connections.ts";
import { MAX_EVENT_BYTES } from "../../shared/event.ts";
import { Problem } from "../../shared/problem.ts";
import type { GoodbyeReason } from "../goodbye.ts";
import type { SocketClient } from "./client.ts";
import type { MessageOf, Ref } from "./message.ts";
import type { SocketOutput } from "./output.ts";

/** Milliseconds for a socket to bring its first credential. Met: sockets of nobody. */
const AUTH_MS = 5_000;
/**
 * Characters of messages that wait while a first credential is verified. Met: frames of anyone at
 * all that fill memory while the keys to verify with are slow to come.
 */
const MAX_UNKNOWN_WAITING_CHARS = 64 * 2 ** 10;
/** The same for another credential: the largest frame goes along. */
const MAX_WAITING_CHARS = 2 * MAX_EVENT_BYTES + MAX_UNKNOWN_WAITING_CHARS;
/** What a waiting message takes beside its characters, as so many of them. Met: the smallest. */
const WAITING_COST = 256;

export interface SocketAdmissionOptions {
  /** The session's. */
  readonly id: string;
  readonly client: SocketClient;
  readonly connections: Connections;
  /** The socket itself. */
  readonly handler: ConnectionHandler;
  readonly output: SocketOutput;
  /** Whether it is subscribed to nothing and nobody's presence. */
  readonly isIdle: () => boolean;
  /** Answers a message that failed. */
  readonly fail: (ref: Ref | undefined, cause: unknown) => void;
  readonly close: (reason: GoodbyeReason) => void;
}

interface Waiting {
  readonly size: number;
  readonly work: () => void;
}

/** Who a socket is: the session that it lives by, from the first credential to the latest. */
export class SocketAdmission implements Disposable {
  readonly #options: SocketAdmissionOptions;
  /** None until there is a credential. */
  #connection: Connection | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #isVerifying = false;
  /** What came behind the credential that is being verified. */
  #waiting: Waiting[] | undefined;
  #waitingChars = 0;
  #isDisposed = false;

  constructor(options: SocketAdmissionOptions) {
    this.#options = options;
    const { id, client, connections, handler, close } = options;
    if (client.authority !== undefined) {
      this.#connection = connections.open(id, client.authority, handler);
    } else {
      this.#deadline = setTimeout(() => close("unauthenticated"), AUTH_MS);
    }
  }

  /** Whether it has said who it is. */
  get isKnown(): boolean {
    return this.#connection !== undefined;
  }

  /** @throws {Problem} `unauthenticated` */
  get authority(): Authority {
    if (this.#connection !== undefined) return this.#connection.authority;
    throw new Problem("unauthenticated", `Say who you are first: {"op":"auth","token":…}.`);
  }

  /**
   * Does `work` at once, or where a credential is being verified once that is answered, in the
   * order of the calls. Closes the socket where too much waits.
   *
   * @param size characters.
   * @param work does not throw.
   */
  inOrder(size: number, work: () => void): void {
    if (!this.#isVerifying) return work();
    this.#waitingChars += size + WAITING_COST;
    const most = this.isKnown ? MAX_WAITING_CHARS : MAX_UNKNOWN_WAITING_CHARS;
    if (this.#waitingChars > most) return this.#options.close("flooding");
    this.#waiting ??= [];
    this.#waiting.push({ size, work });
  }

  /** Verifies the credential and answers. What comes behind it waits. */
  async authenticate({ ref, token }: MessageOf<"auth">): Promise<void> {
    const { client, output, fail, close } = this.#options;
    this.#isVerifying = true;
    try {
      const authority = await client.authenticate(token, this.#connection?.authority);
      if (this.#isDisposed) return;
      this.#admit(authority);
      const { expiresAt } = authority.grant;
      output.send({
        op: "authenticated",
        ...ref !== undefined && { ref },
        ...expiresAt !== undefined && { expiresIn: expiresAt - Date.now() },
      });
    } catch (cause) {
      fail(ref, cause);
      if (!this.isKnown) close("unauthenticated");
    }
    this.#isVerifying = false;
    this.#resume();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#deadline);
    this.#connection?.[Symbol.dispose]();
    this.#waiting = undefined;
  }

  /** All or nothing: where the credential is refused, the socket stays who it was. */
  #admit(authority: Authority): void {
    const { id, client, connections, handler, isIdle } = this.#options;
    const connection = this.#connection;
    const isNobodyYet = connection?.authority.grant.kind === "anonymous" && isIdle();
    const kept = isNobodyYet ? undefined : connection;
    kept?.requireSuccessor(authority);
    client.admitted(authority);
    clearTimeout(this.#deadline);
    if (kept !== undefined) return kept.replace(authority, Date.now());
    connection?.[Symbol.dispose]();
    this.#connection = connections.open(id, authority, handler);
  }

  #resume(): void {
    while (!this.#isVerifying) { // one of those that wait may bring the next credential
      const next = this.#waiting?.shift();
      if (next === undefined) {
        this.#waiting = undefined;
        return;
      }
      this.#waitingChars -= next.size + WAITING_COST;
      next.work();
    }
  }
}
