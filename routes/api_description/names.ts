import type { JsonSchema, Meaning } from "./meaning.ts";

// JSON Schema counts characters where Weir counts bytes of UTF-8.
/** The name of an event's id, type or key. */
export const NAME_SCHEMA: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 256,
  pattern: "^[^\\x00-\\x1f\\x7f]+$",
};

/** A name that may be a segment of a path. */
const SEGMENT = "(?!\\.{1,2}$)[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+$";

/** The name of a channel that clients can publish to. */
const CHANNEL_SCHEMA: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 256,
  pattern: `^(?!\\$)${SEGMENT}`,
};
const READABLE_CHANNEL_SCHEMA: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 256,
  pattern: `^${SEGMENT}`,
};

export const CHANNEL: Meaning = {
  text:
    "The channel's name: 1–256 bytes of UTF-8 without control characters, without a leading `$`.",
  schema: CHANNEL_SCHEMA,
  example: "orders",
};

/** A channel with presence. The name of the channel of its changes is longer. */
export const PRESENCE_CHANNEL: Meaning = {
  ...CHANNEL,
  text: "The channel's name, of at most 246 bytes.",
  schema: { ...CHANNEL_SCHEMA, maxLength: 246 },
};

/** A channel that clients can read, such as `$audit` too. */
export const READABLE_CHANNEL: Meaning = {
  text: "The channel's name: 1–256 bytes of UTF-8 without control characters.",
  schema: READABLE_CHANNEL_SCHEMA,
  example: "orders",
};

export const MEMBER: Meaning = {
  text: "The member's name. A token with a `sub` can only be the member of that name.",
  schema: READABLE_CHANNEL_SCHEMA,
  example: "ann",
};

export const SESSION: Meaning = {
  text: "The session's name, which the client chooses at random.",
  example: "k3Jx",
};

export const KEY_ID: Meaning = {
  text: "The id of an API key: 12 letters and digits.",
  schema: { type: "string", pattern: "^[0-9A-Za-z]{12}$" },
  example: "k9w2hm4x1cPq",
};

export const TRACEPARENT_EXAMPLE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** The members of an event as JSON, by the name in the schema `publication`. */
export const PUBLICATION = {
  channel: CHANNEL,
  data: { text: "Any JSON value of at most 1,048,576 bytes and 64 levels." },
  type: {
    text: "The event's type, by default `message`. `weir.…` is reserved.",
    schema: { ...NAME_SCHEMA, pattern: "^(?!weir\\.)[^\\x00-\\x1f\\x7f]+$" },
  },
  id: {
    text:
      "The event's id. While the event is stored, publishing it again under this id stores nothing.",
    schema: NAME_SCHEMA,
  },
  key: { text: "The event's key.", schema: NAME_SCHEMA },
  ttl: {
    text: "Seconds after which the event is no longer delivered.",
    schema: { type: "integer", minimum: 1, maximum: 31_536_000 },
  },
  traceparent: {
    text:
      "The trace context of the publish (W3C), instead of the header. Ignored unless it is valid.",
    example: TRACEPARENT_EXAMPLE,
  },
  ephemeral: {
    text:
      "`true` for an event that current subscribers receive and that is never stored. It has at most 16,384 bytes, and neither `id`, `key` nor `ttl`.",
  },
} as const satisfies Readonly<Record<string, Meaning>>;

/** The members of rights, by the name in the schema of rights. */
export const RIGHTS = {
  publish: { text: "Patterns of channels that the credential may publish to." },
  subscribe: { text: "Patterns of channels that the credential may read." },
  presence: { text: "Patterns of channels whose presence the credential may read and join." },
  manage: { text: "Patterns of channels that the credential may configure and delete." },
  admin: { text: "Whether the credential may manage keys and revocations of its tenant." },
  metrics: {
    text: "Whether the credential may read `/metrics`. It counts in the tenant `default` only.",
  },
  limits: { text: "Limits of the credential. The server's limits apply for missing ones." },
} as const satisfies Readonly<Record<string, Meaning>>;

const PATTERN_SCHEMA: JsonSchema = {
  items: {
    type: "string",
    minLength: 1,
    maxLength: 256,
    pattern: `^(?!.*\\*{3})${SEGMENT}`,
  },
};

/** {@link RIGHTS}, with what is required of patterns. */
export const RIGHTS_IN_BODY = {
  ...RIGHTS,
  publish: { ...RIGHTS.publish, schema: PATTERN_SCHEMA },
  subscribe: { ...RIGHTS.subscribe, schema: PATTERN_SCHEMA },
  presence: { ...RIGHTS.presence, schema: PATTERN_SCHEMA },
  manage: { ...RIGHTS.manage, schema: PATTERN_SCHEMA },
} as const satisfies Readonly<Record<string, Meaning>>;

/** The members of `limits`. */
export const LIMITS_IN_BODY = {
  "limits.publishes": { text: "Publishes per second." },
  "limits.bytes": { text: "Published bytes per second." },
  "limits.subscribes": { text: "Subscribes per second." },
  "limits.connections": { text: "Connections that are open at once." },
} as const satisfies Readonly<Record<string, Meaning>>;
