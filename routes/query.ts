import { z } from "zod";
import {
  type Channel,
  type ChannelKey,
  channelKeyOf,
  parseChannel,
  parseReadableChannel,
  type Tenant,
} from "../lib/shared/channel.ts";
import { MAX_CURSOR_CHANNELS } from "../lib/shared/cursor.ts";
import { Problem, quote } from "../lib/shared/problem.ts";

const NO_PARAMS = new URLSearchParams();

/**
 * The path and the query of a request's URL. The server made the URL, so it needs no parsing: a
 * publish mostly has no query, and pays for no parser.
 */
export function splitUrl(url: string): {
  readonly path: string;
  readonly searchParams: URLSearchParams;
} {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const query = url.indexOf("?", start);
  if (query === -1) return { path: url.slice(start), searchParams: NO_PARAMS };
  return { path: url.slice(start, query), searchParams: new URLSearchParams(url.slice(query)) };
}

/**
 * The query of a request by `schema`, in which a repeated parameter is an error.
 *
 * @throws {Problem} `unknown_parameter`, `bad_parameter`
 */
export function parseQuery<S extends z.ZodObject>(
  params: URLSearchParams,
  schema: S,
  also: readonly string[] = [],
): z.infer<S> {
  if (params.size === 0) return schema.parse({});
  const known = [...Object.keys(schema.shape), ...also];
  const values: Record<string, string> = {};
  for (const [name, value] of params) {
    if (!known.includes(name)) {
      const allowed = known.length === 0 ? "none is" : `${known.join(", ")} are`;
      throw new Problem(
        "unknown_parameter",
        `Cannot use the query parameter ${quote(name)}: ${allowed} known here.`,
      );
    }
    if (also.includes(name)) continue;
    if (Object.hasOwn(values, name)) {
      throw new Problem("bad_parameter", `The query parameter ${quote(name)} stands twice.`);
    }
    values[name] = value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0] ?? "");
  throw new Problem(
    "bad_parameter",
    `Cannot use ${quote(values[name] ?? "")} as ${name}: it is ${issue?.message}.`,
  );
}

/** A whole number in a query. */
export function integer(min: number, max: number) {
  const says = `a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,9}$/, says).transform(Number)
    .refine((value) => value >= min && value <= max, says);
}

/**
 * The channels that a query names, sorted and without repeats.
 *
 * @throws {Problem} `bad_channel`, `channel_reserved`, `too_many_channels`, `bad_parameter`
 */
export function parseChannels(tenant: Tenant, names: readonly string[]): readonly ChannelKey[] {
  const unique = [...new Set(names)].sort();
  if (unique.length === 0) {
    throw new Problem("bad_parameter", "Name one channel at least: ?channel=a&channel=b.");
  }
  if (unique.length > MAX_CURSOR_CHANNELS) {
    throw new Problem(
      "too_many_channels",
      `Cannot read ${unique.length} channels at once: ${MAX_CURSOR_CHANNELS} at the most.`,
    );
  }
  return unique.map((name) => channelKeyOf(tenant, parseReadableChannel(name)));
}

/**
 * A channel as it stands in a path, percent-encoded.
 *
 * @param parse which names are allowed.
 * @throws {Problem} `bad_channel`, `channel_reserved`
 */
export function parsePathChannel(
  tenant: Tenant,
  path: string,
  parse: (name: string) => Channel = parseChannel,
): ChannelKey {
  const encoded = path.split("/")[3] ?? "";
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch (cause) {
    const detail = `Cannot read ${quote(encoded)}: it is not percent-encoded UTF-8.`;
    throw new Problem("bad_channel", detail, { cause });
  }
  return channelKeyOf(tenant, parse(name));
}
