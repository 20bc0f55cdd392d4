import { Problem, quote } from "./problem.ts";

/** The unit of isolation, named by the credential. In open mode there is one, `default`. */
export type Tenant = string & { readonly __brand: "Tenant" };

/** A channel's name: 1–256 bytes of UTF-8 without control characters. */
export type Channel = string & { readonly __brand: "Channel" };

/** A channel within its tenant, `<tenant>/<channel>`: one string, so that it can key a Map. */
export type ChannelKey = string & { readonly __brand: "ChannelKey" };

export const DEFAULT_TENANT = "default" as Tenant;

/** Where a tenant's security events are: written by the system, read by who has the right. */
export const AUDIT_CHANNEL = "$audit" as Channel;

/** Where the server's own figures are: of all of it, so of {@link DEFAULT_TENANT} alone. */
export const FIGURES_CHANNEL = "$figures" as Channel;
export const FIGURES_CHANNEL_KEY = channelKeyOf(DEFAULT_TENANT, FIGURES_CHANNEL);

/** Before a channel's name: where the changes of its presence are. */
const PRESENCE = "$presence:";

/** Channel names stand in keys of 2,048 bytes at most, and in every metric and log line. */
export const MAX_CHANNEL_BYTES = 256;

const utf8 = new TextEncoder();
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * The channel that `name` names.
 *
 * @throws {Problem} `bad_channel`, or `channel_reserved` for a name that starts with `$`.
 */
export function parseChannel(name: string): Channel {
  const fault = channelFault(name);
  if (fault !== undefined) {
    throw new Problem(
      "bad_channel",
      `Cannot use ${
        quote(name)
      } as a channel: ${fault}. A channel is 1–${MAX_CHANNEL_BYTES} bytes of UTF-8 without control characters.`,
    );
  }
  if (name.startsWith("$")) {
    throw new Problem(
      "channel_reserved",
      `Cannot use ${quote(name)} as a channel: names that start with "$" are the system's own.`,
    );
  }
  return name as Channel;
}

/**
 * The channel that `name` names, to read from it: the system's own that can be read are allowed.
 *
 * @throws {Problem} as {@link parseChannel}
 */
export function parseReadableChannel(name: string): Channel {
  if (name === AUDIT_CHANNEL) return AUDIT_CHANNEL;
  if (name === FIGURES_CHANNEL) return FIGURES_CHANNEL;
  return name.startsWith(PRESENCE)
    ? presenceChannel(parseChannel(name.slice(PRESENCE.length)))
    : parseChannel(name);
}

/**
 * The system channel that has the changes of who is in `channel`.
 *
 * @throws {Problem} `bad_channel` where the name is too long for that.
 */
export function presenceChannel(channel: Channel): Channel {
  const name = `${PRESENCE}${channel}`;
  if (channelFault(name) === undefined) return name as Channel;
  throw new Problem(
    "bad_channel",
    `Cannot have presence in ${quote(channel)}: its name is longer than ${
      MAX_CHANNEL_BYTES - PRESENCE.length
    } bytes.`,
  );
}

/** The channel whose presence `channel` has the changes of; undefined: it is no such channel. */
export function watchedChannel(channel: Channel): Channel | undefined {
  return channel.startsWith(PRESENCE) ? channel.slice(PRESENCE.length) as Channel : undefined;
}

/** What is wrong with `name` as a channel, or undefined. */
export function channelFault(name: string): string | undefined {
  if (name.length === 0) return "it is empty";
  // A UTF-16 unit is three bytes of UTF-8 at the most: short names need no counting.
  if (3 * name.length > MAX_CHANNEL_BYTES && utf8.encode(name).length > MAX_CHANNEL_BYTES) {
    return "it is too long";
  }
  if (CONTROL.test(name)) return "it has a control character";
  if (!name.isWellFormed()) return "it is not well-formed Unicode";
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
