import type { Credential } from "../api.ts";
import type { Platform } from "../core/platform.ts";
import { WeirError } from "../core/weir_error.ts";
import { deadline, isTimeout } from "../core/deadline.ts";

/** How long `auth` may take, in ms. Met: one that waits for what never comes, unseen. */
const AUTH_LIMIT_MS = 30_000;
/** What a header can carry. */
const SENDABLE = /^[\x21-\x7e]+$/;

export type Presented = { readonly token?: string; readonly ticket?: string };

/** What credentials have of their connection. */
export interface CredentialsHost {
  readonly platform: Platform;
  /** Ends waiting for `auth`. */
  readonly closed: AbortSignal;
  /** Told what passes. */
  report(error: WeirError): void;
  /** Told what `auth` failed with for good. */
  fail(error: WeirError): void;
}

/**
 * What the application's `auth` gave last. A token serves until it is refused or another is asked
 * for, a ticket once. `auth` is asked once at a time, for all who need it.
 */
export class Credentials {
  readonly #auth: (() => Credential | Promise<Credential>) | undefined;
  readonly #host: CredentialsHost;
  /** What is at hand; to be set to nothing when the server takes it no more. */
  kept: Presented | undefined;
  #asked: Promise<Presented> | undefined;
  /** Whether the application gives tickets: they read, and nothing else, but for the WebSocket. */
  isTicket = false;
  /** Whether the server has taken one: then `auth` fails only for now, unless it says otherwise. */
  isAccepted = false;

  constructor(
    auth: (() => Credential | Promise<Credential>) | undefined,
    host: CredentialsHost,
  ) {
    this.#auth = auth;
    this.#host = host;
  }

  /** Whether there is somebody to ask for another. */
  get isRenewable(): boolean {
    return this.#auth !== undefined;
  }

  /** For one request. @throws {WeirError} `auth_failed` */
  async get(): Promise<Presented> {
    while (!this.kept) await this.renew(); // another may have taken the ticket
    const { kept } = this;
    if (kept.ticket) this.kept = undefined;
    return kept;
  }

  /** Asks the application anew, for what comes next. @throws {WeirError} `auth_failed` */
  async renew(): Promise<Presented> {
    this.#asked ??= this.#ask().finally(() => this.#asked = undefined);
    return await this.#asked;
  }

  async #ask(): Promise<Presented> {
    const auth = this.#auth;
    if (!auth) return this.kept = {};
    const { platform, closed, report, fail } = this.#host;
    const given = (async () => await auth())();
    try {
      const presented = presentedIn(await deadline(platform, AUTH_LIMIT_MS, given, closed));
      this.isTicket = presented.ticket !== undefined;
      return this.kept = presented;
    } catch (cause) {
      const detail = `\`auth\` gave no credential: ${cause}`;
      const error = new WeirError("auth_failed", detail, { cause });
      // While there is one it serves to its end.
      const isNo = cause instanceof WeirError && cause.code === "auth_failed";
      // A TypeError is what `fetch` throws where nobody answers.
      const isPassing = this.isAccepted || cause instanceof TypeError || isTimeout(cause);
      if (this.kept || (isPassing && !isNo)) report(error);
      else fail(error);
      throw error;
    }
  }
}

function presentedIn(given: unknown): Presented {
  const { token, ticket } = typeof given === "string" ? { token: given } : Object(given);
  const text = token ?? ticket;
  if (typeof text !== "string" || !SENDABLE.test(text)) {
    throw new Error("a token or a ticket is a text without spaces.");
  }
  return token === undefined ? { ticket: text } : { token: text };
}
