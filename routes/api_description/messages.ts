// The schemas of what connections carry. Tests check what servers send by them. Like `schemas.ts`,
// they are loaded when someone asks for a description.
import { z } from "zod";
import { CLOSE_CODES, type GoodbyeReason } from "../../lib/transports/goodbye.ts";
import {
  channel,
  cursor,
  ephemeralMembers,
  eventMembers,
  gapMembers,
  milliseconds,
  offset,
  problemCode,
  schemas,
} from "./schemas.ts";

const ref = z.union([z.number(), z.string().max(64)]).describe("The `ref` of the message.");
const goodbyeReason = z.enum(Object.keys(CLOSE_CODES) as [GoodbyeReason]).describe(
  "Why the connection ends. Clients must accept reasons that they do not know.",
);
const retry = milliseconds.describe("Milliseconds to wait before the next connection.");
const expiresIn = milliseconds.describe("Milliseconds until the credential expires.");

/** The messages from the server in `weir.v1`, by their `op`. */
export const serverMessages = {
  welcome: z.strictObject({
    op: z.literal("welcome"),
    session: z.string().describe("The connection's id."),
    heartbeat: milliseconds.describe("Milliseconds between heartbeats."),
    window: z.int().optional().describe(
      "WebTransport only: bytes that the server sends without an acknowledgement.",
    ),
  }).describe("The first message of every connection."),
  event: z.strictObject({
    op: z.literal("event"),
    ...eventMembers,
    cursor: cursor.optional().describe("Of a subscription to several channels."),
  }).describe("A stored event."),
  ephemeral: z.strictObject({ op: z.literal("ephemeral"), ...ephemeralMembers }).describe(
    "An event that is not stored.",
  ),
  gap: z.strictObject({
    op: z.literal("gap"),
    ...gapMembers,
    cursor: cursor.describe("The position after the gap."),
  }).describe("Some events are no longer available."),
  subscribed: z.strictObject({
    op: z.literal("subscribed"),
    ref,
    channel: channel.optional().describe("Of a subscription to one channel."),
    offset: offset.optional().describe("The subscription begins after it."),
    channels: z.array(channel).optional().describe("Of a subscription to several channels."),
    cursor: cursor.optional().describe("The subscription begins after it."),
  }).describe("Answers `subscribe`. The events of the subscription follow."),
  unsubscribed: z.strictObject({
    op: z.literal("unsubscribed"),
    ref: ref.optional(),
    channel: channel.optional().describe("Without a `ref`: the subscription that has ended."),
    reason: z.literal("forbidden").optional().describe("The new credential may not read it."),
  }).describe("Answers `unsubscribe`; without a `ref`, a subscription has ended."),
  ack: z.strictObject({
    op: z.literal("ack"),
    ref,
    offset: offset.optional(),
    id: z.string().optional().describe("The event's id."),
    duplicate: z.literal(true).optional().describe("The event was stored before under its id."),
    ephemeral: z.literal(true).optional().describe("The event was ephemeral."),
    sessions: z.array(z.string()).optional().describe("The sessions that the signal went to."),
  }).describe("Answers `publish` and `signal`, once the event is durable."),
  authenticated: z.strictObject({
    op: z.literal("authenticated"),
    ref: ref.optional(),
    expiresIn: expiresIn.optional(),
  }).describe("Answers `auth`."),
  entered: z.strictObject({
    op: z.literal("entered"),
    ref,
    channel,
    member: z.string().describe("The member's name."),
    offset: offset.describe("Of the member's last event."),
  }).describe("Answers `enter`."),
  left: z.strictObject({
    op: z.literal("left"),
    ref: ref.optional(),
    channel: channel.optional().describe("Without a `ref`: where the client is not any more."),
    member: z.string().optional().describe("The member's name."),
    session: z.string().optional().describe("The session's name."),
    reason: z.literal("forbidden").optional().describe("The new credential may not be it."),
  }).describe("Answers `leave`; without a `ref`, the client is not the member any more."),
  pong: z.strictObject({ op: z.literal("pong"), ref: ref.optional() }).describe("Answers `ping`."),
  token: z.strictObject({ op: z.literal("token"), expiresIn }).describe(
    "The credential expires soon: time for another `auth`.",
  ),
  error: z.strictObject({
    op: z.literal("error"),
    ref: ref.optional(),
    code: problemCode.describe("Stable, as over HTTP."),
    detail: z.string().describe("For people. It may change."),
    retryAfter: milliseconds.optional().describe("Milliseconds until a retry may succeed."),
  }).describe("Refuses a message. The connection stays open, with few exceptions."),
  goodbye: z.strictObject({ op: z.literal("goodbye"), retry, reason: goodbyeReason }).describe(
    "The server closes the connection.",
  ),
} as const;

export type ServerOp = keyof typeof serverMessages;

/** The data of system events on streams of server-sent events, by their `event:`. */
export const systemEvents = {
  "weir.open": z.strictObject({ cursor }).describe(
    "The first event: the stream begins after this cursor, which is also its `id:`.",
  ),
  "weir.gap": schemas.Gap,
  "weir.token": z.strictObject({
    stream: z.string().describe("The stream's id, as in `Weir-Stream`."),
    expiresIn,
  }).describe("The credential expires soon: time for `POST /v1/streams/{id}/token`."),
  "weir.unsubscribed": z.strictObject({
    channel,
    reason: z.literal("forbidden").describe("The new credential may not read the channel."),
  }).describe("The subscription to the channel has ended."),
  "weir.goodbye": z.strictObject({ retry, reason: goodbyeReason }).describe(
    "The server ends the stream.",
  ),
} as const;

/** An ephemeral event on a stream with `envelope=1`. */
export const ephemeralEnvelope = z.strictObject({
  ...ephemeralMembers,
  ephemeral: z.literal(true).describe("Tells it from stored events."),
}).describe("An event that is not stored. It has no `id:`.");
