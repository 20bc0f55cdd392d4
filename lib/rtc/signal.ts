import { MAX_INBOX_BYTES, MAX_INBOX_SIGNALS, SIGNAL_LIFETIME_MS } from "../log/retention_limits.ts";
import type { Draft } from "../log/log.ts";
import { type Member, type MemberName, parseMemberName } from "../presence/member.ts";
import { channelKeyOf, channelOf, inboxChannel, tenantOf } from "../shared/channel.ts";
import { JSON_TYPE } from "../shared/event.ts";
import { Problem } from "../shared/problem.ts";

/** Bytes of a signal's data. Guards against inboxes that serve as storage for large files. */
export const MAX_SIGNAL_BYTES = 65_536;
/** When a full inbox may have room again: retention removes old signals this often. */
const FULL_RETRY_MS = 30_000;

/** Who sends a signal, as the server knows it. */
export interface SignalSender {
  readonly member: Member;
  /** Undefined if the session has no name. */
  readonly session: string | undefined;
  /** Who publishes, by the credential. */
  readonly publisher: string | undefined;
  /** Whether the session is known to have joined. Else it must be in the list of its member's. */
  readonly hasJoined: boolean;
}

/** A signal, as its sender wants it delivered. */
export interface Signal {
  readonly to: MemberName;
  /** Undefined for all sessions of the member. */
  readonly toSession: string | undefined;
  /** JSON. */
  readonly data: string;
  /** Size of the data in bytes of UTF-8. */
  readonly bytes: number;
}

const utf8 = new TextEncoder();

/**
 * Parses what a client sends.
 *
 * @param dataText the data as it is stored. @default `data` as JSON
 * @throws {Problem} `bad_member`, `signal_too_large`
 */
export function parseSignal(
  { to, toSession, data }: {
    readonly to: string;
    readonly toSession?: string | undefined;
    /** A JSON value. */
    readonly data: unknown;
  },
  dataText?: string,
): Signal {
  const name = parseMemberName(to);
  const text = dataText ?? JSON.stringify(data);
  if (text.length > MAX_SIGNAL_BYTES) throw signalTooLarge(); // a character has at least one byte
  const bytes = utf8.encode(text).length;
  if (bytes > MAX_SIGNAL_BYTES) throw signalTooLarge();
  return { to: name, toSession, data: text, bytes };
}

export function signalTooLarge(): Problem {
  return new Problem(
    "signal_too_large",
    `A signal's data may have at most ${MAX_SIGNAL_BYTES} bytes as JSON.`,
  );
}

/**
 * Returns the draft of a signal to one session. All members of its data but `data` are set by the
 * server.
 *
 * @throws {Problem} `bad_channel`
 */
export function signalDraft(
  { member: { channelKey, name }, session, publisher }: SignalSender,
  { to, data }: Signal,
  toSession: string,
): Draft {
  const channel = channelOf(channelKey);
  const inbox = inboxChannel({ channel, member: to, session: toSession });
  const stamp = JSON.stringify({ from: name, fromSession: session, to, toSession });
  const text = `${stamp.slice(0, -1)},"data":${data}}`;
  return {
    channelKey: channelKeyOf(tenantOf(channelKey), inbox),
    id: undefined,
    type: "signal",
    contentType: JSON_TYPE,
    data: text,
    bytes: utf8.encode(text).length,
    key: undefined,
    publisher,
    ttlMs: SIGNAL_LIFETIME_MS,
    capacity: { events: MAX_INBOX_SIGNALS, bytes: MAX_INBOX_BYTES, refusal: inboxFull },
  };
}

function inboxFull(): Problem {
  return new Problem(
    "inbox_full",
    `The session has an inbox with ${MAX_INBOX_SIGNALS} signals or ${MAX_INBOX_BYTES} bytes, which is the maximum.`,
    { retryAfterMs: FULL_RETRY_MS },
  );
}
