import type { Authority } from "../auth/authority.ts";
import { channelFault, type ChannelKey } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";

/** A member's name in a channel's presence: 1–256 bytes of UTF-8 without control characters. */
export type MemberName = string & { readonly __brand: "Member" };

/** A member of one channel. */
export interface Member {
  /** Of the channel itself, not of its `$presence:`. */
  readonly channelKey: ChannelKey;
  readonly name: MemberName;
}

/** Returns the member as one string, for use as a key in maps. */
export function memberId({ channelKey, name }: Member): string {
  return `${channelKey}\0${name}`;
}

/** Bytes of a member's data in JSON. Met: snapshots of a thousand members that fill memory. */
export const MAX_DATA_BYTES = 1_024;

/** Before the names of those whose credential doesn't say who they are: no subject's own. */
const UNPROVEN_PREFIX = "~";

const utf8 = new TextEncoder();

/**
 * Which member the holder of `authority` is. A token with a subject is that and nobody else; API
 * keys, and everyone in open mode, may be anyone; all others can't pass as a subject.
 *
 * @param given as the client said it; undefined: it didn't.
 * @throws {Problem} `bad_member`, `forbidden`
 */
export function resolveMemberName({ grant }: Authority, given: string | undefined): MemberName {
  const { subject, kind } = grant;
  if (subject !== undefined) {
    if (given === undefined || given === subject) return subjectMember(subject);
    throw new Problem("forbidden", "This credential may be its own subject and no other member.");
  }
  if (given === undefined) {
    const detail = `Say which member: this credential has no subject that would be it.`;
    throw new Problem("bad_member", detail);
  }
  const member = parseMember(given);
  return kind === "key" || kind === "open" ? member : parseMember(`${UNPROVEN_PREFIX}${member}`);
}

/** Whether the holder of `authority` may be `member`, whom another credential has made of it. */
export function mayUseMember({ grant }: Authority, member: MemberName): boolean {
  if (grant.subject !== undefined) return member === grant.subject && !isUnproven(member);
  return grant.kind === "key" || grant.kind === "open" || isUnproven(member);
}

/**
 * A member's data as JSON text; undefined where none was given.
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
    `Cannot keep ${bytes} bytes of data for a member: ${MAX_DATA_BYTES} at the most.`,
  );
}

/** Bytes of a member's data, as they count for limits. */
export function dataBytes(data: string | undefined): number {
  return data === undefined ? 0 : utf8.encode(data).length;
}

function subjectMember(subject: string): MemberName {
  if (!isUnproven(subject)) return parseMember(subject);
  throw new Problem(
    "bad_member",
    `Cannot use ${quote(subject)} as a member: anyone without a subject could be the same.`,
  );
}

function isUnproven(name: string): boolean {
  return name.startsWith(UNPROVEN_PREFIX);
}

function parseMember(text: string): MemberName {
  const fault = channelFault(text); // a channel's name and a member's have the same form
  if (fault === undefined) return text as MemberName;
  throw new Problem(
    "bad_member",
    `Cannot use ${
      quote(text)
    } as a member: ${fault}. It is 1–256 bytes of UTF-8 without control characters.`,
  );
}
