import { type Config, isLoopback, parseConfig } from "../config.ts";
import { CliError } from "./cli_error.ts";

/** Returns the URL at which this machine reaches a server with this configuration. */
export function serverUrl({ host, port, tls, publicUrls }: Config): string {
  // The certificate is for the public name.
  const named = publicUrls.find((url) => url.startsWith("https:"));
  if (tls !== undefined && named !== undefined) return named;
  const isIpv6 = host.includes(":");
  const isAnyHost = host === "0.0.0.0" || host === "::";
  const name = isAnyHost ? (isIpv6 ? "::1" : "127.0.0.1") : host;
  return `${tls === undefined ? "http" : "https"}://${isIpv6 ? `[${name}]` : name}:${port}`;
}

/**
 * Returns the server that the option `--url` of a command names, or without it the one of the
 * environment.
 *
 * @throws {CliError} @throws {ConfigError}
 */
export function serverUrlOf(option: string | undefined): URL {
  return option === undefined
    ? new URL(serverUrl(parseConfig(Deno.env.toObject())))
    : parseServerUrl(option);
}

/** Parses the URL of a server that a credential is sent to. @throws {CliError} */
export function parseServerUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CliError("--url must be the server's URL, such as https://weir.example.com.");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw new CliError("--url must be https://: over http:// others could read the token.");
  }
  return url;
}
