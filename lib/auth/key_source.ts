import { concat } from "../shared/bytes.ts";

/** Guards against a URL or a file without an end. */
export const MAX_SET_BYTES = 256 * 2 ** 10;

/** Where keys come from: a JWK set (RFC 7517 §5). */
export type KeySource =
  | { readonly kind: "inline"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: string };

/** How messages for the operator name each source. */
export const SOURCE_NAMES: Readonly<Record<KeySource["kind"], string>> = {
  inline: "the keys in WEIR_JWKS",
  file: "the keys in the file that WEIR_JWKS names",
  url: "the keys at the URL that WEIR_JWKS names",
};

/**
 * Parses the setting WEIR_JWKS: a JWK set as text, its URL, or the path of a file.
 *
 * @throws {Error} with a sentence for the operator, which does not repeat the setting.
 */
export function keySourceOf(setting: string): KeySource {
  const text = setting.trim();
  if (text.startsWith("{")) return { kind: "inline", text };
  if (/^https?:\/\//i.test(text)) return { kind: "url", url: parseUrl(text) };
  if (/^[^["]/.test(text)) return { kind: "file", path: text };
  throw new Error(`WEIR_JWKS must be {"keys": […]}, an https:// URL or the path of a file.`);
}

function parseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw new Error("WEIR_JWKS starts like a URL but is not one.");
  if (url.username !== "" || url.password !== "") {
    throw new Error("WEIR_JWKS must not have a user or a password in its URL.");
  }
  const isLocal = /^(?:localhost|\[::1\]|127(?:\.\d+){3})$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal) {
    throw new Error("WEIR_JWKS must be an https:// URL: http:// is for this machine only.");
  }
  return url.href;
}

interface ReadOptions {
  readonly fetch: typeof fetch;
  /** How long a URL may take to answer completely. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Reads the text of a JWK set.
 *
 * @throws {Error} with a part of a sentence for the operator: see {@link readFaultOf}.
 */
export async function readKeySource(
  source: KeySource,
  { fetch, timeoutMs, signal }: ReadOptions,
): Promise<string> {
  if (source.kind === "inline") return source.text;
  if (source.kind === "file") return await readFile(source.path);
  const ending = new AbortController();
  const timer = setTimeout(
    () => ending.abort(new Error(`it took more than ${timeoutMs} ms to answer`)),
    timeoutMs,
  );
  try {
    return await readUrl(fetch, source.url, AbortSignal.any([ending.signal, signal]));
  } finally {
    clearTimeout(timer);
  }
}

async function readFile(path: string): Promise<string> {
  const file = await Deno.open(path).catch((cause) => {
    throw new Error(`it cannot be opened (${cause instanceof Error ? cause.name : "unknown"})`);
  });
  return await readText(file.readable);
}

async function readUrl(
  request: typeof fetch,
  url: string,
  signal: AbortSignal,
): Promise<string> {
  const response = await request(url, {
    signal,
    redirect: "manual",
    headers: { Accept: "application/jwk-set+json, application/json" },
  });
  if (response.status === 200 && response.body !== null) return await readText(response.body);
  await response.body?.cancel();
  const isRedirect = response.status >= 300 && response.status < 400;
  throw new Error(
    `it answered with status ${response.status}${isRedirect ? ", which is not followed" : ""}`,
  );
}

async function readText(stream: ReadableStream<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > MAX_SET_BYTES) throw new Error(`it is longer than ${MAX_SET_BYTES} bytes`);
    parts.push(part);
  }
  return new TextDecoder().decode(concat(parts));
}

/**
 * Returns the message of an error. `fetch` hides its own in the cause, where it may contain a URL,
 * which is removed.
 */
export function readFaultOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "unknown";
  if (!(cause instanceof TypeError)) return cause.message;
  const { message } = cause.cause instanceof Error ? cause.cause : cause;
  return `it cannot be reached (${message.replace(/ for url \(\S*\)/, "")})`;
}
