import type { KeySource } from "./auth/key_source.ts";
import { ASSETS_FOLDER } from "./assets.ts";
import { type Config, isKvUrl, storeFolder } from "./config.ts";

/** The programs that run with permissions by name. */
type Program = "server" | "keys";

/**
 * Without `--no-remote`, a dependency could import code from hosts that Deno trusts. With
 * `--ignore-env`, a variable without permission is undefined; reading it would be an error otherwise.
 */
const BASE_FLAGS: readonly string[] = ["--no-prompt", "--no-remote", "--ignore-env"];

/** Weir's settings, and what the isolates of a process tell each other. */
const VARIABLES = "WEIR_*";

/**
 * The host of Deno's own KV Connect service. It names the hosts of a database's data, which change;
 * every other server is at the host of its URL.
 */
const DEPLOY_KV_HOST = "api.deno.com";

/**
 * Returns the flags of `deno run` with the permissions that a program with this configuration needs.
 * A server gets its own addresses, the hosts of its key set and of its KV server, its own files and
 * Weir's variables. Guards against a dependency that reads other files, starts programs or sends
 * data elsewhere.
 *
 * `keys` may connect to any host, because its option `--url` names one. Deno's flags cannot have a
 * path with a comma, so such a path allows all paths.
 */
export function permissionFlags(config: Config, program: Program = "server"): readonly string[] {
  const source = config.tokens.jwks;
  const folder = storeFolder(config.kv);
  // The folder of the store too: SQLite and the lock have files next to it.
  const written = folder === undefined ? [config.dataFolder] : [config.dataFolder, folder];
  return [
    ...BASE_FLAGS,
    flagOf("env", envOf(config)),
    flagOf("net", program === "keys" ? "all" : netOf(config, source)),
    flagOf("read", [...readOf(config, source), ...written]),
    flagOf("write", written),
  ];
}

const KV_TOKEN = "DENO_KV_ACCESS_TOKEN";
const TOOL_BASE_FLAGS = [...BASE_FLAGS, flagOf("env", [VARIABLES]), "--allow-read"];

/** The flags for commands whose arguments name any file. Some also name any host. */
export const TOOL_FLAGS = {
  publish: [...TOOL_BASE_FLAGS, "--allow-net"],
  backup: [...TOOL_BASE_FLAGS, "--allow-write"],
  restore: [...TOOL_BASE_FLAGS, "--allow-write"],
  export: [...TOOL_BASE_FLAGS, "--allow-net", "--allow-write"],
  import: [
    ...BASE_FLAGS,
    flagOf("env", [VARIABLES, KV_TOKEN]),
    "--allow-read",
    "--allow-net",
    "--allow-write",
  ],
} as const;

/** Returns the flags for a program whose settings are invalid. It may only read and report them. */
export function flagsToReport(): readonly string[] {
  return [...BASE_FLAGS, flagOf("env", [VARIABLES])];
}

function flagOf(name: string, values: readonly string[] | "all"): string {
  if (values === "all" || values.some((value) => value.includes(","))) return `--allow-${name}`;
  return `--allow-${name}=${[...new Set(values)].join(",")}`;
}

function envOf({ kv }: Config): readonly string[] {
  // The runtime reads the token; main.ts sets DENO_USE_WRITEV.
  const token = isKvUrl(kv) ? [KV_TOKEN] : [];
  return [VARIABLES, "OTEL_DENO", "DENO_USE_WRITEV", ...token];
}

function netOf(
  { host, port, quic, metrics, kv }: Config,
  source: KeySource | undefined,
): readonly string[] | "all" {
  if (kv === undefined || isKvUrl(kv) && new URL(kv).hostname === DEPLOY_KV_HOST) return "all";
  const hosts = [addressOf(host, port)];
  if (quic !== undefined) {
    const name = quic.host ?? host;
    // QUIC needs the permission for an IP address, even if it is given a name.
    const quicHosts = name === "localhost" ? ["127.0.0.1", "::1"] : [name];
    for (const quicHost of quicHosts) hosts.push(addressOf(quicHost, quic.port ?? port));
  }
  if (typeof metrics === "object") hosts.push(addressOf(metrics.host, metrics.port));
  if (isKvUrl(kv)) hosts.push(hostOf(kv));
  if (source?.kind === "url") hosts.push(hostOf(source.url));
  return hosts;
}

function hostOf(url: string): string {
  const { protocol, hostname, port } = new URL(url);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

function addressOf(host: string, port: number): string {
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  // After a new certificate, Weir listens again on the free port that it was given.
  return port === 0 ? name : `${name}:${port}`;
}

function readOf({ tls }: Config, source: KeySource | undefined): readonly string[] {
  return [
    decodeURIComponent(ASSETS_FOLDER.pathname),
    ...(source?.kind === "file" ? [source.path] : []),
    ...(tls === undefined ? [] : [tls.certPath, tls.keyPath]),
  ];
}
