import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Addresses that are remembered as they are counted. Met: memory that fills with made-up ones. */
const MAX_KNOWN_IPS = 10_000;
/** No address with its zone and port is longer. Met: a header that is nothing but one entry. */
const MAX_ENTRY_CHARS = 100;

interface KnownIp {
  readonly counted: string;
  readonly isTrusted: boolean;
}

/** An address in the form in which all that mean the same are equal. */
interface ParsedIp {
  readonly family: "ipv4" | "ipv6";
  readonly text: string;
  readonly counted: string;
}

/** The proxies whose word counts for where a request comes from. */
export class TrustedProxies {
  readonly #networks: BlockList | undefined;
  readonly #known = new Map<string, KnownIp>();

  /** @param networks undefined: none are trusted. */
  constructor(networks: BlockList | undefined) {
    this.#networks = networks;
  }

  get isEmpty(): boolean {
    return this.#networks === undefined;
  }

  /** What is known of the address in `text`; undefined if it is none. */
  find(text: string): KnownIp | undefined {
    return this.#known.get(text) ?? this.#findAnew(text);
  }

  #findAnew(text: string): KnownIp | undefined {
    if (text.length > MAX_ENTRY_CHARS) return undefined;
    // A copy: a slice would keep the whole header in memory.
    const own = [...text].join("");
    const parsed = parseIp(ipIn(own));
    if (parsed === undefined) return undefined;
    const isTrusted = this.#networks?.check(parsed.text, parsed.family) ?? false;
    const known = { counted: parsed.counted, isTrusted };
    if (this.#known.size >= MAX_KNOWN_IPS) this.#known.clear();
    this.#known.set(own, known);
    return known;
  }
}

/**
 * The address that limits count: `remote`, the peer's; or, where that is a trusted proxy, the last
 * entry of `forwarded` (`X-Forwarded-For`) that is not one. What stands before it is the client's
 * own word. IPv6 is counted by its network of 64 bits, of which a client has all addresses; IPv4
 * within IPv6 as IPv4. Where anything can't be read it is the peer's.
 */
export function clientIp(
  remote: string,
  forwarded: string | null,
  trusted: TrustedProxies,
): string {
  if (trusted.isEmpty && !remote.includes(":")) return remote;
  const peer = trusted.find(remote);
  if (peer === undefined) return remote;
  if (forwarded === null || !peer.isTrusted) return peer.counted;
  let farthest = peer;
  for (let end = forwarded.length; end >= 0;) {
    const start = end === 0 ? 0 : forwarded.lastIndexOf(",", end - 1) + 1;
    const entry = trusted.find(forwarded.slice(start, end));
    if (entry === undefined) return peer.counted;
    if (!entry.isTrusted) return entry.counted;
    farthest = entry;
    end = start - 1;
  }
  return farthest.counted;
}

/**
 * The proxies that a text like `10.0.0.0/8, fd00::/8` names.
 *
 * @throws {Error} whose message says what is allowed.
 */
export function parseTrustedProxies(text: string): TrustedProxies {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  if (parts.length === 0) return new TrustedProxies(undefined);
  const networks = new BlockList();
  for (const part of parts) addNetwork(networks, part);
  return new TrustedProxies(networks);
}

function addNetwork(networks: BlockList, part: string): void {
  const [, ip = "", digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(part) ?? [];
  const parsed = parseIp(ip);
  if (parsed !== undefined) {
    const bits = parsed.family === "ipv4" ? 32 : 128;
    // Of IPv4 within IPv6 the first 96 bits are always the same.
    const fixed = parsed.family === "ipv4" && ip.includes(":") ? 96 : 0;
    const prefix = digits === undefined ? bits : Number(digits) - fixed;
    if (prefix >= 1 && prefix <= bits) {
      return networks.addSubnet(parsed.text, prefix, parsed.family);
    }
  }
  throw new Error(
    "addresses and networks of proxies like 10.0.0.0/8 or fd00::1, split by spaces or commas; not everybody's (/0)",
  );
}

/** The address in an entry as proxies write them: also with a port, or in brackets. */
function ipIn(entry: string): string {
  const text = entry.trim();
  const [, bracketed, withPort] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ??
    [];
  return bracketed ?? withPort ?? text;
}

function parseIp(text: string): ParsedIp | undefined {
  if (isIPv4(text)) return { family: "ipv4", text, counted: text };
  if (!isIPv6(text)) return undefined;
  const groups = groupsOf(text);
  const mapped = ipv4Within(groups);
  if (mapped !== undefined) return { family: "ipv4", text: mapped, counted: mapped };
  const hex = groups.map((group) => group.toString(16));
  return { family: "ipv6", text: hex.join(":"), counted: `${hex.slice(0, 4).join(":")}::/64` };
}

/** The eight groups of an IPv6 address, without its zone. */
function groupsOf(text: string): readonly number[] {
  const [ip = ""] = text.split("%");
  // URLs have the shortest form of RFC 5952, without the dotted form for the end.
  const [head = "", tail = ""] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) =>
    part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

/** The IPv4 address in `::ffff:0:0/96` (RFC 4291 §2.5.5.2), or undefined. */
function ipv4Within(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6);
  if (groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return undefined;
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
