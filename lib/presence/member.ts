import { type Authority, UNPROVEN_PREFIX } from "../auth/authority.ts";
import { channelFault, type ChannelKey } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";

/** A member's name in a channel's presence: 1–256 bytes of UTF-8 without control characters. */
export type MemberName = string & { readonly __brand: "MemberName" };

/** A member of one channel. */
export interface Member {
  /** The channel in which the member is present, not its `$presence:` channel. */
  readonly channelKey: ChannelKey;
  readonly name: MemberName;
}

/** Returns the member as one string, for use as a key in maps. */
export function memberId({ channelKey, name }: Member): string {
  return `${channelKey}\0${name}`;
}

/** Bytes of a member's data as JSON. Guards against snapshots that fill the memory. */
const MAX_DATA_BYTES = 1_024;

const utf8 = new TextEncoder();

/**
 * Returns the name under which the holder of `authority` joins. A token with a subject is always
 * that subject. API keys, and everyone in open mode, may use any name. Everyone else gets a prefix,
 * so that they cannot pass as a subject.
 *
 * @param requested the name that the client asked for, if any.
 * @throws {Problem} `bad_member`, `forbidden`
 */
export function resolveMemberName(
  { grant }: Authority,
  requested: string | undefined,
): MemberName {
  const { subject, kind } = grant;
  if (subject !== undefined) {
    if (requested === undefined || requested === subject) return subjectName(subject);
    throw new Problem("forbidden", "A token with a subject can only be the member of that name.");
  }
  if (requested === undefined) {
    throw new Problem("bad_member", "A member name is required: this credential has no subject.");
  }
  const name = parseMemberName(requested);
  return kind === "key" || kind === "open" ? name : parseMemberName(`${UNPROVEN_PREFIX}${name}`);
}

/**
 * Returns a member's data as JSON text, or undefined if there is none.
 *
 * @throws {Problem} `event_too_large`
 */
export function parseMemberData(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const data = JSON.stringify(value);
  const bytes = dataBytes(data);
  if (bytes <= MAX_DATA_BYTES) return data;
  throw new Problem(
    "event_too_large",
    `The member's data has ${bytes} bytes; at most ${MAX_DATA_BYTES} are allowed.`,
  );
}

/** Returns the bytes of a member's data that count for limits. */
export function dataBytes(data: string | undefined): number {
  return data === undefined ? 0 : utf8.encode(data).length;
}

function subjectName(subject: string): MemberName {
  if (!isUnproven(subject)) return parseMemberName(subject);
  throw new Problem(
    "bad_member",
    `Cannot use the subject ${quote(subject)} as a member name: names that start with ` +
      `"${UNPROVEN_PREFIX}" are for members without a subject.`,
  );
}

function isUnproven(name: string): boolean {
  return name.startsWith(UNPROVEN_PREFIX);
}

/** @throws {Problem} `bad_member` */
export function parseMemberName(text: string): MemberName {
  const fault = channelFault(text); // member names have the form of channel names
  if (fault === undefined) return text as MemberName;
  throw new Problem(
    "bad_member",
    `Cannot use ${quote(text)} as a member name: ${fault}. ` +
      "A member name is 1–256 bytes of UTF-8 without control characters.",
  );
}
