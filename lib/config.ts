import { z } from "zod";
import { parseTrustedProxies, type TrustedProxies } from "./auth/client_ip.ts";
import { type LimitTable, parseLimits } from "./auth/limit_settings.ts";
import { parseAnonymous, type Scope } from "./auth/scope.ts";
import type { Retention } from "./log/log.ts";
import { PAGE_NAMES, type PageName, PAGES_WITH_KEYS, parsePages } from "./pages.ts";
import { SIZE_UNITS } from "./shared/size.ts";

/** All that the environment decides. */
export interface Config {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The folder for what Weir itself keeps in files. */
  readonly dataFolder: string;
  /** A path, a KV Connect URL, or undefined for the platform's own store. */
  readonly kv: string | undefined;
  readonly retention: Retention;
  /** Milliseconds. */
  readonly heartbeatMs: number;
  /** Origins of pages, beside Weir's own, that browsers may come from. */
  readonly origins: readonly string[];
  /** Origins under which Weir itself is reached from elsewhere. */
  readonly publicUrls: readonly string[];
  readonly tls: { readonly certPath: string; readonly keyPath: string } | undefined;
  readonly tokens: TokenConfig;
  /** What who brings no credential may do; undefined: nothing. */
  readonly anonymous: Scope | undefined;
  readonly limits: LimitTable;
  /** Channels that a tenant may have. */
  readonly tenantChannels: number;
  readonly trustedProxies: TrustedProxies;
  /** The pages that are served. */
  readonly pages: readonly PageName[];
  /** Neither keys nor a policy for anonymous access: who reaches Weir may do everything. */
  readonly isOpen: boolean;
}

/** How tokens are verified. */
export interface TokenConfig {
  /** A JWKS as JSON, its path or its URL; undefined: tokens are refused. */
  readonly jwks: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** Milliseconds. */
  readonly maxLifetimeMs: number;
  /** Milliseconds that clocks may differ. */
  readonly skewMs: number;
}

/** A setting that Weir can't start with. */
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

/** Milliseconds that a text like `500ms`, `15s`, `10m`, `12h` or `90d` says, or undefined. */
export function parseDuration(text: string): number | undefined {
  const [, amount = "", unit = ""] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = DURATION_UNITS[unit];
  return factor === undefined ? undefined : Number(amount) * factor;
}

const duration = (min: number, max: number, says: string) =>
  z.string().transform((text, context) => {
    const value = parseDuration(text);
    if (value !== undefined && value >= min && value <= max) return value;
    context.addIssue({ code: "custom", message: says });
    return z.NEVER;
  });

const size = (says: string) =>
  z.string().transform((text, context) => {
    const [, amount = "", unit = "?"] = /^(\d{1,15})(B|KiB|MiB|GiB|)$/.exec(text) ?? [];
    const value = Number(amount) * (SIZE_UNITS[unit] ?? NaN);
    if (amount !== "" && value >= 1 && Number.isSafeInteger(value)) return value;
    context.addIssue({ code: "custom", message: says });
    return z.NEVER;
  });

const wholeNumber = (min: number, max: number) => {
  const says = `a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,15}$/, says).transform(Number)
    .refine((value) => value >= min && value <= max, says);
};

const origins = z.string().transform((text, context) => {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  for (const part of parts) {
    if (URL.canParse(part) && new URL(part).origin === part) continue;
    context.addIssue({
      code: "custom",
      message: "origins like https://app.example.com, split by commas",
    });
    return z.NEVER;
  }
  return parts;
});

/** What `parse` makes of the text, or the sentence that it throws. */
const parsed = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : "another text";
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
  });

const environment = z.strictObject({
  WEIR_HOST: z.string().min(1, "an address to listen on").default("127.0.0.1"),
  WEIR_PORT: wholeNumber(0, 65_535).default(8_000),
  WEIR_KV: z.string().min(1, "a path or a KV Connect URL").optional(),
  WEIR_DATA: z.string().min(1, "a folder").default("./data"),
  WEIR_RETENTION_AGE: duration(SECOND, 36_500 * DAY, "a time from 1s to 36500d, such as 12h or 7d")
    .default(7 * DAY),
  WEIR_RETENTION_EVENTS: wholeNumber(1, 1_000_000_000_000).default(100_000),
  WEIR_RETENTION_BYTES: size("a size of at least 1, such as 1048576 or 256MiB")
    .default(256 * 2 ** 20),
  WEIR_HEARTBEAT: duration(SECOND, 300 * SECOND, "a time from 1s to 300s, such as 15s")
    .default(15 * SECOND),
  WEIR_ORIGINS: origins.default([]),
  WEIR_PUBLIC_URL: origins.default([]),
  WEIR_TLS_CERT: z.string().min(1, "the path of a PEM file").optional(),
  WEIR_TLS_KEY: z.string().min(1, "the path of a PEM file").optional(),
  WEIR_JWKS: z.string().min(1, "a JWKS as JSON, its path or its URL").optional(),
  WEIR_TOKEN_ISSUER: z.string().min(1, "what tokens have as iss").optional(),
  WEIR_TOKEN_AUDIENCE: z.string().min(1, "what tokens have as aud").optional(),
  WEIR_TOKEN_MAX_LIFETIME: duration(SECOND, 365 * DAY, "a time from 1s to 365d, such as 1h")
    .default(DAY),
  WEIR_TOKEN_SKEW: duration(0, 300 * SECOND, "a time from 0s to 300s, such as 30s")
    .default(30 * SECOND),
  /** Nothing of the server's: `deno task keys` asks a server with it. */
  WEIR_ADMIN_TOKEN: z.string().min(1, "a token").optional(),
  WEIR_ANONYMOUS: parsed(parseAnonymous).optional(),
  WEIR_TENANT_CHANNELS: wholeNumber(1, 1_000_000_000).default(100_000),
  WEIR_LIMITS: parsed(parseLimits).prefault(""),
  WEIR_PAGES: parsed(parsePages).optional(),
  WEIR_TRUSTED_PROXIES: parsed(parseTrustedProxies).prefault(""),
});

/**
 * The configuration that `env` asks for. Only variables that start with `WEIR_` are looked at.
 *
 * @throws {ConfigError} naming the variable and what is allowed.
 */
export function parseConfig(env: Readonly<Record<string, string>>): Config {
  const own = Object.entries(env)
    .filter(([name]) => name.startsWith("WEIR_") && !name.startsWith("WEIR_INTERNAL_"));
  const parsed = environment.safeParse(Object.fromEntries(own));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    if (issue?.code === "unrecognized_keys") {
      const known = Object.keys(environment.shape).join(", ");
      throw new ConfigError(`${issue.keys[0]} is not a setting of Weir: those are ${known}.`);
    }
    throw new ConfigError(`${issue?.path.join(".")} must be ${issue?.message}.`);
  }
  const values = parsed.data;
  const isOpen = values.WEIR_JWKS === undefined && values.WEIR_ANONYMOUS === undefined;
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
    origins: values.WEIR_ORIGINS,
    publicUrls: values.WEIR_PUBLIC_URL,
    tls: tlsOf(values.WEIR_TLS_CERT, values.WEIR_TLS_KEY),
    tokens: {
      jwks: values.WEIR_JWKS,
      issuer: values.WEIR_TOKEN_ISSUER,
      audience: values.WEIR_TOKEN_AUDIENCE,
      maxLifetimeMs: values.WEIR_TOKEN_MAX_LIFETIME,
      skewMs: values.WEIR_TOKEN_SKEW,
    },
    anonymous: values.WEIR_ANONYMOUS,
    limits: values.WEIR_LIMITS,
    tenantChannels: values.WEIR_TENANT_CHANNELS,
    trustedProxies: values.WEIR_TRUSTED_PROXIES,
    pages: values.WEIR_PAGES ?? (isOpen ? PAGE_NAMES : PAGES_WITH_KEYS),
    isOpen,
  };
}

function tlsOf(certPath: string | undefined, keyPath: string | undefined): Config["tls"] {
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath };
  if (certPath === undefined && keyPath === undefined) return undefined;
  const missing = certPath === undefined ? "WEIR_TLS_CERT" : "WEIR_TLS_KEY";
  throw new ConfigError(`${missing} must be set too: a certificate goes with its key.`);
}

/** Whether `host`, a name or an address without a port, is this machine's own. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" ||
    host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
