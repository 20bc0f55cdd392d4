import { z } from "zod";
import { parseTrustedProxies, type TrustedProxies } from "./auth/client_ip.ts";
import { type KeySource, keySourceOf } from "./auth/key_source.ts";
import { type LimitTable, parseLimits } from "./auth/limit_settings.ts";
import { parseAnonymous, type Scope, tenantSchema } from "./auth/scope.ts";
import type { Retention } from "./log/log.ts";
import { PAGE_NAMES, type PageName, PAGES_WITH_KEYS, parsePages } from "./pages.ts";
import type { IceSettings } from "./rtc/ice_credentials.ts";
import { SIZE_UNITS } from "./shared/bytes.ts";
import type { Tenant } from "./shared/channel.ts";
import { TASK_COMMAND } from "./shared/task_command.ts";

/** The settings of a server, from its environment. */
export interface Config {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** The folder for Weir's own files. */
  readonly dataFolder: string;
  /** A path, a KV Connect URL, or undefined for the store of the platform. */
  readonly kv: string | undefined;
  readonly retention: Retention;
  readonly heartbeatMs: number;
  /** The greatest age of a connection. Undefined if there is none. */
  readonly connectionMaxAgeMs: number | undefined;
  /** Milliseconds over which a server that stops spreads its goodbyes. */
  readonly drainMs: number;
  /** Origins, in addition to Weir's own, whose pages may send requests. */
  readonly origins: readonly string[];
  /** The public origins of this server. */
  readonly publicUrls: readonly string[];
  readonly tls: { readonly certPath: string; readonly keyPath: string } | undefined;
  /** Where WebTransport is served over UDP. Undefined if it is off. */
  readonly quic: QuicConfig | undefined;
  /** Where metrics are served: `here`, at `/metrics` of HTTP, or on a listener of their own. */
  readonly metrics: "here" | "off" | Address;
  /** The tenants that have metrics of their own. */
  readonly metricsTenants: readonly Tenant[];
  readonly tokens: TokenConfig;
  /** What a request without a credential may do. Undefined if such requests are refused. */
  readonly anonymous: Scope | undefined;
  readonly limits: LimitTable;
  /** The maximum number of channels of a tenant. */
  readonly tenantChannels: number;
  readonly trustedProxies: TrustedProxies;
  /** Whether the runtime exports traces. */
  readonly isTraced: boolean;
  readonly ice: IceSettings;
  /** The pages that this server serves. */
  readonly pages: readonly PageName[];
  /** Whether everyone may do everything: there are no keys and no policy for anonymous access. */
  readonly isOpen: boolean;
}

/** Where QUIC listens. A member that is undefined is the same as for HTTP. */
interface QuicConfig {
  readonly host: string | undefined;
  /** 0 for any free port. */
  readonly port: number | undefined;
}

interface Address {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

/** How tokens are verified. */
export interface TokenConfig {
  /** Where the keys come from. Undefined if tokens are refused. */
  readonly jwks: KeySource | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly maxLifetimeMs: number;
  /** Milliseconds by which clocks may differ. */
  readonly skewMs: number;
}

/** A setting is missing or invalid. Its message names the variable and the allowed values. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const SECOND = 1_000;
const DAY = 24 * 60 * 60 * SECOND;
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND,
  m: 60 * SECOND,
  h: 60 * 60 * SECOND,
  d: DAY,
};

/** Parses `500ms`, `15s`, `10m`, `12h` or `90d` into milliseconds. Returns undefined if invalid. */
export function parseDuration(text: string): number | undefined {
  const [, amount = "", unit = ""] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = DURATION_UNITS[unit];
  return factor === undefined ? undefined : Number(amount) * factor;
}

const DRAIN_MS = 5 * SECOND;
/** Deno Deploy ends a process 5 s after the signal. */
const DEPLOY_DRAIN_MS = 2 * SECOND;

/** URLs of STUN or of TURN. Browsers ask all of them, which delays a call. */
const MAX_ICE_URLS = 8;
/** Tenants with metrics of their own. Guards the memory of Prometheus, which keeps each series. */
const MAX_METRICS_TENANTS = 100;

const duration = (min: number, max: number, expected: string) =>
  z.string().transform((text, context) => {
    const value = parseDuration(text);
    if (value !== undefined && value >= min && value <= max) return value;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });

const size = (expected: string) =>
  z.string().transform((text, context) => {
    const [, amount = "", unit = "?"] = /^(\d{1,15})(B|KiB|MiB|GiB|)$/.exec(text) ?? [];
    const value = Number(amount) * (SIZE_UNITS[unit] ?? NaN);
    if (amount !== "" && value >= 1 && Number.isSafeInteger(value)) return value;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });

const wholeNumber = (min: number, max: number) => {
  const expected = `a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,15}$/, expected).transform(Number)
    .refine((value) => value >= min && value <= max, expected);
};

/** Splits a list at its commas. */
const partsOf = (text: string) =>
  text.split(",").map((part) => part.trim()).filter((part) => part !== "");

const origins = z.string().transform((text, context) => {
  const parts = partsOf(text);
  for (const part of parts) {
    if (URL.canParse(part) && new URL(part).origin === part) continue;
    context.addIssue({
      code: "custom",
      message: "origins such as https://app.example.com, separated by commas",
    });
    return z.NEVER;
  }
  return parts;
});

const iceUrls = (schemes: RegExp, expected: string) =>
  z.string().transform((text, context) => {
    const urls = partsOf(text);
    if (urls.length <= MAX_ICE_URLS && urls.every((url) => schemes.test(url))) return urls;
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });

/** Parses `HOST:PORT` or `PORT`. Undefined if it is neither. */
function parseAddress(
  text: string,
): { readonly host: string | undefined; readonly port: number } | undefined {
  const [, host, digits = ""] = /^(?:(\[[\da-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})$/.exec(text) ?? [];
  if (digits === "" || Number(digits) > 65_535) return undefined;
  return { host: host?.replace(/^\[|\]$/g, ""), port: Number(digits) };
}

const metrics = z.string().transform((text, context): Address | "off" => {
  if (text === "off") return text;
  const { host, port } = parseAddress(text) ?? {};
  if (host !== undefined && port !== undefined) return { host, port };
  context.addIssue({
    code: "custom",
    message: "off, or an address with a port such as 127.0.0.1:9090",
  });
  return z.NEVER;
});

const metricsTenants = z.string().transform((text, context): readonly Tenant[] => {
  const names = [...new Set(partsOf(text))];
  const tenants = z.array(tenantSchema).max(MAX_METRICS_TENANTS).safeParse(names);
  if (tenants.success) return tenants.data;
  context.addIssue({
    code: "custom",
    message: `at most ${MAX_METRICS_TENANTS} names of tenants, separated by commas`,
  });
  return z.NEVER;
});

const quic = z.string().transform((text, context): QuicConfig | "off" => {
  const address = text === "off" ? text : parseAddress(text);
  if (address !== undefined) return address;
  context.addIssue({
    code: "custom",
    message: "off, a UDP port such as 8443, or an IP address with one such as 0.0.0.0:8443",
  });
  return z.NEVER;
});

/** Transforms a text by `parse`, whose error message becomes the issue. */
const parsed = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : "another value";
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
  });

const environment = z.strictObject({
  WEIR_HOST: z.string().min(1, "an IP address or a host name to listen on").default("127.0.0.1"),
  WEIR_PORT: wholeNumber(0, 65_535).default(8_000),
  WEIR_KV: z.string().min(1, "a path or a KV Connect URL").optional(),
  WEIR_DATA: z.string().min(1, "a folder").default("./data"),
  WEIR_RETENTION_AGE: duration(SECOND, 36_500 * DAY, "a time from 1s to 36500d, such as 12h or 7d")
    .default(7 * DAY),
  WEIR_RETENTION_EVENTS: wholeNumber(1, 1_000_000_000_000).default(100_000),
  WEIR_RETENTION_BYTES: size("a size of at least 1 byte, such as 1048576 or 256MiB")
    .default(256 * 2 ** 20),
  WEIR_HEARTBEAT: duration(SECOND, 300 * SECOND, "a time from 1s to 300s, such as 10s")
    .default(10 * SECOND),
  WEIR_CONNECTION_MAX_AGE: z.literal("off").transform(() => undefined)
    .or(duration(60 * SECOND, DAY, "off, or a time from 1m to 24h, such as 1h")).optional(),
  WEIR_DRAIN: duration(0, 600 * SECOND, "a time from 0s to 10m, such as 5s").optional(),
  WEIR_ORIGINS: origins.default([]),
  WEIR_PUBLIC_URL: origins.default([]),
  WEIR_TLS_CERT: z.string().min(1, "the path of a PEM file").optional(),
  WEIR_TLS_KEY: z.string().min(1, "the path of a PEM file").optional(),
  WEIR_QUIC: quic.optional(),
  WEIR_METRICS: metrics.optional(),
  WEIR_METRICS_TENANTS: metricsTenants.default([]),
  WEIR_JWKS: z.string().min(1, "a JWKS as JSON, its path or its URL").optional(),
  WEIR_TOKEN_ISSUER: z.string().min(1, "the iss of tokens").optional(),
  WEIR_TOKEN_AUDIENCE: z.string().min(1, "the aud of tokens").optional(),
  WEIR_TOKEN_MAX_LIFETIME: duration(SECOND, 365 * DAY, "a time from 1s to 365d, such as 1h")
    .default(DAY),
  WEIR_TOKEN_SKEW: duration(0, 300 * SECOND, "a time from 0s to 300s, such as 30s")
    .default(30 * SECOND),
  /** Unused by the server: `deno task keys` sends it to a server. */
  WEIR_ADMIN_TOKEN: z.string().min(1, "a token").optional(),
  /** Unused by the server: `deno task publish` sends it to a server. */
  WEIR_TOKEN: z.string().min(1, "a token").optional(),
  WEIR_ANONYMOUS: parsed(parseAnonymous).optional(),
  WEIR_TENANT_CHANNELS: wholeNumber(1, 1_000_000_000).default(100_000),
  WEIR_LIMITS: parsed(parseLimits).prefault(""),
  WEIR_PAGES: parsed(parsePages).optional(),
  WEIR_TRUSTED_PROXIES: parsed(parseTrustedProxies).prefault(""),
  WEIR_STUN_URLS: iceUrls(
    /^stuns?:[^\s?/@,]+$/,
    "at most 8 URLs such as stun:stun.example.com:3478, separated by commas",
  ).default([]),
  WEIR_TURN_URLS: iceUrls(
    /^turns?:[^\s?/@,]+(?:\?transport=(?:udp|tcp))?$/,
    "at most 8 URLs such as turn:turn.example.com:3478?transport=udp, separated by commas",
  ).default([]),
  WEIR_TURN_SECRET: z.string().min(16, "a secret of at least 16 characters").optional(),
  WEIR_TURN_LIFETIME: duration(60 * SECOND, 3_600 * SECOND, "a time from 60s to 1h, such as 5m")
    .default(300 * SECOND),
});

/**
 * Parses the environment. Ignores variables that don't start with `WEIR_`.
 *
 * @throws {ConfigError}
 */
export function parseConfig(env: Readonly<Record<string, string>>): Config {
  const own = Object.entries(env)
    .filter(([name]) => name.startsWith("WEIR_") && !name.startsWith("WEIR_INTERNAL_"));
  const parsed = environment.safeParse(Object.fromEntries(own));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    if (issue?.code === "unrecognized_keys") {
      const known = Object.keys(environment.shape).join(", ");
      throw new ConfigError(`Unknown setting ${issue.keys[0]}. Allowed: ${known}.`);
    }
    throw new ConfigError(`${issue?.path.join(".")} must be ${issue?.message}.`);
  }
  const values = parsed.data;
  const isOpen = values.WEIR_JWKS === undefined && values.WEIR_ANONYMOUS === undefined;
  const tls = tlsOf(values.WEIR_TLS_CERT, values.WEIR_TLS_KEY);
  const isOnDeploy = env["DENO_DEPLOYMENT_ID"] !== undefined;
  return {
    host: values.WEIR_HOST,
    port: values.WEIR_PORT,
    dataFolder: values.WEIR_DATA,
    kv: values.WEIR_KV ?? (isOnDeploy ? undefined : `${values.WEIR_DATA}/weir.db`),
    retention: {
      age: values.WEIR_RETENTION_AGE,
      events: values.WEIR_RETENTION_EVENTS,
      bytes: values.WEIR_RETENTION_BYTES,
    },
    heartbeatMs: values.WEIR_HEARTBEAT,
    connectionMaxAgeMs: values.WEIR_CONNECTION_MAX_AGE,
    drainMs: values.WEIR_DRAIN ?? (isOnDeploy ? DEPLOY_DRAIN_MS : DRAIN_MS),
    origins: values.WEIR_ORIGINS,
    publicUrls: values.WEIR_PUBLIC_URL,
    tls,
    quic: quicOf(values.WEIR_QUIC, { isOpen, hasTls: tls !== undefined }),
    metrics: metricsOf(values.WEIR_METRICS, isOpen),
    metricsTenants: values.WEIR_METRICS_TENANTS,
    tokens: {
      jwks: jwksOf(values.WEIR_JWKS),
      issuer: values.WEIR_TOKEN_ISSUER,
      audience: values.WEIR_TOKEN_AUDIENCE,
      maxLifetimeMs: values.WEIR_TOKEN_MAX_LIFETIME,
      skewMs: values.WEIR_TOKEN_SKEW,
    },
    anonymous: values.WEIR_ANONYMOUS,
    limits: values.WEIR_LIMITS,
    tenantChannels: values.WEIR_TENANT_CHANNELS,
    trustedProxies: values.WEIR_TRUSTED_PROXIES,
    isTraced: env["OTEL_DENO"] === "true",
    ice: {
      stunUrls: values.WEIR_STUN_URLS,
      turn: turnOf(values.WEIR_TURN_URLS, values.WEIR_TURN_SECRET),
      lifetimeMs: values.WEIR_TURN_LIFETIME,
    },
    pages: values.WEIR_PAGES ?? (isOpen ? PAGE_NAMES : PAGES_WITH_KEYS),
    isOpen,
  };
}

function jwksOf(setting: string | undefined): KeySource | undefined {
  try {
    return setting === undefined ? undefined : keySourceOf(setting);
  } catch (cause) {
    throw new ConfigError(cause instanceof Error ? cause.message : "WEIR_JWKS is invalid.");
  }
}

function tlsOf(certPath: string | undefined, keyPath: string | undefined): Config["tls"] {
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath };
  if (certPath === undefined && keyPath === undefined) return undefined;
  const missing = certPath === undefined ? "WEIR_TLS_CERT" : "WEIR_TLS_KEY";
  throw new ConfigError(
    `${missing} must be set too: WEIR_TLS_CERT and WEIR_TLS_KEY need each other.`,
  );
}

/**
 * Returns where QUIC listens. By default it does not if a proxy terminates TLS, which is the case
 * for a server with keys but no certificate: such a proxy does not pass UDP on.
 */
function quicOf(
  setting: QuicConfig | "off" | undefined,
  { isOpen, hasTls }: { readonly isOpen: boolean; readonly hasTls: boolean },
): QuicConfig | undefined {
  if (setting === "off") return undefined;
  if (setting === undefined) {
    return isOpen || hasTls ? { host: undefined, port: undefined } : setting;
  }
  if (isOpen) requireLoopback("WEIR_QUIC", setting.host, "127.0.0.1:8443");
  return setting;
}

function metricsOf(setting: Address | "off" | undefined, isOpen: boolean): Config["metrics"] {
  if (setting === undefined || setting === "off") return setting ?? "here";
  if (isOpen) requireLoopback("WEIR_METRICS", setting.host, "127.0.0.1:9090");
  return setting;
}

/** @throws {ConfigError} unless the host is of this machine only, or is that of HTTP: undefined. */
function requireLoopback(name: string, host: string | undefined, example: string): void {
  if (host === undefined || isLoopback(host)) return;
  throw new ConfigError(
    `${name} must be on a loopback address such as ${example}, because there are no keys. Create keys with "${TASK_COMMAND} keys init".`,
  );
}

function turnOf(urls: readonly string[], secret: string | undefined): IceSettings["turn"] {
  if (urls.length > 0 && secret !== undefined) return { urls, secret };
  if (urls.length === 0 && secret === undefined) return undefined;
  const missing = urls.length === 0 ? "WEIR_TURN_URLS" : "WEIR_TURN_SECRET";
  throw new ConfigError(
    `${missing} must be set too: WEIR_TURN_URLS and WEIR_TURN_SECRET need each other.`,
  );
}

/** Returns whether the store is that of a KV server. */
export function isKvUrl(kv: Config["kv"]): kv is string {
  return kv !== undefined && /^https?:/.test(kv);
}

/** Returns the folder of the file at `kv`, or undefined if the store is not a file. */
export function storeFolder(kv: Config["kv"]): string | undefined {
  if (kv === undefined || /^(https?:|:memory:)/.test(kv)) return undefined;
  return kv.includes("/") ? kv.slice(0, kv.lastIndexOf("/")) || "/" : ".";
}

/** Returns whether `host`, a name or an IP address without a port, is a loopback one. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" ||
    host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
