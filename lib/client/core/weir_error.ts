/** The client's own codes. All others are the server's (docs/protocol.md, "Errors"). */
export type ClientCode =
  /** The client was closed. */
  | "closed"
  /** The URL is not an `http:` or `https:` URL. */
  | "bad_url"
  /** There was no answer. */
  | "unreachable"
  /** The answer is not one of a Weir server. */
  | "bad_answer"
  /** Too many events wait to be published. */
  | "outbox_full"
  /** Events are missing and `onGap` is `"throw"`. */
  | "gap"
  /** The data does not match the schema, or is not JSON. */
  | "bad_data"
  /** `auth` threw. */
  | "auth_failed"
  /** The cursor store threw. */
  | "cursor_store_failed"
  /** The key cannot sign tokens (`weir-client/server`). */
  | "bad_key"
  /** The package jose, which signs tokens, is not installed (`weir-client/server`). */
  | "jose_missing";

interface WeirErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfter?: number | undefined;
  readonly index?: number | undefined;
}

/** Why the client or the server refuses. `code` is stable; `detail` is for people. */
export class WeirError extends Error {
  override readonly name = "WeirError";
  /** The HTTP status, if the error came over HTTP. */
  readonly status: number | undefined;
  /** Milliseconds that the server asks to wait before another try. */
  readonly retryAfter: number | undefined;
  /** Index of the refused event in its publish. */
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
