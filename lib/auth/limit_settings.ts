import { SIZE_UNITS } from "../shared/bytes.ts";
import { LIMIT_NAMES, type LimitName, type Limits } from "./limits.ts";

/**
 * What a limit is counted for: each credential, each tenant, and each client IP, which the settings
 * call `address` (an IPv6 network of 64 bits counts as one IP).
 */
export const LIMIT_SCOPES = ["credential", "address", "tenant"] as const;
export type LimitScope = typeof LIMIT_SCOPES[number];

export type LimitTable = Readonly<Record<LimitScope, Limits>>;

/**
 * The default limits of one isolate; a server on several cores allows several times as much. Rates
 * are far above what people cause and below what a small server can take (20,000 publishes per
 * second).
 */
export const DEFAULT_LIMITS: LimitTable = {
  /** Guards against a producer in a loop, a page that reconnects endlessly, a stolen token. */
  credential: { publishes: 2_000, bytes: 16 * 2 ** 20, subscribes: 2_000, connections: 1_000 },
  /**
   * Guards against one machine with many credentials, or with none. Whole offices and mobile
   * networks share an IP, as do all clients behind a proxy that is not trusted.
   */
  address: { publishes: 2_000, bytes: 16 * 2 ** 20, subscribes: 2_000, connections: 1_000 },
  /** Guards against a tenant that uses up the server. */
  tenant: { publishes: 5_000, bytes: 64 * 2 ** 20, subscribes: 20_000, connections: 20_000 },
};

const MAX_LIMIT = 1e12;
const SETTING = /^(credential|address|tenant)\.([a-z]+)=(\d{1,13})([A-Za-z]*)$/;

/**
 * Parses a setting like `tenant.publishes=10000 address.bytes=4MiB`; missing limits are the
 * defaults.
 *
 * @throws {Error} whose message says what is allowed.
 */
export function parseLimits(text: string): LimitTable {
  const table: Record<LimitScope, Limits> = { ...DEFAULT_LIMITS };
  for (const part of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const [, scope = "", name = "", digits = "", unit = ""] = SETTING.exec(part) ?? [];
    const value = Number(digits) * (SIZE_UNITS[unit] ?? NaN);
    if (
      !isScope(scope) || !isLimit(name) || !(value <= MAX_LIMIT) ||
      (unit !== "" && name !== "bytes")
    ) {
      throw new Error(
        `limits like tenant.publishes=10000 address.bytes=4MiB: one of ${
          LIMIT_SCOPES.join(", ")
        }, then one of ${LIMIT_NAMES.join(", ")}, then a whole number up to ${MAX_LIMIT}`,
      );
    }
    table[scope] = { ...table[scope], [name]: value };
  }
  return table;
}

function isScope(text: string): text is LimitScope {
  return LIMIT_SCOPES.some((scope) => scope === text);
}

function isLimit(text: string): text is LimitName {
  return LIMIT_NAMES.some((name) => name === text);
}
