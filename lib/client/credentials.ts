import type { Credential } from "./api.ts";
import type { Platform } from "./platform.ts";
import { WeirError } from "./weir_error.ts";
import { lateness, within } from "./within.ts";

/** How long `auth` may take, in ms. Met: one that waits for what never comes, unseen. */
const AUTH_LIMIT_MS = 30_000;
/** What a header can carry. */
const SENDABLE = /^[\x21-\x7e]+$/;

export type Presented = { readonly token?: string; readonly ticket?: string };

/** What the application's `auth` gave last. A token serves until another is asked for, a ticket once. */
export class Credentials {
  readonly #auth: (() => Credential | Promise<Credential>) | undefined;
  readonly #platform: Platform;
  /** Ends waiting. */
  readonly #closed = new AbortController();
  #kept: Presented | undefined;
  /** Whether the application gives tickets: they read, and nothing else, but for the WebSocket. */
  isTicket = false;

  constructor(auth: (() => Credential | Promise<Credential>) | undefined, platform: Platform) {
    this.#auth = auth;
    this.#platform = platform;
  }

  /** Whether there is somebody to ask for another. */
  get isRenewable(): boolean {
    return this.#auth !== undefined;
  }

  /** For one request. @throws {WeirError} `auth_failed` */
  async get(): Promise<Presented> {
    const presented = this.#kept ?? await this.#ask();
    this.#kept = presented.ticket === undefined ? presented : undefined;
    return presented;
  }

  /** Asks the application anew, for what comes next. @throws {WeirError} `auth_failed` */
  async renew(): Promise<Presented> {
    return this.#kept = await this.#ask();
  }

  /** `auth` is waited for no longer: who waits may ask again, and is told that all is closed. */
  close(): void {
    this.#closed.abort(lateness(0));
  }

  async #ask(): Promise<Presented> {
    const auth = this.#auth;
    if (auth === undefined) return {};
    const given = (async () => await auth())();
    try {
      const inTime = await within(this.#platform, AUTH_LIMIT_MS, given, this.#closed.signal);
      const presented = presentedIn(inTime);
      this.isTicket = presented.ticket !== undefined;
      return presented;
    } catch (cause) {
      throw new WeirError("auth_failed", `\`auth\` gave no credential: ${cause}`, { cause });
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
