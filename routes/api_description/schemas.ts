// The schemas of what Weir answers and sends. Tests check every answer of a server by them. They are
// loaded when someone asks for a description: making them takes longer than the rest of a start.
import { z } from "zod";
import { LIMIT_NAMES } from "../../lib/auth/limits.ts";
import { PROBLEMS } from "../../lib/shared/problem_codes.ts";
import { LIMITS_IN_BODY, RIGHTS } from "./names.ts";

const OFFSET_EXAMPLE = "0mwpu38co_0000000000000002";

export const offset = z.string().regex(/^[0-9a-z]{9}_\d{16}$/).meta({
  description: "Epoch and sequence. Offsets of one channel sort as text in log order.",
  examples: [OFFSET_EXAMPLE],
});
export const cursor = z.string().min(1).describe(
  "The position up to which a reader has everything: an offset for one channel, opaque text that starts with `v` for several.",
);
const time = z.iso.datetime({ precision: 3 }).describe("RFC 3339, UTC, milliseconds.");
export const channel = z.string().min(1).describe("The channel's name.");
const count = z.int().nonnegative();
export const milliseconds = z.int();
const data = z.unknown().describe(
  "The value for JSON types, a string for `text/*`, otherwise base64.",
);
const sessions = z.array(z.string()).describe("The names of the member's sessions.");

const traceparent = z.string().optional().describe(
  "The trace context of the publish (W3C): the span that published the event.",
);

export const eventMembers = {
  channel,
  offset,
  id: z.string().describe("The id that the producer sent, otherwise the offset."),
  type: z.string().describe("`message` unless the producer sent one."),
  time: time.describe("When the event was stored. Never goes backwards within a channel."),
  contentType: z.string(),
  data,
  encoding: z.literal("base64").optional().describe("Present if `data` is base64."),
  key: z.string().optional().describe("Present if the producer sent one."),
  publisher: z.string().optional().describe(
    "Who published the event, by the credential: the `sub` of a token, or `key:` and the id of an API key.",
  ),
  traceparent,
  expiresAt: time.optional().describe("After this time the event is no longer delivered."),
};

const eventExample = {
  channel: "orders",
  offset: OFFSET_EXAMPLE,
  id: "order-4711",
  type: "order",
  time: "2026-11-21T03:13:58.566Z",
  contentType: "application/json",
  data: { amount: 3 },
  publisher: "ann",
};

export const ephemeralMembers = {
  channel,
  type: z.string(),
  time,
  contentType: z.string(),
  data,
  publisher: z.string().optional(),
  traceparent,
};

export const gapMembers = {
  channel,
  reason: z.enum(["expired", "recreated", "ahead", "restored"]).describe(
    "`expired`: retention or the time to live has removed them. `recreated`: the cursor is of another epoch. `ahead`: the cursor is after the end of the log. `restored`: the store was restored from a backup that has everything up to the cursor, and nothing is missing.",
  ),
  requested: offset.describe("The offset after which the reader wanted to continue."),
  firstAvailable: offset.describe("The offset of the next event that is available."),
  lost: count.nullable().describe("How many events are missing, or `null` if that is unknown."),
};

const gapExample = {
  channel: "orders",
  reason: "expired",
  requested: "0mwpu38co_0000000000000000",
  firstAvailable: OFFSET_EXAMPLE,
  lost: 1,
};

const Event = z.strictObject(eventMembers).meta({ examples: [eventExample] });
const EphemeralEvent = z.strictObject(ephemeralMembers).describe(
  "An event that is delivered to current subscribers and never stored.",
);
const Gap = z.strictObject(gapMembers).describe(
  "A notice that some events are no longer available. Reading continues at `firstAvailable`.",
).meta({ examples: [gapExample] });

const Acknowledgement = z.strictObject({
  channel,
  offset,
  id: z.string(),
  duplicate: z.literal(true).optional().describe("The event was stored before under its id."),
}).describe("The event is durable.").meta({
  examples: [{ channel: "orders", offset: OFFSET_EXAMPLE, id: OFFSET_EXAMPLE }],
});

const EphemeralAcknowledgement = z.strictObject({ channel, ephemeral: z.literal(true) });

const Retention = z.strictObject({
  age: z.number().describe("Seconds."),
  events: count,
  bytes: count,
}).describe("How much of the channel is kept.");

const Channel = z.strictObject({
  channel,
  created: time,
  changed: time,
  first: offset.nullable().describe("The first event, or `null` if the channel is empty."),
  last: offset.describe("The last event."),
  events: count.describe("Events that are stored."),
  bytes: count.describe("Bytes that are stored."),
  retention: Retention,
});

const MemberSchema = z.strictObject({
  member: z.string(),
  data: z.unknown().describe("What the member has set, otherwise `null`."),
  since: time.describe("When the member joined."),
  offset: offset.describe("The offset of the member's last event."),
  sessions: sessions.optional(),
});

const limits = z.strictObject(
  Object.fromEntries(
    LIMIT_NAMES.map((
      name,
    ) => [name, count.optional().describe(LIMITS_IN_BODY[`limits.${name}`].text)]),
  ),
);
const rights = {
  publish: z.array(z.string()).describe(RIGHTS.publish.text),
  subscribe: z.array(z.string()).describe(RIGHTS.subscribe.text),
  presence: z.array(z.string()).describe(RIGHTS.presence.text),
  manage: z.array(z.string()).describe(RIGHTS.manage.text),
  admin: z.boolean().describe(RIGHTS.admin.text),
  metrics: z.boolean().describe(RIGHTS.metrics.text),
  limits: limits.describe(RIGHTS.limits.text),
};
const keyMembers = {
  id: z.string(),
  name: z.string().nullable(),
  created: time,
  expires: time.nullable(),
  replacedBy: z.string().nullable().describe("The key that this key was rotated to."),
  ...rights,
};

const revocation = {
  jti: z.string().optional().describe("One token."),
  sub: z.string().optional().describe("The tokens of a subject that were issued until `at`."),
  kid: z.string().optional().describe("All tokens that a key signs for the tenant."),
  key: z.string().optional().describe("An API key, by its id."),
  all: z.literal(true).optional().describe("The tenant's tokens and keys issued until `at`."),
};

export const problemCode = z.enum(Object.keys(PROBLEMS) as [keyof typeof PROBLEMS]);

/** Each schema of an answer or of what Weir sends, by its name in the descriptions. */
export const schemas = {
  Event,
  EphemeralEvent,
  Gap,
  Page: z.strictObject({
    events: z.array(Event),
    cursor,
    upToDate: z.boolean().describe("`false` if more events are available."),
    gap: Gap.optional().describe("Comes before all events of the page."),
    ephemeral: z.array(EphemeralEvent).optional().describe("Long polls only."),
  }).describe("A page of events, in log order.").meta({
    examples: [{ events: [eventExample], cursor: OFFSET_EXAMPLE, upToDate: true }],
  }),
  PageBefore: z.strictObject({
    events: z.array(Event),
    cursor: cursor.describe("Reading after it continues the page forwards."),
    before: offset.nullable().describe("The `before` of the next page further back, or `null`."),
  }).describe("A page of the events before an offset, in log order."),
  Acknowledgement,
  Acknowledgements: z.strictObject({ events: z.array(Acknowledgement) }).describe(
    "All events are durable. They are in the order of the request.",
  ),
  EphemeralAcknowledgement,
  Channel: Channel.describe("A channel's figures."),
  Channels: z.strictObject({
    channels: z.array(Channel),
    next: z.string().nullable().describe("The `after` of the next page, or `null`."),
  }),
  Member: MemberSchema,
  Members: z.strictObject({
    members: z.array(MemberSchema),
    cursor: cursor.describe("Reading `$presence:<channel>` after it returns every later change."),
  }).describe("Who is in the channel, in the order of `since`."),
  Membership: z.strictObject({
    channel,
    member: z.string().describe("The member's name."),
    offset,
    expiresIn: milliseconds.describe("Milliseconds until the session ends unless it is renewed."),
  }),
  SignalSent: z.strictObject({
    sessions: z.array(z.string()).describe("The sessions that the signal was sent to."),
  }),
  IceServers: z.strictObject({
    iceServers: z.array(z.strictObject({
      urls: z.array(z.string()),
      username: z.string().optional(),
      credential: z.string().optional(),
    })).describe("As in `RTCConfiguration`."),
    expiresIn: milliseconds.describe("Milliseconds after which to ask again."),
  }),
  Ticket: z.strictObject({
    ticket: z.string().describe("Replaces the credential once, in the query parameter `ticket`."),
    expiresIn: milliseconds.describe("Milliseconds."),
  }),
  Transports: z.strictObject({
    transports: z.array(
      z.enum(["webtransport", "websocket", "sse", "long-poll", "short-poll"]),
    ).describe("Best first."),
    webtransport: z.strictObject({
      url: z.string(),
      certificateHashes: z.array(z.strictObject({
        algorithm: z.literal("sha-256"),
        value: z.string().describe("The hash in base64."),
      })).optional().describe("Present if the certificate is self-signed."),
    }).optional(),
  }),
  Key: z.strictObject({
    ...keyMembers,
    revoked: z.boolean().describe("Whether a revocation of the whole tenant has ended it."),
  }),
  Keys: z.strictObject({
    keys: z.array(z.strictObject({ ...keyMembers, revoked: z.boolean() })),
    next: z.string().nullable().describe("The `after` of the next page, or `null`."),
  }),
  CreatedKey: z.strictObject({
    key: z.string().describe("The key itself. Only this answer contains it."),
    ...keyMembers,
  }),
  Revocation: z.strictObject(revocation).describe("Exactly one member."),
  Revocations: z.strictObject({
    revocations: z.array(z.strictObject({ ...revocation, at: time })),
    total: count,
  }),
  Status: z.strictObject({ status: z.literal("ok") }),
  Problem: z.strictObject({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    code: problemCode.describe("Stable."),
    detail: z.string().describe("For people. It may change."),
    index: count.optional().describe("The event of a list that the problem is about, from 0."),
  }).describe("A refusal: problem details (RFC 9457).").meta({
    examples: [{
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      code: "unknown_parameter",
      detail: 'Unknown query parameter "form". Allowed: after, limit.',
    }],
  }),
  PublishAnswer: z.union([
    z.strictObject({
      index: count,
      channel,
      offset,
      id: z.string(),
      duplicate: z.literal(true).optional(),
    }),
    z.strictObject({ index: count, channel, ephemeral: z.literal(true) }),
    z.strictObject({
      index: count.optional(),
      status: z.int(),
      code: problemCode,
      detail: z.string(),
      retryAfter: milliseconds.optional(),
    }),
  ]).describe(
    "One line of the answer to a stream of publishes. A line with `code` and without `index` says why the stream ends.",
  ),
  OpenApi: z.looseObject({ openapi: z.string() }).describe("An OpenAPI document."),
  AsyncApi: z.looseObject({ asyncapi: z.string() }).describe("An AsyncAPI document."),
} as const;
