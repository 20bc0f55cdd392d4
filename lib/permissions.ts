import { type KeySource, keySourceOf } from "./auth/key_source.ts";
import { ASSETS_FOLDER } from "./assets.ts";
import { type Config, storeFolder } from "./config.ts";

/**
 * Returns the flags of `deno run` with the permissions that a server with this configuration needs:
 * its own address and the key set's host, its own files, and the environment. Guards against a
 * dependency that reads other files, starts programs or sends data elsewhere.
 *
 * A KV Connect server names the hosts of its data, and hosts that change, so with one the server may
 * connect to any host. A path with a comma or a space cannot be a flag, so such a path allows all
 * paths.
 */
export function permissionFlags(config: Config): readonly string[] {
  const { jwks } = config.tokens;
  const source = jwks === undefined ? undefined : keySourceOf(jwks);
  const folder = storeFolder(config.kv);
  // The folder of the store too: SQLite and the lock have files next to it.
  const written = folder === undefined ? [config.dataFolder] : [config.dataFolder, folder];
  return [
    "--no-prompt",
    "--allow-env",
    flagOf("net", netOf(config, source)),
    flagOf("read", [...readOf(config, source), ...written]),
    flagOf("write", written),
  ];
}

function flagOf(name: string, values: readonly string[] | "all"): string {
  if (values === "all" || values.some((value) => /[\s,]/.test(value))) return `--allow-${name}`;
  return `--allow-${name}=${[...new Set(values)].join(",")}`;
}

function netOf(
  { host, port, quic, metrics, kv }: Config,
  source: KeySource | undefined,
): readonly string[] | "all" {
  if (kv === undefined || /^https?:/.test(kv)) return "all";
  const own = [addressOf(host, port)];
  if (quic !== undefined) {
    const name = quic.host ?? host;
    // QUIC needs the permission for an IP address, even if it is given a name.
    const hosts = name === "localhost" ? ["127.0.0.1", "::1"] : [name];
    for (const host of hosts) own.push(addressOf(host, quic.port ?? port));
  }
  if (typeof metrics === "object") own.push(addressOf(metrics.host, metrics.port));
  if (source?.kind !== "url") return own;
  const { protocol, hostname, port: keyPort } = new URL(source.url);
  return [...own, `${hostname}:${keyPort || (protocol === "https:" ? 443 : 80)}`];
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
