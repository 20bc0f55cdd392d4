import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { LIMIT_NAMES, limitsSchema } from "./lib/auth/limits.ts";
import { scopeSchema, tenantSchema } from "./lib/auth/scope.ts";
import { type Config, ConfigError, parseConfig, parseDuration } from "./lib/config.ts";
import { AdminApi, type ListedKey, serverUrl, type ShownKey } from "./lib/keys_cli/admin_api.ts";
import { CliError, UsageError } from "./lib/keys_cli/cli_error.ts";
import {
  keyFiles,
  loadSigner,
  newSigner,
  type Rights,
  saveSigner,
  signToken,
} from "./lib/keys_cli/signer.ts";
import { DEFAULT_TENANT, type Tenant } from "./lib/shared/channel.ts";
import { formatTime } from "./lib/shared/event.ts";
import { quote } from "./lib/shared/problem.ts";
import { createApp } from "./routes/app.ts";

const HELP = `Makes what opens Weir, and ends it.

Usage: deno task keys COMMAND

  init [--force]                  Make the key that signs tokens. Prints what to set and a first
                                  admin token. --force replaces a key: what it signed ends.
  token RIGHTS [--tenant NAME] [--sub WHO] [--expires 1h]
                                  Print a token signed with that key.

  create RIGHTS [--tenant NAME] [--name TEXT] [--expires 90d]
                                  Print a new API key, this once. Without --expires it has no end.
  list [--tenant NAME]            Print the tenant's API keys.
  rotate ID [--tenant NAME] [--grace 24h]
                                  Print a new API key in the place of ID, which is good for the
                                  grace more: 0s for none.
  remove ID [--tenant NAME]       End an API key, and all that is connected by it.
  revoke --jti ID | --sub WHO | --kid ID | --key ID | --all [--tenant NAME]
                                  End a token, somebody's tokens, all tokens of a signing key, an
                                  API key, or all tokens and API keys of the tenant until now.

RIGHTS are one or more of --publish, --subscribe, --presence and --manage, each with a pattern of
channels and as often as needed, and --admin (keys and revocations of the tenant). In a pattern *
stands for anything within a segment, ** for anything: --subscribe 'room/**'. Beside them --limit
sets a limit of its own, as often as needed: --limit publishes=10, bytes, subscribes or connections.
The tenant is "${DEFAULT_TENANT}" if not named.

The settings are the server's: init and token use the folder keys in WEIR_DATA. The others open the
store, or ask the server that has it open: where WEIR_HOST and WEIR_PORT say, or at --url, with a
token signed with that key or the one in WEIR_ADMIN_TOKEN.
`;

const HOUR = 3_600_000;
const DEFAULT_LIFETIME = HOUR;

const EVERYTHING: Rights = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  presence: ["**"],
  manage: ["**"],
  admin: true,
};

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const patterns = { type: "string", multiple: true } as const;
const RIGHTS = {
  publish: patterns,
  subscribe: patterns,
  presence: patterns,
  manage: patterns,
  admin: flag,
  limit: { type: "string", multiple: true },
} as const;
const SERVER = { tenant: text, url: text } as const;

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
    say(HELP);
    if (name !== "") say(`There is no command ${quote(name)}.`);
    return 2;
  }
  try {
    await command(args, parseConfig(Deno.env.toObject()));
    return 0;
  } catch (cause) {
    const isExpected = cause instanceof CliError || cause instanceof ConfigError;
    // Said here, since the task turns off the runtime's own word of it.
    say(isExpected ? cause.message : `That failed. ${cause}`);
    return cause instanceof UsageError ? 2 : 1;
  }
}

async function init(args: readonly string[], config: Config): Promise<void> {
  const { force = false } = read(args, { force: flag }).values;
  const { dataFolder, tokens } = config;
  const signer = await newSigner();
  await saveSigner(dataFolder, signer, { force });
  const lifetime = Math.min(DEFAULT_LIFETIME, tokens.maxLifetimeMs);
  const request = { tenant: DEFAULT_TENANT, subject: "admin", rights: EVERYTHING, lifetime };
  const { token, expiresAt } = await signToken(signer, request, tokens);
  const { jwks, signing } = keyFiles(dataFolder);
  const events = `${serverUrl(config)}/v1/channels/hello/events`;
  const bearer = `-H "Authorization: Bearer $TOKEN"`;
  print(`${jwks} verifies tokens; it is no secret.
${signing} signs them: who has it may do everything.

Set this where Weir runs, and start it:

  export WEIR_JWKS=${shellQuote(jwks)}
  deno task start

Try it with a first token, which may do everything in the tenant "${DEFAULT_TENANT}" until ${
    formatTime(expiresAt)
  }:

  export TOKEN=${token}
  curl ${bearer} -d hello ${events}
  curl ${bearer} '${events}?after=earliest'

Others: deno task keys token --sub somebody --subscribe 'room/**'
`);
}

async function token(args: readonly string[], config: Config): Promise<void> {
  const { values } = read(args, { ...RIGHTS, tenant: text, sub: text, expires: text });
  const { maxLifetimeMs: maxLifetime } = config.tokens;
  const lifetime = readDuration("expires", values.expires, "1s") ??
    Math.min(DEFAULT_LIFETIME, maxLifetime);
  if (lifetime > maxLifetime) {
    throw new UsageError(`--expires is longer than WEIR_TOKEN_MAX_LIFETIME allows.`);
  }
  if (values.sub === "") throw new UsageError("--sub is who the token is for.");
  const tenant = readTenant(values.tenant) ?? DEFAULT_TENANT;
  const request = { tenant, subject: values.sub, rights: readRights(values), lifetime };
  const signed = await signToken(await loadSigner(config.dataFolder), request, config.tokens);
  print(`${signed.token}\n`);
  say(`Token ${signed.id} of tenant "${tenant}", until ${formatTime(signed.expiresAt)}.`);
}

async function create(args: readonly string[], config: Config): Promise<void> {
  const options = { ...RIGHTS, ...SERVER, name: text, expires: text };
  const { values } = read(args, options);
  const rights = readRights(values);
  const expiresIn = seconds(readDuration("expires", values.expires, "1s"));
  await using api = await openApi(values, config);
  printKey(await api.createKey(values.name, rights, expiresIn));
}

async function list(args: readonly string[], config: Config): Promise<void> {
  const { values } = read(args, SERVER);
  await using api = await openApi(values, config);
  const rows = [["ID", "NAME", "CREATED", "EXPIRES", "RIGHTS"]];
  for await (const key of api.keys()) rows.push(rowOf(key));
  const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of rows) {
    print(`${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}\n`);
  }
}

async function rotate(args: readonly string[], config: Config): Promise<void> {
  const { values, positionals } = read(args, { ...SERVER, grace: text }, true);
  const id = readId(positionals);
  const grace = seconds(readDuration("grace", values.grace, "0s"));
  await using api = await openApi(values, config);
  printKey(await api.rotateKey(id, grace));
}

async function remove(args: readonly string[], config: Config): Promise<void> {
  const { values, positionals } = read(args, SERVER, true);
  const id = readId(positionals);
  await using api = await openApi(values, config);
  await api.removeKey(id);
  say(`Removed ${id}.`);
}

async function revoke(args: readonly string[], config: Config): Promise<void> {
  const kinds = { jti: text, sub: text, kid: text, key: text, all: flag } as const;
  const { values } = read(args, { ...SERVER, ...kinds });
  const { tenant, url, ...what } = values;
  const [first, ...others] = Object.entries(what);
  if (first === undefined || others.length > 0) {
    throw new UsageError("Name one: --jti, --sub, --kid or --key with its value, or --all.");
  }
  const [kind, value] = first;
  await using api = await openApi({ tenant, url }, config);
  await api.revoke({ [kind]: value });
  say(kind === "all" ? "Revoked all of the tenant." : `Revoked ${kind} ${quote(String(value))}.`);
}

/** @throws {UsageError} */
function read<O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
  allowPositionals = false,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, strict: true });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new UsageError(`${cause.message}. deno task keys --help says what there is.`);
  }
}

interface ServerValues {
  readonly tenant?: string | undefined;
  readonly url?: string | undefined;
}

async function openApi({ tenant, url }: ServerValues, config: Config): Promise<AdminApi> {
  return await AdminApi.open({
    config,
    tenant: readTenant(tenant),
    url,
    adminToken: Deno.env.get("WEIR_ADMIN_TOKEN"),
    createFetch: (server) => createApp(server).fetch,
  });
}

type RightsValues = Omit<Rights, "limits"> & { readonly limit?: readonly string[] | undefined };

/** @throws {UsageError} also where there is none: it could do nothing. */
function readRights(
  { publish, subscribe, presence, manage, admin, limit }: RightsValues,
): Rights {
  const given = Object.entries({ publish, subscribe, presence, manage, admin })
    .filter(([, value]) => value !== undefined);
  if (given.length === 0) {
    throw new UsageError("Name a right: --publish, --subscribe, --presence, --manage, --admin.");
  }
  const limits = limit === undefined ? undefined : readLimits(limit);
  const rights: Rights = { ...Object.fromEntries(given), ...limits !== undefined && { limits } };
  const { error } = scopeSchema.safeParse(rights);
  if (error === undefined) return rights;
  const [issue] = error.issues;
  throw new UsageError(`--${String(issue?.path[0] ?? "")}: ${issue?.message}.`);
}

/** @throws {UsageError} */
function readLimits(settings: readonly string[]): Rights["limits"] {
  const given = settings.map((setting) => {
    const [, name = "", value] = /^(\w+)=(\d+)$/.exec(setting) ?? [];
    return [name, Number(value)] as const;
  });
  const { data } = limitsSchema.safeParse(Object.fromEntries(given));
  if (data !== undefined) return data;
  throw new UsageError(`--limit is ${LIMIT_NAMES.join(", ")} with a number: publishes=10.`);
}

function readTenant(name: string | undefined): Tenant | undefined {
  if (name === undefined) return undefined;
  const { data, error } = tenantSchema.safeParse(name);
  if (data !== undefined) return data;
  throw new UsageError(`--tenant is ${error?.issues[0]?.message}.`);
}

function readId([id, ...others]: readonly string[]): string {
  if (id !== undefined && others.length === 0) return id;
  throw new UsageError("Name one key by its id: deno task keys list has them.");
}

/** Milliseconds. */
function readDuration(
  name: string,
  text: string | undefined,
  least: "0s" | "1s",
): number | undefined {
  if (text === undefined) return undefined;
  const value = parseDuration(text);
  if (value !== undefined && value >= (parseDuration(least) ?? 0)) return value;
  throw new UsageError(`--${name} is a time from ${least} on, such as 12h or 90d.`);
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1_000);
}

/** The key alone on stdout, for scripts; what else there is to know on stderr. */
function printKey({ key, id, expires }: ShownKey): void {
  print(`${key}\n`);
  say(`API key ${id}, ${expires === null ? "without an end" : `until ${expires}`}. Keep it now.`);
}

function rowOf(key: ListedKey): string[] {
  const rights = (["publish", "subscribe", "presence", "manage"] as const)
    .flatMap((action) => key[action].map((pattern) => `${action}:${pattern}`));
  if (key.admin) rights.push("admin");
  for (const [name, limit] of Object.entries(key.limits)) rights.push(`${name}=${limit}`);
  if (key.revoked) rights.push("(revoked)");
  if (key.replacedBy !== null) rights.push(`(replaced by ${key.replacedBy})`);
  return [key.id, key.name ?? "-", key.created, key.expires ?? "never", rights.join(" ")];
}

function shellQuote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line.trimEnd()}\n`));
}
