import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Parsed IPs in the cache. Guards against made-up IPs that fill memory. */
const MAX_CACHED_IPS = 10_000;
/** Longer than any IP with zone and port. Guards against a header that is one huge entry. */
const MAX_ENTRY_CHARS = 100;

interface KnownIp {
  /** The IP as limits count it. */
  readonly counted: string;
  readonly isTrusted: boolean;
}

/** An IP in a form that is equal for all ways to write it. */
interface ParsedIp {
  readonly family: "ipv4" | "ipv6";
  readonly text: string;
  /** As limits count it. */
  readonly counted: string;
}

/** The proxies whose `X-Forwarded-For` is trusted. */
export class TrustedProxies {
  readonly #networks: BlockList | undefined;
  readonly #cache = new Map<string, KnownIp>();

  /** @param networks undefined if no proxy is trusted. */
  constructor(networks: BlockList | undefined) {
    this.#networks = networks;
  }

  get isEmpty(): boolean {
    return this.#networks === undefined;
  }

  /** Parses an IP as proxies write it; undefined if `text` is not an IP. */
  find(text: string): KnownIp | undefined {
    return this.#cache.get(text) ?? this.#parse(text);
  }

  #parse(text: string): KnownIp | undefined {
    if (text.length > MAX_ENTRY_CHARS) return undefined;
    // A copy, because a slice would keep the whole header in memory.
    const own = [...text].join("");
    const parsed = parseIp(ipIn(own));
    if (parsed === undefined) return undefined;
    const isTrusted = this.#networks?.check(parsed.text, parsed.family) ?? false;
    const known = { counted: parsed.counted, isTrusted };
    if (this.#cache.size >= MAX_CACHED_IPS) this.#cache.clear();
    this.#cache.set(own, known);
    return known;
  }
}

/**
 * Returns the client's IP as limits count it: the peer's, or, if the peer is a trusted proxy, the
 * last entry of `X-Forwarded-For` that is not a trusted proxy. Entries before it are written by the
 * client and not trusted. An IPv6 address counts as its network of 64 bits, since a client has all
 * of them; IPv4 mapped into IPv6 counts as IPv4. If the header cannot be parsed, the peer counts.
 *
 * @param remote the peer's IP.
 * @param forwarded the value of `X-Forwarded-For`.
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
 * Parses a list of proxies and networks like `10.0.0.0/8, fd00::/8`.
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
    // The first 96 bits of mapped IPv4 are always the same.
    const fixed = parsed.family === "ipv4" && ip.includes(":") ? 96 : 0;
    const prefix = digits === undefined ? bits : Number(digits) - fixed;
    if (prefix >= 1 && prefix <= bits) {
      return networks.addSubnet(parsed.text, prefix, parsed.family);
    }
  }
  throw new Error(
    "IP addresses and networks of proxies like 10.0.0.0/8 or fd00::1, separated by spaces or commas; /0 is not allowed",
  );
}

/** Removes the port and the brackets from an entry as proxies write them. */
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
  const mapped = mappedIpv4(groups);
  if (mapped !== undefined) return { family: "ipv4", text: mapped, counted: mapped };
  const hex = groups.map((group) => group.toString(16));
  return { family: "ipv6", text: hex.join(":"), counted: `${hex.slice(0, 4).join(":")}::/64` };
}

/** Returns the eight groups of an IPv6 address, without its zone. */
function groupsOf(text: string): readonly number[] {
  const [ip = ""] = text.split("%");
  // URL normalizes to the short form of RFC 5952 and replaces a dotted IPv4 tail.
  const [head = "", tail = ""] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) =>
    part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

/** Returns the IPv4 address mapped into `::ffff:0:0/96` (RFC 4291 §2.5.5.2), or undefined. */
function mappedIpv4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6);
  if (groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return undefined;
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
