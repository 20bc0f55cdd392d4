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
