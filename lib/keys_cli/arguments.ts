import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { LIMIT_NAMES, limitsSchema } from "../auth/limits.ts";
import { scopeSchema, tenantSchema } from "../auth/scope.ts";
import { parseDuration } from "../config.ts";
import type { Tenant } from "../shared/channel.ts";
import { TASK_COMMAND } from "../shared/task_command.ts";
import { UsageError } from "./cli_error.ts";
import type { Rights } from "./signer.ts";

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const patterns = { type: "string", multiple: true } as const;

/** The types of options. */
export const OPTION = { text, flag } as const;

/** The options that name rights. */
export const RIGHTS_OPTIONS = {
  publish: patterns,
  subscribe: patterns,
  presence: patterns,
  manage: patterns,
  admin: flag,
  metrics: flag,
  limit: { type: "string", multiple: true },
} as const;

/** The options that name a tenant and a server. */
export const SERVER_OPTIONS = { tenant: text, url: text } as const;

type RightsValues = Omit<Rights, "limits"> & { readonly limit?: readonly string[] | undefined };

/** @throws {UsageError} */
export function parseArguments<O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
  { allowPositionals = false }: { readonly allowPositionals?: boolean } = {},
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, strict: true });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new UsageError(`${cause.message}. See ${TASK_COMMAND} keys --help.`);
  }
}

/** @throws {UsageError} also if no right is named, because the credential would be useless. */
export function parseRights(
  { publish, subscribe, presence, manage, admin, metrics, limit }: RightsValues,
): Rights {
  const given = Object.entries({ publish, subscribe, presence, manage, admin, metrics })
    .filter(([, value]) => value !== undefined);
  if (given.length === 0) {
    const rights = "--publish, --subscribe, --presence, --manage, --admin, --metrics";
    throw new UsageError(`Name a right: ${rights}.`);
  }
  const limits = limit === undefined ? undefined : parseLimits(limit);
  const rights: Rights = { ...Object.fromEntries(given), ...limits !== undefined && { limits } };
  const { error } = scopeSchema.safeParse(rights);
  if (error === undefined) return rights;
  const [issue] = error.issues;
  throw new UsageError(`--${String(issue?.path[0] ?? "")}: ${issue?.message}.`);
}

/** @throws {UsageError} */
function parseLimits(settings: readonly string[]): Rights["limits"] {
  const given = settings.map((setting) => {
    const [, name = "", value] = /^(\w+)=(\d+)$/.exec(setting) ?? [];
    return [name, Number(value)] as const;
  });
  const { data } = limitsSchema.safeParse(Object.fromEntries(given));
  if (data !== undefined) return data;
  throw new UsageError(`--limit is ${LIMIT_NAMES.join(", ")} with a number: publishes=10.`);
}

/** @throws {UsageError} */
export function parseTenant(name: string | undefined): Tenant | undefined {
  if (name === undefined) return undefined;
  const { data, error } = tenantSchema.safeParse(name);
  if (data !== undefined) return data;
  throw new UsageError(`--tenant must be ${error?.issues[0]?.message}.`);
}

/** @throws {UsageError} */
export function parseId([id, ...others]: readonly string[]): string {
  if (id !== undefined && others.length === 0) return id;
  throw new UsageError(`Name one key by its id: ${TASK_COMMAND} keys list prints the ids.`);
}

/**
 * Parses a duration like `12h` to milliseconds.
 *
 * @throws {UsageError}
 */
export function parseDurationOption(
  name: string,
  text: string | undefined,
  least: "0s" | "1s",
): number | undefined {
  if (text === undefined) return undefined;
  const value = parseDuration(text);
  if (value !== undefined && value >= (parseDuration(least) ?? 0)) return value;
  throw new UsageError(`--${name} must be a duration of at least ${least}, such as 12h or 90d.`);
}
