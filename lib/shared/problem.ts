import { withoutSecrets } from "./secrets.ts";

/**
 * Every way in which Weir refuses, by its stable code. A code never changes its meaning; the HTTP
 * status of each is in `routes/problem.ts`, its WebSocket form in `docs/protocol.md`.
 */
export type ProblemCode =
  | "bad_accept"
  | "bad_body"
  | "bad_channel"
  | "bad_content_type"
  | "bad_cursor"
  | "bad_encoding"
  | "bad_event_id"
  | "bad_event_key"
  | "bad_event_ttl"
  | "bad_event_type"
  | "bad_frame"
  | "bad_json"
  | "bad_member"
  | "bad_message"
  | "bad_op"
  | "bad_parameter"
  | "bad_subprotocol"
  | "body_incomplete"
  | "channel_not_found"
  | "channel_reserved"
  | "commit_unknown"
  | "contended"
  | "cursor_other_channels"
  | "event_too_large"
  | "forbidden"
  | "forbidden_host"
  | "forbidden_origin"
  | "frame_too_large"
  | "idempotency_conflict"
  | "internal"
  | "key_invalid"
  | "key_not_found"
  | "keys_unavailable"
  | "method_not_allowed"
  | "not_found"
  | "not_subscribed"
  | "overloaded"
  | "presence_full"
  | "rate_limited"
  | "request_timeout"
  | "shutting_down"
  | "storage_full"
  | "storage_read_only"
  | "storage_unavailable"
  | "subscribed_already"
  | "tenant_limit"
  | "ticket_invalid"
  | "token_expired"
  | "token_in_url"
  | "token_invalid"
  | "token_revoked"
  | "too_many_channels"
  | "too_many_connections"
  | "too_many_events"
  | "unauthenticated"
  | "unknown_parameter"
  | "upgrade_required"
  | "uri_too_long";

/** Characters of a sentence. Met: what was sent, given back in full and masked at a cost. */
const MAX_DETAIL = 1_000;

/** What is left of a limit. */
export interface Quota {
  /** Which limit, such as `credential-publishes`. */
  readonly policy: string;
  /** What is allowed in a second, or of connections at once. */
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until there is room again; 0 if there is. */
  readonly retryAfter: number;
}

/** The one error type that crosses Weir's boundaries: a stable code and a sentence for a person. */
export class Problem extends Error {
  override readonly name = "Problem";

  /** Names the value that was refused and what is allowed. Never holds a payload or a secret. */
  readonly detail: string;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    options?: ErrorOptions & {
      /** Where in a list of events the fault is, from 0. */
      readonly index?: number;
      /** The limit that was reached. */
      readonly quota?: Quota;
    },
  ) {
    // Some sentences have a part of what was sent, such as the name of an unknown member.
    const shown = withoutSecrets(detail.slice(0, MAX_DETAIL));
    super(`${code}: ${shown}`, options);
    this.detail = shown;
    this.index = options?.index;
    this.quota = options?.quota;
  }

  readonly index: number | undefined;
  readonly quota: Quota | undefined;
}

/**
 * `value` as it may stand in an error's sentence: quoted, control characters escaped, cut at 80,
 * and without what looks like a credential.
 */
export function quote(value: string): string {
  const shown = withoutSecrets(value.slice(0, MAX_DETAIL));
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
}
