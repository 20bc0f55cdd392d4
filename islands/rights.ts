/** Channel patterns for each right; see docs/protocol.md, "Tokens". */
export interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  readonly presence: readonly string[];
  readonly manage: readonly string[];
}

/** The prefix of the system channel with the presence events of a channel. */
const PRESENCE = "$presence:";

/**
 * Tells whether a right covers the channel. It only decides what the page shows: the server checks
 * rights itself.
 */
export function may(rights: Rights, right: keyof Rights, channel: string): boolean {
  return rights[right].some((pattern) => isMatch(pattern, channel));
}

/** Tells whether the channel can be read. Presence channels require the right `presence`. */
export function mayRead(rights: Rights, channel: string): boolean {
  return channel.startsWith(PRESENCE)
    ? may(rights, "presence", channel.slice(PRESENCE.length))
    : may(rights, "subscribe", channel);
}

/** Tells whether a channel is a system channel, to which nobody can publish. */
export function isSystemChannel(channel: string): boolean {
  return channel.startsWith("$");
}

/**
 * `*` matches any characters of a segment, which ends at `:` or `/`; `**` matches any characters.
 */
function isMatch(pattern: string, channel: string): boolean {
  if (channel.startsWith("$") && !pattern.startsWith("$")) return false;
  return regexOf(pattern).test(channel);
}

function regexOf(pattern: string): RegExp {
  const source = pattern.split(/(\*+)/).map((part) =>
    !part.startsWith("*")
      ? part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
      : part === "*"
      ? "[^:/]*"
      : "[^]*"
  );
  return new RegExp(`^${source.join("")}$`, "u");
}
