import { type Config, ConfigError, parseConfig } from "./lib/config.ts";
import type { AdminApi, ListedKey, ShownKey } from "./lib/keys_cli/admin_api.ts";
import {
  OPTION,
  parseArguments,
  parseDurationOption,
  parseId,
  parseRights,
  parseTenant,
  RIGHTS_OPTIONS,
  SERVER_OPTIONS,
} from "./lib/keys_cli/arguments.ts";
import { CliError, UsageError } from "./lib/keys_cli/cli_error.ts";
import { openAdminApi } from "./lib/keys_cli/open_admin_api.ts";
import { serverUrl } from "./lib/keys_cli/server_url.ts";
import { keysCommand, shellQuote, startCommand } from "./lib/keys_cli/shown_commands.ts";
import {
  keyFiles,
  loadSigner,
  newSigner,
  type Rights,
  saveSigner,
  signToken,
} from "./lib/keys_cli/signer.ts";
import { DEFAULT_TENANT } from "./lib/shared/channel.ts";
import { formatTime } from "./lib/shared/event.ts";
import { quote } from "./lib/shared/problem.ts";
import { TASK_COMMAND } from "./lib/shared/task_command.ts";
import { createApp } from "./routes/app.ts";

const HELP = `Creates, lists and revokes the keys that protect a Weir server.

Usage: ${TASK_COMMAND} keys COMMAND

  init [--force]                  Create the key that signs tokens. Prints the settings and a
                                  first admin token. --force replaces an existing key: tokens
                                  signed with the old one stop working.
  token RIGHTS [--tenant NAME] [--sub USER] [--expires 1h]
                                  Print a token signed with that key.

  create RIGHTS [--tenant NAME] [--name TEXT] [--expires 90d]
                                  Print a new API key. It is not shown again. Without --expires it
                                  never expires.
  list [--tenant NAME]            Print the tenant's API keys.
  rotate ID [--tenant NAME] [--grace 24h]
                                  Print a new API key that replaces ID. The old key stays valid
                                  for the grace period; --grace 0s ends it immediately.
  remove ID [--tenant NAME]       Remove an API key and close all connections that use it.
  revoke --jti ID | --sub USER | --kid ID | --key ID | --all [--tenant NAME]
                                  Revoke a token, a user's tokens, all tokens of a signing key, an
                                  API key, or all current tokens and API keys of the tenant.

RIGHTS are one or more of --publish, --subscribe, --presence and --manage, each with a channel
pattern and repeated as needed, --admin (keys and revocations of the tenant), and --metrics (GET
/metrics). In a pattern * matches anything within a segment and ** matches anything: --subscribe
'room/**'. In addition, --limit sets a limit, repeated as needed: --limit publishes=10, bytes,
subscribes or connections. The default tenant is "${DEFAULT_TENANT}".

The settings are those of the server: init and token use the folder keys in WEIR_DATA. The other
commands open the store, or use the server that has it open, at WEIR_HOST and WEIR_PORT or at --url,
with a token signed with that key or with the one in WEIR_ADMIN_TOKEN.
`;

const DEFAULT_LIFETIME_MS = 3_600_000;

const EVERYTHING: Rights = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  presence: ["**"],
  manage: ["**"],
  admin: true,
  metrics: true,
};

const { text, flag } = OPTION;

type Command = (args: readonly string[], config: Config) => Promise<void>;
const COMMANDS: Readonly<Record<string, Command>> = {
  init,
  token,
  create,
  list,
  rotate,
  remove,
  revoke,
};

Deno.exitCode = await main(Deno.args);

async function main([name = "", ...args]: readonly string[]): Promise<number> {
  if (name === "help" || [name, ...args].includes("--help")) {
    print(HELP);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    if (name === "") say(HELP);
    else {
      const names = Object.keys(COMMANDS).join(", ");
      say(`Commands: ${names}. See ${TASK_COMMAND} keys --help.`);
      say(`There is no command ${quote(name)}.`);
    }
    return 2;
  }
  try {
    await command(args, parseConfig(Deno.env.toObject()));
    return 0;
  } catch (cause) {
    const isExpected = cause instanceof CliError || cause instanceof ConfigError;
    // The task turns off the runtime's own message.
    say(isExpected ? cause.message : `The command failed. ${cause}`);
    return cause instanceof UsageError ? 2 : 1;
  }
}

async function init(args: readonly string[], config: Config): Promise<void> {
  const { force = false } = parseArguments(args, { force: flag }).values;
  const { dataFolder, tokens } = config;
  const signer = await newSigner();
  await saveSigner(dataFolder, signer, { force });
  const lifetimeMs = Math.min(DEFAULT_LIFETIME_MS, tokens.maxLifetimeMs);
  const request = { tenant: DEFAULT_TENANT, subject: "admin", rights: EVERYTHING, lifetimeMs };
  const { token, expiresAt } = await signToken(signer, request, tokens);
  const { jwks, signing } = keyFiles(dataFolder);
  const events = `${serverUrl(config)}/v1/channels/hello/events`;
  const bearer = `-H "Authorization: Bearer $TOKEN"`;
  print(`${jwks} verifies tokens. It is not secret.
${signing} signs tokens. Keep it secret: anyone who has it has full access.

Set this variable for the server and start it:

  export WEIR_JWKS=${shellQuote(jwks)}
  ${startCommand(config)}

Try it with a first token. It has all rights in the tenant "${DEFAULT_TENANT}" until ${
    formatTime(expiresAt)
  }:

  export TOKEN=${token}
  curl ${bearer} -d hello ${events}
  curl ${bearer} '${events}?after=earliest'

Create more tokens: ${keysCommand(config)} token --sub alice --subscribe 'room/**'
`);
}

async function token(args: readonly string[], config: Config): Promise<void> {
  const { values } = parseArguments(args, {
    ...RIGHTS_OPTIONS,
    tenant: text,
    sub: text,
    expires: text,
  });
  const { maxLifetimeMs: maxLifetime } = config.tokens;
  const lifetimeMs = parseDurationOption("expires", values.expires, "1s") ??
    Math.min(DEFAULT_LIFETIME_MS, maxLifetime);
  if (lifetimeMs > maxLifetime) {
    throw new UsageError("--expires is longer than WEIR_TOKEN_MAX_LIFETIME allows.");
  }
  if (values.sub === "") {
    throw new UsageError("--sub must not be empty: it names the user of the token.");
  }
  const tenant = parseTenant(values.tenant) ?? DEFAULT_TENANT;
  const request = { tenant, subject: values.sub, rights: parseRights(values), lifetimeMs };
  const signed = await signToken(await loadSigner(config.dataFolder), request, config.tokens);
  print(`${signed.token}\n`);
  say(`Token ${signed.id} for tenant "${tenant}", expires ${formatTime(signed.expiresAt)}.`);
}

async function create(args: readonly string[], config: Config): Promise<void> {
  const options = { ...RIGHTS_OPTIONS, ...SERVER_OPTIONS, name: text, expires: text };
  const { values } = parseArguments(args, options);
  const rights = parseRights(values);
  const expiresIn = seconds(parseDurationOption("expires", values.expires, "1s"));
  await using api = await openApi(values, config);
  printKey(await api.createKey(values.name, rights, expiresIn), api);
}

async function list(args: readonly string[], config: Config): Promise<void> {
  const { values } = parseArguments(args, SERVER_OPTIONS);
  await using api = await openApi(values, config);
  const rows = [["ID", "NAME", "CREATED", "EXPIRES", "RIGHTS"]];
  for await (const key of api.keys()) rows.push(rowOf(key));
  const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of rows) {
    print(`${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}\n`);
  }
}

async function rotate(args: readonly string[], config: Config): Promise<void> {
  const { values, positionals } = parseArguments(
    args,
    { ...SERVER_OPTIONS, grace: text },
    { allowPositionals: true },
  );
  const id = parseId(positionals);
  const grace = seconds(parseDurationOption("grace", values.grace, "0s"));
  await using api = await openApi(values, config);
  printKey(await api.rotateKey(id, grace), api);
}

async function remove(args: readonly string[], config: Config): Promise<void> {
  const { values, positionals } = parseArguments(args, SERVER_OPTIONS, { allowPositionals: true });
  const id = parseId(positionals);
  await using api = await openApi(values, config);
  await api.removeKey(id);
  say(`Removed API key ${id}.`);
}

async function revoke(args: readonly string[], config: Config): Promise<void> {
  const kinds = { jti: text, sub: text, kid: text, key: text, all: flag } as const;
  const { values } = parseArguments(args, { ...SERVER_OPTIONS, ...kinds });
  const { tenant, url, ...what } = values;
  const [first, ...others] = Object.entries(what);
  if (first === undefined || others.length > 0) {
    throw new UsageError(
      "Name exactly one: --jti, --sub, --kid or --key with its value, or --all.",
    );
  }
  const [kind, value] = first;
  await using api = await openApi({ tenant, url }, config);
  await api.revoke({ [kind]: value });
  say(
    kind === "all"
      ? "Revoked all current tokens and API keys of the tenant."
      : `Revoked ${kind} ${quote(String(value))}.`,
  );
}

interface ServerValues {
  readonly tenant?: string | undefined;
  readonly url?: string | undefined;
}

async function openApi({ tenant, url }: ServerValues, config: Config): Promise<AdminApi> {
  return await openAdminApi({
    config,
    tenant: parseTenant(tenant),
    url,
    adminToken: Deno.env.get("WEIR_ADMIN_TOKEN"),
    createFetch: (server) => createApp(server).fetch,
  });
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1_000);
}

/** Prints the key alone on stdout, for scripts, and its description on stderr. */
function printKey({ key, id, expires }: ShownKey, { store }: AdminApi): void {
  print(`${key}\n`);
  const expiry = expires === null ? "never expires" : `expires ${expires}`;
  say(`API key ${id}, ${expiry}. Copy it now; it is not shown again.`);
  if (store !== undefined) say(`The key is in ${store}.`);
}

function rowOf(key: ListedKey): string[] {
  const rights = (["publish", "subscribe", "presence", "manage"] as const)
    .flatMap((action) => key[action].map((pattern) => `${action}:${pattern}`));
  if (key.admin) rights.push("admin");
  if (key.metrics) rights.push("metrics");
  for (const [name, limit] of Object.entries(key.limits)) rights.push(`${name}=${limit}`);
  if (key.revoked) rights.push("(revoked)");
  if (key.replacedBy !== null) rights.push(`(replaced by ${key.replacedBy})`);
  return [key.id, key.name ?? "-", key.created, key.expires ?? "never", rights.join(" ")];
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line.trimEnd()}\n`));
}
