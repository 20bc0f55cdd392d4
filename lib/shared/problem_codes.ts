/** What a refusal is about. */
type ProblemKind =
  /** The request itself. */
  | "request"
  /** The channel, or where to read it from. Other channels may be fine. */
  | "channel"
  /** The credential. Another one may be accepted. */
  | "credential"
  /** Where the request comes from or goes to: its `Origin` or `Host`. */
  | "origin"
  /** A limit that was reached. */
  | "limit"
  /** The store. Unlike after any other refusal, a write may still become durable. */
  | "storage"
  /** The server. */
  | "server";

interface ProblemTraits {
  /** The HTTP status. Over WebSocket a refusal has its code alone. */
  readonly status: number;
  readonly kind: ProblemKind;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
}

/**
 * Every refusal by its stable code. A code never changes its meaning. The errors in
 * `docs/protocol.md` are the same list.
 */
export const PROBLEMS = {
  bad_accept: { status: 406, kind: "request", retryable: false },
  bad_body: { status: 400, kind: "request", retryable: false },
  bad_channel: { status: 400, kind: "channel", retryable: false },
  bad_content_type: { status: 415, kind: "request", retryable: false },
  bad_cursor: { status: 400, kind: "channel", retryable: false },
  bad_encoding: { status: 400, kind: "request", retryable: false },
  bad_event_id: { status: 400, kind: "request", retryable: false },
  bad_event_key: { status: 400, kind: "request", retryable: false },
  bad_event_ttl: { status: 400, kind: "request", retryable: false },
  bad_event_type: { status: 400, kind: "request", retryable: false },
  bad_frame: { status: 400, kind: "request", retryable: false },
  bad_json: { status: 400, kind: "request", retryable: false },
  bad_member: { status: 400, kind: "request", retryable: false },
  bad_message: { status: 400, kind: "request", retryable: false },
  bad_op: { status: 400, kind: "request", retryable: false },
  bad_parameter: { status: 400, kind: "channel", retryable: false },
  bad_subprotocol: { status: 400, kind: "request", retryable: false },
  body_incomplete: { status: 400, kind: "request", retryable: true },
  channel_not_found: { status: 404, kind: "channel", retryable: false },
  channel_reserved: { status: 400, kind: "channel", retryable: false },
  commit_unknown: { status: 503, kind: "storage", retryable: true },
  contended: { status: 503, kind: "server", retryable: true },
  cursor_other_channels: { status: 400, kind: "channel", retryable: false },
  event_too_large: { status: 413, kind: "request", retryable: false },
  forbidden: { status: 403, kind: "channel", retryable: false },
  forbidden_host: { status: 403, kind: "origin", retryable: false },
  forbidden_origin: { status: 403, kind: "origin", retryable: false },
  frame_too_large: { status: 413, kind: "request", retryable: false },
  idempotency_conflict: { status: 409, kind: "request", retryable: false },
  inbox_full: { status: 429, kind: "limit", retryable: true },
  internal: { status: 500, kind: "server", retryable: false },
  key_invalid: { status: 401, kind: "credential", retryable: false },
  key_not_found: { status: 404, kind: "request", retryable: false },
  keys_unavailable: { status: 503, kind: "server", retryable: true },
  method_not_allowed: { status: 405, kind: "request", retryable: false },
  no_such_member: { status: 404, kind: "request", retryable: false },
  not_a_member: { status: 409, kind: "request", retryable: false },
  not_found: { status: 404, kind: "request", retryable: false },
  not_subscribed: { status: 400, kind: "request", retryable: false },
  overloaded: { status: 503, kind: "server", retryable: true },
  presence_full: { status: 403, kind: "limit", retryable: false },
  rate_limited: { status: 429, kind: "limit", retryable: true },
  request_timeout: { status: 408, kind: "request", retryable: true },
  shutting_down: { status: 503, kind: "server", retryable: true },
  signal_too_large: { status: 413, kind: "request", retryable: false },
  storage_full: { status: 507, kind: "storage", retryable: true },
  storage_read_only: { status: 503, kind: "storage", retryable: true },
  storage_unavailable: { status: 503, kind: "storage", retryable: true },
  subscribed_already: { status: 400, kind: "request", retryable: false },
  tenant_limit: { status: 403, kind: "limit", retryable: false },
  ticket_invalid: { status: 401, kind: "credential", retryable: false },
  token_expired: { status: 401, kind: "credential", retryable: false },
  token_in_url: { status: 400, kind: "request", retryable: false },
  token_invalid: { status: 401, kind: "credential", retryable: false },
  token_revoked: { status: 401, kind: "credential", retryable: false },
  too_many_channels: { status: 400, kind: "channel", retryable: false },
  too_many_connections: { status: 429, kind: "limit", retryable: true },
  too_many_events: { status: 400, kind: "request", retryable: false },
  too_many_sessions: { status: 403, kind: "limit", retryable: false },
  unauthenticated: { status: 401, kind: "credential", retryable: false },
  unknown_parameter: { status: 400, kind: "request", retryable: false },
  upgrade_required: { status: 426, kind: "request", retryable: false },
  uri_too_long: { status: 414, kind: "request", retryable: false },
} as const satisfies Readonly<Record<string, ProblemTraits>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** The codes of one kind. */
export type ProblemCodeOf<Kind extends ProblemKind> = {
  [Code in ProblemCode]: (typeof PROBLEMS)[Code]["kind"] extends Kind ? Code : never;
}[ProblemCode];

/** The codes of refusals after which the same request may succeed later. */
export type RetryableCode = {
  [Code in ProblemCode]: (typeof PROBLEMS)[Code]["retryable"] extends true ? Code : never;
}[ProblemCode];

export function statusOf(code: ProblemCode): number {
  return PROBLEMS[code].status;
}

export function kindOf(code: ProblemCode): ProblemKind {
  return PROBLEMS[code].kind;
}
