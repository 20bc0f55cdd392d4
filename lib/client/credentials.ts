import type { Credential } from "./api.ts";
import { onAbort } from "./on_abort.ts";
import { PLATFORM, type Platform } from "./platform.ts";
import { WeirError } from "./weir_error.ts";

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

  constructor(
    auth: (() => Credential | Promise<Credential>) | undefined,
    platform: Platform = PLATFORM,
  ) {
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

  /** `auth` is waited for no longer. */
  close(): void {
    this.#closed.abort();
  }

  async #ask(): Promise<Presented> {
    if (this.#auth === undefined) return {};
    const presented = presentedIn(await this.#given(this.#auth));
    this.isTicket = presented.ticket !== undefined;
    return presented;
  }

  async #given(auth: () => unknown): Promise<unknown> {
    let timer: unknown;
    let release = () => {};
    const late = new Promise((_, reject) => {
      const error = new DOMException(`no answer within ${AUTH_LIMIT_MS} ms`, "TimeoutError");
      const end = () => reject(error);
      timer = this.#platform.setTimeout(end, AUTH_LIMIT_MS);
      release = onAbort(this.#closed.signal, end);
    });
    try {
      return await Promise.race([auth(), late]);
    } catch (cause) {
      throw new WeirError("auth_failed", `\`auth\` gave no credential: ${cause}.`, { cause });
    } finally {
      this.#platform.clearTimeout(timer);
      release();
    }
  }
}

/** @throws {WeirError} `auth_failed` */
function presentedIn(given: unknown): Presented {
  const presented: { readonly [name in keyof Presented]?: unknown } =
    typeof given === "object" && given !== null ? given : { token: given };
  const { token, ticket } = presented;
  const text = token ?? ticket;
  if (typeof text === "string" && SENDABLE.test(text)) {
    return token === undefined ? { ticket: text } : { token: text };
  }
  const detail = "`auth` gave neither a token nor a ticket: it has to be a text without spaces.";
  throw new WeirError("auth_failed", detail);
}
