import type { Authority } from "../../auth/authority.ts";
import type { Connection, ConnectionHandler, Connections } from "../../auth/connections.ts";
import { MAX_FRAME_CHARS, MAX_FRAME_MESSAGES } from "../../shared/frame.ts";
import { Problem } from "../../shared/problem.ts";
import type { GoodbyeReason } from "../goodbye.ts";
import type { MessageClient } from "./client.ts";
import type { MessageOf, Ref } from "./message.ts";
import type { MessageOutput } from "./output.ts";

/**
 * Milliseconds in which a client must bring its first credential. Guards against connections that
 * never authenticate.
 */
const AUTH_TIMEOUT_MS = 5_000;
/**
 * Characters of messages that wait while a first credential is verified. Guards against anyone who
 * fills memory while the keys for the verification load slowly.
 */
const MAX_UNAUTHENTICATED_WAITING_CHARS = 64 * 2 ** 10;
/**
 * Characters that each waiting message counts in addition to its own. Guards against many tiny
 * messages.
 */
const WAITING_COST_CHARS = 256;
/**
 * Characters of messages that wait while a later credential is verified: the largest frame with the
 * most messages fits.
 */
const MAX_WAITING_CHARS = MAX_FRAME_CHARS + MAX_FRAME_MESSAGES * WAITING_COST_CHARS;

interface ClientAdmissionOptions {
  /** Names the connection. */
  readonly id: string;
  readonly client: MessageClient;
  readonly connections: Connections;
  /** Receives what happens to the credential. */
  readonly handler: ConnectionHandler;
  readonly output: Pick<MessageOutput, "send">;
  /** Whether the connection has neither subscriptions nor members. */
  readonly isIdle: () => boolean;
  /** Answers a message that failed. */
  readonly fail: (ref: Ref | undefined, cause: unknown) => void;
  readonly close: (reason: GoodbyeReason) => void;
}

interface WaitingMessage {
  readonly chars: number;
  readonly work: () => void;
}

/** Holds the credential of a connection, from the first to the latest. */
export class ClientAdmission implements Disposable {
  readonly #options: ClientAdmissionOptions;
  /** Undefined until there is a credential. */
  #connection: Connection | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #isVerifying = false;
  /** The messages that came after the credential that is being verified. */
  #waiting: WaitingMessage[] | undefined;
  #waitingChars = 0;
  #isDisposed = false;

  constructor(options: ClientAdmissionOptions) {
    this.#options = options;
    const { id, client, connections, handler, close } = options;
    if (client.authority !== undefined) {
      this.#connection = connections.open(id, client.authority, handler);
    } else {
      this.#deadline = setTimeout(() => close("unauthenticated"), AUTH_TIMEOUT_MS);
    }
  }

  get isAuthenticated(): boolean {
    return this.#connection !== undefined;
  }

  /** @throws {Problem} `unauthenticated` */
  get authority(): Authority {
    if (this.#connection !== undefined) return this.#connection.authority;
    throw new Problem(
      "unauthenticated",
      `Authentication required: send {"op":"auth","token":…} first.`,
    );
  }

  /**
   * Does `work` at once. While a credential is being verified the work waits for its answer, in the
   * order of the calls. Closes the connection if too much waits.
   *
   * @param chars the length of the message
   * @param work must not throw
   */
  inOrder(chars: number, work: () => void): void {
    if (!this.#isVerifying) return work();
    this.#waitingChars += chars + WAITING_COST_CHARS;
    const maxChars = this.isAuthenticated ? MAX_WAITING_CHARS : MAX_UNAUTHENTICATED_WAITING_CHARS;
    if (this.#waitingChars > maxChars) return this.#options.close("flooding");
    this.#waiting ??= [];
    this.#waiting.push({ chars, work });
  }

  /** Verifies the credential and answers. Messages that come after it wait. */
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
      if (!this.isAuthenticated) close("unauthenticated");
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

  /** Takes the new authority. If that is refused, the connection keeps the authority that it has. */
  #admit(authority: Authority): void {
    const { id, client, connections, handler, isIdle } = this.#options;
    const connection = this.#connection;
    const isReplaceable = connection?.authority.grant.kind === "anonymous" && isIdle();
    const kept = isReplaceable ? undefined : connection;
    kept?.requireSuccessor(authority);
    client.admitted(authority);
    clearTimeout(this.#deadline);
    if (kept !== undefined) return kept.replace(authority, Date.now());
    connection?.[Symbol.dispose]();
    this.#connection = connections.open(id, authority, handler);
  }

  #resume(): void {
    while (!this.#isVerifying) { // a waiting message may bring the next credential
      const next = this.#waiting?.shift();
      if (next === undefined) {
        this.#waiting = undefined;
        return;
      }
      this.#waitingChars -= next.chars + WAITING_COST_CHARS;
      next.work();
    }
  }
}
