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

/**
 * Characters of a request's URL. Guards against queries that take long to parse. RFC 9110 §4.1
 * asks for at least 8,000, and proxies refuse more.
 *
 * Deno limits the headers: 64 KiB and 128 lines over HTTP/1.1 (400), 16 KiB over HTTP/2 (431).
 * Counting them here would cost more than everything else that is read from a request.
 */
export const MAX_URL_CHARS = 8_192;

const NO_PARAMS = new URLSearchParams();

/** The query of routes that have no parameters. */
export const noQuery = z.object({});

/** Requires a URL of at most {@link MAX_URL_CHARS} characters. @throws {Problem} `uri_too_long` */
export function requireShortUrl({ url }: Pick<Request, "url">): void {
  if (url.length <= MAX_URL_CHARS) return;
  const detail = `The URL is too long: ${url.length} of at most ${MAX_URL_CHARS} characters.`;
  throw new Problem("uri_too_long", detail);
}

/**
 * Splits a request's URL into its path and its query, without a URL parser: the runtime has already
 * normalized the URL, and most publishes have no query.
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
 * Parses the query of a request by `schema`. A repeated parameter is an error.
 *
 * @param also names of further parameters, which the caller parses itself
 * @throws {Problem} `unknown_parameter`, `bad_parameter`
 */
export function parseQuery<S extends z.ZodObject>(
  params: URLSearchParams,
  schema: S,
  also: readonly string[] = [],
): z.infer<S> {
  if (params.size === 0) return schema.parse({});
  const allowed = [...Object.keys(schema.shape), ...also];
  const values: Record<string, string> = {};
  for (const [name, value] of params) {
    if (!allowed.includes(name)) {
      const list = allowed.length === 0 ? "none" : allowed.join(", ");
      const detail = `Unknown query parameter ${quote(name)}. Allowed: ${list}.`;
      throw new Problem("unknown_parameter", detail);
    }
    if (also.includes(name)) continue;
    if (Object.hasOwn(values, name)) {
      throw new Problem(
        "bad_parameter",
        `The query parameter ${quote(name)} must not appear twice.`,
      );
    }
    values[name] = value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0] ?? "");
  throw new Problem(
    "bad_parameter",
    `Cannot use ${quote(values[name] ?? "")} as ${name}: it must be ${issue?.message}.`,
  );
}

/** Returns the schema of a whole number in a query. */
export function integer(min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,9}$/, expected).transform(Number)
    .refine((value) => value >= min && value <= max, expected)
    .meta({ type: "integer", minimum: min, maximum: max });
}

/**
 * Parses the channels that a query names. Returns them sorted and without repeats.
 *
 * @throws {Problem} `bad_channel`, `channel_reserved`, `too_many_channels`, `bad_parameter`
 */
export function parseChannels(tenant: Tenant, names: readonly string[]): readonly ChannelKey[] {
  const unique = [...new Set(names)].sort();
  if (unique.length === 0) {
    throw new Problem("bad_parameter", "Name at least one channel: ?channel=a&channel=b.");
  }
  if (unique.length > MAX_CURSOR_CHANNELS) {
    throw new Problem(
      "too_many_channels",
      `Cannot read ${unique.length} channels at once: the maximum is ${MAX_CURSOR_CHANNELS}.`,
    );
  }
  return unique.map((name) => channelKeyOf(tenant, parseReadableChannel(name)));
}

/**
 * Parses the percent-encoded channel in a path.
 *
 * @param parse parses its name
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
