import { describeIssue } from "../../shared/issue.ts";
import { z } from "zod";
import { MAX_TOKEN_CHARS } from "../../auth/token_verifier.ts";
import { publication } from "../../publish/draft.ts";
import { makeNumbers, parseJson } from "../../publish/json.ts";
import { readLargeObject } from "../../publish/large_json.ts";
import { SESSION_NAME, SESSION_NAME_FORMAT } from "../../shared/channel.ts";
import { MAX_JSON_DEPTH } from "../../shared/json_depth.ts";
import { Problem, type ProblemCode, quote } from "../../shared/problem.ts";

/** Levels of a message around its data. */
const MESSAGE_LEVELS = 1;
/** Members of a message. Guards against a long search for those that are unknown. */
const MAX_MEMBERS = 32;
/** Channels in a message, repeats included. Guards against one error for each of a million. */
const MAX_LISTED_CHANNELS = 10_000;
/** Event streams in a message: many more than are open at once. Guards as above. */
const MAX_LISTED_STREAMS = 256;

/** The client's own name for a message, by which it finds the answer. */
const ref = z.union([z.number(), z.string().max(64)]);

/** The client's own name for a session of a member. */
const session = z.string().regex(SESSION_NAME, SESSION_NAME_FORMAT);

/** The messages from a client, by their `op`. */
export const clientMessages = {
  subscribe: z.strictObject({
    op: z.literal("subscribe"),
    ref,
    channel: z.string().optional(),
    /** Several channels under one cursor, instead of `channel`. */
    channels: z.array(z.string()).min(1).optional(),
    after: z.string().optional(),
  }),
  unsubscribe: z.strictObject({
    op: z.literal("unsubscribe"),
    ref,
    channel: z.string().optional(),
    channels: z.array(z.string()).min(1).optional(),
  }),
  publish: publication.extend({ op: z.literal("publish"), ref }),
  /** Enters a member, or updates its data. */
  enter: z.strictObject({
    op: z.literal("enter"),
    ref,
    channel: z.string(),
    member: z.string().optional(),
    session: session.optional(),
    data: z.unknown().optional(),
  }),
  leave: z.strictObject({
    op: z.literal("leave"),
    ref,
    channel: z.string(),
    member: z.string().optional(),
    session: session.optional(),
  }),
  /** Sends a signal as a member that the client has entered. */
  signal: z.strictObject({
    op: z.literal("signal"),
    ref,
    channel: z.string(),
    member: z.string().optional(),
    session: session.optional(),
    to: z.string(),
    toSession: session.optional(),
    data: z.unknown(),
  }),
  /** Brings the connection's first credential, or another. */
  auth: z.strictObject({
    op: z.literal("auth"),
    ref: ref.optional(),
    token: z.string().min(1).max(MAX_TOKEN_CHARS),
  }),
  ping: z.strictObject({ op: z.literal("ping"), ref: ref.optional() }),
  /** Tells how many bytes the client has taken from event streams, by their number. */
  received: z.strictObject({
    op: z.literal("received"),
    ref: ref.optional(),
    streams: z.record(
      z.string().regex(/^[1-9]\d{0,14}$/, "the name must be the number of a stream"),
      z.int().nonnegative(),
    ),
  }),
} as const;

type Operations = typeof clientMessages;
type Op = keyof Operations;

/** A message from a client, as the subprotocol `weir.v1` has it. */
export type ClientMessage = { [K in Op]: MessageOf<K> }[Op];
export type MessageOf<K extends Op> = z.infer<Operations[K]>;
export type Ref = z.infer<typeof ref>;

/** A message from the server. */
export interface ServerMessage {
  readonly op: string;
  readonly [member: string]: unknown;
}

const TOO_MANY_MEMBERS = "it has too many members";
const STREAM_OPS = Object.keys(clientMessages);
const OPS = STREAM_OPS.filter((op) => op !== "received");

/** Why a message is refused, and its `ref`, if that can be read. */
interface RefusedMessage {
  readonly ref: Ref | undefined;
  readonly problem: Problem;
}

/** A message that was long. */
interface LargeMessage {
  readonly message: ClientMessage | RefusedMessage;
  /** The data as it is stored, if it is too long to be parsed. */
  readonly dataText: string | undefined;
}

interface ParseOptions {
  /** Whether events come on streams, so that the op `received` exists. @default false */
  readonly hasStreams?: boolean;
}

/** Parses a message. Returns the reason if that fails; never throws. */
export function parseMessage(
  line: string,
  options: ParseOptions = {},
): ClientMessage | RefusedMessage {
  try {
    return messageOf(parseJson(line, MAX_JSON_DEPTH + MESSAGE_LEVELS), options);
  } catch (cause) {
    return unreadable(cause);
  }
}

/** Parses a message of any length in turns of the event loop. Never rejects. */
export async function parseLargeMessage(
  line: string,
  options: ParseOptions = {},
): Promise<LargeMessage> {
  try {
    const { value, members, dataText, longMember } = await readLargeObject(line, {
      maxDepth: MAX_JSON_DEPTH + MESSAGE_LEVELS,
    });
    const fault = members > MAX_MEMBERS
      ? TOO_MANY_MEMBERS
      : longMember !== undefined
      ? `${quote(longMember)} is too long`
      : undefined;
    return { message: messageOf(value, options, fault), dataText };
  } catch (cause) {
    return { message: unreadable(cause), dataText: undefined };
  }
}

function unreadable(cause: unknown): RefusedMessage {
  const reason = cause instanceof Problem ? cause.detail : "it is not JSON.";
  return {
    ref: undefined,
    problem: new Problem("bad_frame", `Cannot parse the frame: ${reason}`, { cause }),
  };
}

/** @param fault why the message is refused, unless it is for its op. */
function messageOf(
  value: unknown,
  { hasStreams = false }: ParseOptions,
  fault?: string,
): ClientMessage | RefusedMessage {
  if (typeof value !== "object" || value === null) {
    return refused(value, "bad_frame", 'A message must be a JSON object with a member "op".');
  }
  makeNumbers(value, ["ref", "ttl"]);
  const { op } = value as { op?: unknown };
  const ops = hasStreams ? STREAM_OPS : OPS;
  if (typeof op !== "string" || !ops.includes(op)) {
    const reason = typeof op === "string" ? `Unknown op ${quote(op)}` : "The message has no op";
    return refused(value, "bad_op", `${reason}. Allowed: ${ops.join(", ")}.`);
  }
  fault ??= sizeFault(value);
  if (fault !== undefined) {
    return refused(value, "bad_message", `Cannot use the ${op} message: ${fault}.`);
  }
  const parsed = clientMessages[op as Op].safeParse(value);
  if (parsed.success) return parsed.data;
  const detail = `Cannot use the ${op} message: ${describeIssue(parsed.error)}.`;
  return refused(value, "bad_message", detail);
}

/** Returns why `value` has too much to be checked. The schema would look at all of it. */
function sizeFault(value: object): string | undefined {
  if (Object.keys(value).length > MAX_MEMBERS) return TOO_MANY_MEMBERS;
  const { channels, streams } = value as { channels?: unknown; streams?: unknown };
  if (Array.isArray(channels) && channels.length > MAX_LISTED_CHANNELS) return "channels: too many";
  if (typeof streams === "object" && Object.keys(streams ?? {}).length > MAX_LISTED_STREAMS) {
    return "streams: too many";
  }
  return undefined;
}

function refused(value: unknown, code: ProblemCode, detail: string): RefusedMessage {
  const given = typeof value === "object" && value !== null
    ? (value as { ref?: unknown }).ref
    : undefined;
  const { data } = ref.safeParse(given);
  return { ref: data, problem: new Problem(code, detail) };
}
