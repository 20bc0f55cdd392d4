/** Codes of the client's own; all others are the server's (docs/protocol.md, "Errors"). */
export type ClientCode =
  /** The client was closed. */
  | "closed"
  /** The URL is no `http:` or `https:` one. */
  | "bad_url"
  /** Nobody answered. */
  | "unreachable"
  /** What answered doesn't speak as Weir does. */
  | "bad_answer"
  /** Too much waits to be published. */
  | "outbox_full"
  /** Events are missing, and `onGap` is `"throw"`. */
  | "gap"
  /** The data isn't what the schema says. */
  | "bad_data"
  /** `auth` threw. */
  | "auth_failed"
  /** The cursor store threw. */
  | "cursor_store_failed";

export interface WeirErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfter?: number | undefined;
  readonly index?: number | undefined;
}

/** Why the client, or the server, refuses. `code` is stable, `detail` says what to do. */
export class WeirError extends Error {
  override readonly name = "WeirError";
  /** The HTTP status, if it came by HTTP. */
  readonly status: number | undefined;
  /** Milliseconds that the server asks to wait before another try. */
  readonly retryAfter: number | undefined;
  /** Which event of a publish it is about, from 0. */
  readonly index: number | undefined;

  constructor(
    readonly code: ClientCode | (string & Record<never, never>),
    readonly detail: string,
    options: WeirErrorOptions = {},
  ) {
    super(`${code}: ${detail}`, options);
    ({ status: this.status, retryAfter: this.retryAfter, index: this.index } = options);
  }
}
