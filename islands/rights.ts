/** What somebody may do: channel patterns for each right, as in docs/protocol.md, "Tokens". */
export interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  readonly presence: readonly string[];
  readonly manage: readonly string[];
}

/** Before a channel's name: the system channel that says who comes and goes there. */
const PRESENCE = "$presence:";

/**
 * Whether the patterns of a right have the channel. Only for what is shown: the server decides by
 * itself.
 */
export function may(rights: Rights, right: keyof Rights, channel: string): boolean {
  return rights[right].some((pattern) => isMatch(pattern, channel));
}

/** Whether it may be read: who is in a channel is for who has the right `presence` there. */
export function mayRead(rights: Rights, channel: string): boolean {
  return channel.startsWith(PRESENCE)
    ? may(rights, "presence", channel.slice(PRESENCE.length))
    : may(rights, "subscribe", channel);
}

/** Whether a channel is the system's own: others only read there, whatever their rights. */
export function isSystemChannel(channel: string): boolean {
  return channel.startsWith("$");
}

/** `*`: any characters of a segment, which ends with `:` or `/`; `**`: any characters at all. */
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
