import type { Meaning } from "./meaning.ts";
import { NAME_SCHEMA, TRACEPARENT_EXAMPLE } from "./names.ts";

/** The headers of requests that routes read, apart from those of every HTTP server. */
export const REQUEST_HEADERS = {
  "Accept": {
    text: "`text/event-stream` for a stream, `application/json` for a page.",
    schema: { type: "string" },
    example: "application/json",
  },
  "Content-Type": {
    text: "The type of the data. Readers receive it with the event.",
    schema: { type: "string" },
  },
  "Idempotency-Key": {
    text:
      "The event's id. While the event is stored, publishing it again under this id stores nothing and answers 200 with the first offset.",
    schema: NAME_SCHEMA,
    example: "order-4711",
  },
  "If-None-Match": {
    text: "An `ETag`. Answers 304 if nothing is new.",
    schema: { type: "string" },
  },
  "Last-Event-ID": {
    text: "Streams only. The cursor after which the stream continues; it takes precedence.",
    schema: { type: "string" },
  },
  "traceparent": {
    text:
      "The trace context of the publish (W3C), which readers get with the event. Ignored unless it is valid.",
    schema: { type: "string" },
    example: TRACEPARENT_EXAMPLE,
  },
  "Weir-Type": {
    text: "The event's type, by default `message`. `weir.…` is reserved.",
    schema: { ...NAME_SCHEMA, pattern: "^(?!weir\\.)[^\\x00-\\x1f\\x7f]+$" },
    example: "order",
  },
  "Weir-Key": {
    text: "The event's key.",
    schema: NAME_SCHEMA,
    example: "4711",
  },
  "Weir-TTL": {
    text: "Seconds after which the event is no longer delivered.",
    schema: { type: "integer", minimum: 1, maximum: 31_536_000 },
    example: 3_600,
  },
  "Weir-Ephemeral": {
    text: "`1` for an event that current subscribers receive and that is never stored.",
    schema: { type: "string", enum: ["1"] },
  },
  "Upgrade": { text: "`websocket`.", schema: { type: "string", const: "websocket" } },
  "Sec-WebSocket-Protocol": {
    text: "`weir.v1`: several messages per frame. Without it each frame has one message.",
    schema: { type: "string", const: "weir.v1" },
    example: "weir.v1",
  },
} as const satisfies Readonly<Record<string, Meaning>>;

export type RequestHeader = keyof typeof REQUEST_HEADERS;

const SECONDS = { type: "integer", minimum: 0 } as const;

/** The headers of answers, apart from those of every HTTP server. */
export const RESPONSE_HEADERS = {
  "Allow": { text: "The methods of the resource.", schema: { type: "string" } },
  "ETag": { text: "For `If-None-Match`.", schema: { type: "string" } },
  "RateLimit": {
    text: '`"<limit>";r=<left>;t=<seconds until the limit allows more>`.',
    schema: { type: "string" },
    example: '"credential-publishes";r=812;t=0',
  },
  "RateLimit-Policy": {
    text: 'The limit that `RateLimit` counts: `"<limit>";q=<allowed>;w=1`.',
    schema: { type: "string" },
    example: '"credential-publishes";q=2000;w=1',
  },
  "Retry-After": { text: "Whole seconds.", schema: SECONDS, example: 1 },
  "Set-Cookie": { text: "The session cookie.", schema: { type: "string" } },
  "Upgrade": { text: "The protocol to use: `websocket`.", schema: { type: "string" } },
  "Weir-Cursor": {
    text: "The cursor after the page.",
    schema: { type: "string" },
    example: "0mwpu38co_0000000000000002",
  },
  "Weir-Heartbeat": {
    text: "Milliseconds after which a stream or poll that is silent is dead.",
    schema: SECONDS,
    example: 10_000,
  },
  "Weir-Stream": {
    text: "The stream's id, for `POST /v1/streams/{id}/token`.",
    schema: { type: "string", format: "uuid" },
  },
  "WWW-Authenticate": {
    text: '`Bearer`, with `error="invalid_token"` if there was a credential (RFC 6750).',
    schema: { type: "string" },
    example: "Bearer",
  },
} as const satisfies Readonly<Record<string, Meaning>>;

export type ResponseHeader = keyof typeof RESPONSE_HEADERS;
