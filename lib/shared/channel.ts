import { Problem, quote } from "./problem.ts";

/** A customer or application, named by the credential. Open mode has only the tenant `default`. */
export type Tenant = string & { readonly __brand: "Tenant" };

/** A channel's name: 1–256 bytes of UTF-8 without control characters, and neither `.` nor `..`. */
export type Channel = string & { readonly __brand: "Channel" };

/** Tenant and channel as one string, `<tenant>/<channel>`, so that it can be a key of a Map. */
export type ChannelKey = string & { readonly __brand: "ChannelKey" };

export const DEFAULT_TENANT = "default" as Tenant;

/** The channel with a tenant's security events. Only Weir publishes to it. */
export const AUDIT_CHANNEL = "$audit" as Channel;

/** The channel with the figures of the whole server, which is in {@link DEFAULT_TENANT} only. */
export const FIGURES_CHANNEL = "$figures" as Channel;
export const FIGURES_CHANNEL_KEY = channelKeyOf(DEFAULT_TENANT, FIGURES_CHANNEL);

/** Prefix of the channel with the presence changes of the channel that follows. */
const PRESENCE_PREFIX = "$presence:";

/** Prefix of inboxes. */
const INBOX_PREFIX = "$signals:";

/** The names that clients may give their sessions. They need no escapes in paths and inboxes. */
export const SESSION_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Describes {@link SESSION_NAME} in errors. */
export const SESSION_NAME_FORMAT = "1–64 of A–Z a–z 0–9 _ -";

/** The session of a member that receives signals in an inbox. */
interface InboxOwner {
  /** The channel in whose presence the member is. */
  readonly channel: Channel;
  readonly member: string;
  readonly session: string;
}

/** Channel names are in keys of the store, which have at most 2,048 bytes, and in log lines. */
export const MAX_CHANNEL_BYTES = 256;

/**
 * Guards against paths that name something else: URL parsers remove these segments, even as `%2e`
 * (WHATWG URL, "double-dot URL path segment"), so `/v1/channels/../events` becomes `/v1/events`.
 */
const DOT_SEGMENT_FAULT = `"." and ".." cannot be segments of a URL's path`;

const utf8 = new TextEncoder();
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Parses the name of a channel that clients may publish to.
 *
 * @throws {Problem} `bad_channel`; `channel_reserved` for names that start with `$`.
 */
export function parseChannel(name: string): Channel {
  const fault = channelFault(name);
  if (fault !== undefined) {
    throw new Problem(
      "bad_channel",
      `Invalid channel name ${
        quote(name)
      }: ${fault}. A channel name is 1–${MAX_CHANNEL_BYTES} bytes of UTF-8 without control characters.`,
    );
  }
  if (name.startsWith("$")) {
    throw new Problem(
      "channel_reserved",
      `Invalid channel name ${quote(name)}: names that start with "$" are reserved.`,
    );
  }
  return name as Channel;
}

/**
 * Parses the name of a channel that clients may read. It may be reserved.
 *
 * @throws {Problem} as {@link parseChannel}
 */
export function parseReadableChannel(name: string): Channel {
  if (name === AUDIT_CHANNEL) return AUDIT_CHANNEL;
  if (name === FIGURES_CHANNEL) return FIGURES_CHANNEL;
  if (name.startsWith(INBOX_PREFIX)) return parseInbox(name);
  return name.startsWith(PRESENCE_PREFIX)
    ? presenceChannel(parseChannel(name.slice(PRESENCE_PREFIX.length)))
    : parseChannel(name);
}

/**
 * Returns the reserved channel with the presence changes of `channel`.
 *
 * @throws {Problem} `bad_channel` if the name would be too long.
 */
export function presenceChannel(channel: Channel): Channel {
  const name = `${PRESENCE_PREFIX}${channel}`;
  if (channelFault(name) === undefined) return name as Channel;
  throw new Problem(
    "bad_channel",
    `Cannot use presence in ${quote(channel)}: its name is longer than ${
      MAX_CHANNEL_BYTES - PRESENCE_PREFIX.length
    } bytes.`,
  );
}

/** Returns the channel whose presence changes are in `channel`, or undefined for other channels. */
export function channelOfPresence(channel: Channel): Channel | undefined {
  return channel.startsWith(PRESENCE_PREFIX)
    ? channel.slice(PRESENCE_PREFIX.length) as Channel
    : undefined;
}

/**
 * Returns the inbox of a session: the reserved channel with its signals. The member is
 * percent-encoded, as by `encodeURIComponent`, so the last two slashes split the name.
 *
 * @throws {Problem} `bad_channel` if the name would be too long.
 */
export function inboxChannel({ channel, member, session }: InboxOwner): Channel {
  const name = `${INBOX_PREFIX}${channel}/${encodeURIComponent(member)}/${session}`;
  if (channelFault(name) === undefined) return name as Channel;
  throw new Problem(
    "bad_channel",
    `Cannot use signals for ${quote(member)} in ${
      quote(channel)
    }: the name of its inbox is longer than ${MAX_CHANNEL_BYTES} bytes.`,
  );
}

/** Returns whose inbox `channel` is, or undefined for other channels. */
export function ownerOfInbox(channel: Channel): InboxOwner | undefined {
  return channel.startsWith(INBOX_PREFIX) ? splitInbox(channel) : undefined;
}

/** Splits the name of an inbox, whose channel may have slashes. Undefined if it is malformed. */
function splitInbox(name: string): InboxOwner | undefined {
  const sessionAt = name.lastIndexOf("/");
  const memberAt = name.lastIndexOf("/", sessionAt - 1);
  const session = name.slice(sessionAt + 1);
  if (memberAt < 0 || !SESSION_NAME.test(session)) return undefined;
  const channel = name.slice(INBOX_PREFIX.length, memberAt) as Channel;
  try {
    return { channel, member: decodeURIComponent(name.slice(memberAt + 1, sessionAt)), session };
  } catch {
    return undefined; // not percent-encoded UTF-8
  }
}

/** @throws {Problem} `bad_channel`, `channel_reserved` */
function parseInbox(name: string): Channel {
  const owner = splitInbox(name);
  // Each inbox has only one name: other spellings of the member are refused.
  if (owner !== undefined && channelFault(owner.member) === undefined) {
    parseChannel(owner.channel);
    if (inboxChannel(owner) === name) return name as Channel;
  }
  throw new Problem(
    "bad_channel",
    `Invalid inbox ${
      quote(name)
    }: it is ${INBOX_PREFIX}<channel>/<member>/<session>, with the member percent-encoded.`,
  );
}

/** Returns what is wrong with `name` as a channel name, or undefined if it is valid. */
export function channelFault(name: string): string | undefined {
  if (name.length === 0) return "it is empty";
  if (name === "." || name === "..") return DOT_SEGMENT_FAULT;
  // A UTF-16 unit takes at most three bytes of UTF-8, so short names need no counting.
  if (3 * name.length > MAX_CHANNEL_BYTES && utf8.encode(name).length > MAX_CHANNEL_BYTES) {
    return "it is too long";
  }
  if (CONTROL.test(name)) return "it contains a control character";
  if (!name.isWellFormed()) return "it is not valid Unicode";
  return undefined;
}

export function channelKeyOf(tenant: Tenant, channel: Channel): ChannelKey {
  return `${tenant}/${channel}` as ChannelKey;
}

export function channelOf(channelKey: ChannelKey): Channel {
  return channelKey.slice(channelKey.indexOf("/") + 1) as Channel;
}

export function tenantOf(channelKey: ChannelKey): Tenant {
  return channelKey.slice(0, channelKey.indexOf("/")) as Tenant;
}
