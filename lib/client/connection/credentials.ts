import type { Credential } from "../api.ts";
import { deadline, isTimeoutError } from "../../shared/async/deadline.ts";
import type { Platform } from "../core/platform.ts";
import { WeirError } from "../core/weir_error.ts";

/** Guards against an `auth` that never settles, which nobody would notice. */
const AUTH_TIMEOUT_MS = 30_000;
/** What a header can carry. */
const SENDABLE = /^[\x21-\x7e]+$/;

/** A credential as a request presents it: a token, a ticket, or neither. */
type PresentedCredential = { readonly token?: string; readonly ticket?: string };

type Auth = () => Credential | Promise<Credential>;

/** What credentials need from their connection. */
interface CredentialsHost {
  readonly platform: Platform;
  /** Ends the wait for `auth`. */
  readonly closed: AbortSignal;
  /** Receives temporary errors of `auth`. */
  report(error: WeirError): void;
  /** Receives the error with which `auth` failed for good. */
  fail(error: WeirError): void;
}

/**
 * Holds the credential that the application's `auth` returned last. A token is used until it is
 * refused or renewed, a ticket once. Concurrent needs share one call of `auth`.
 */
export class Credentials {
  readonly #auth: Auth | undefined;
  readonly #host: CredentialsHost;
  /** The current credential. Set to undefined when the server no longer accepts it. */
  kept: PresentedCredential | undefined;
  #renewal: Promise<PresentedCredential> | undefined;
  /** Whether `auth` returns tickets, which can open a stream or a WebSocket and nothing else. */
  isTicket = false;
  /** Whether the server has accepted a credential, so that `auth` worked before. */
  isAccepted = false;

  constructor(auth: Auth | undefined, host: CredentialsHost) {
    this.#auth = auth;
    this.#host = host;
  }

  /** Whether the application can provide another credential. */
  get isRenewable(): boolean {
    return !!this.#auth;
  }

  /** Returns the credential for one request. @throws {WeirError} `auth_failed` */
  async get(): Promise<PresentedCredential> {
    while (!this.kept) await this.renew(); // another request may have used the ticket
    const { kept } = this;
    if (kept.ticket) this.kept = undefined;
    return kept;
  }

  /** Asks the application for a new credential. @throws {WeirError} `auth_failed` */
  async renew(): Promise<PresentedCredential> {
    this.#renewal ??= this.#renew().finally(() => this.#renewal = undefined);
    return await this.#renewal;
  }

  async #renew(): Promise<PresentedCredential> {
    const auth = this.#auth;
    if (!auth) return this.kept = {};
    const { platform, closed, report, fail } = this.#host;
    const credential = (async () => await auth())();
    try {
      const presented = parseCredential(
        await deadline(credential, AUTH_TIMEOUT_MS, { signal: closed, timers: platform }),
      );
      this.isTicket = !!presented.ticket;
      return this.kept = presented;
    } catch (cause) {
      const error = new WeirError("auth_failed", `\`auth\` failed: ${cause}`, { cause });
      const isRefusal = cause instanceof WeirError && cause.code === "auth_failed";
      // `fetch` throws a TypeError when there is no network.
      const isTemporary = this.isAccepted || cause instanceof TypeError || isTimeoutError(cause);
      // A credential that is still there is used to its end.
      if (this.kept || (isTemporary && !isRefusal)) report(error);
      else fail(error);
      throw error;
    }
  }
}

function parseCredential(value: unknown): PresentedCredential {
  const { token, ticket } = typeof value === "string" ? { token: value } : Object(value);
  const text = token ?? ticket;
  if (typeof text !== "string" || !SENDABLE.test(text)) {
    throw new Error("a token or ticket is text without spaces");
  }
  return token ? { token: text } : { ticket: text };
}
