import type { ProblemCode } from "../../lib/shared/problem_codes.ts";

/** Refusals of every route: the description adds them itself. */
export const EVERYWHERE: readonly ProblemCode[] = [
  "uri_too_long",
  "forbidden_host",
  "forbidden_origin",
  "internal",
];

/** Refusals of routes with a query, also if that must be empty. */
export const QUERY: readonly ProblemCode[] = ["unknown_parameter", "bad_parameter"];

/** Refusals of routes that need a credential, or take one. */
export const CREDENTIAL: readonly ProblemCode[] = [
  "bad_parameter",
  "token_in_url",
  "key_invalid",
  "ticket_invalid",
  "token_expired",
  "token_invalid",
  "token_revoked",
  "unauthenticated",
  "rate_limited",
  "contended",
  "commit_unknown",
  "keys_unavailable",
  "overloaded",
  "shutting_down",
  "storage_unavailable",
  "storage_read_only",
  "storage_full",
];

/** Refusals of routes for a channel, on which the credential needs a right. */
export const CHANNEL_RIGHT: readonly ProblemCode[] = [
  "bad_channel",
  "channel_reserved",
  "forbidden",
];

/** Refusals of routes with a body. */
export const BODY: readonly ProblemCode[] = [
  "body_incomplete",
  "request_timeout",
  "event_too_large",
  "overloaded",
];

/** Refusals of routes with a body of JSON. */
export const JSON_BODY: readonly ProblemCode[] = [...BODY, "bad_body", "bad_encoding", "bad_json"];

/** Refusals of routes that read the store. */
export const STORE_READ: readonly ProblemCode[] = [
  "overloaded",
  "shutting_down",
  "storage_unavailable",
];

/** Refusals of routes that write to the store. */
export const STORE_WRITE: readonly ProblemCode[] = [
  ...STORE_READ,
  "commit_unknown",
  "contended",
  "storage_full",
  "storage_read_only",
];
