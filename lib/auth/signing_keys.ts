import { concat } from "../shared/bytes.ts";
import { Problem, quote } from "../shared/problem.ts";
import { type Algorithm, parseKeys, type VerificationKey } from "./jwk_set.ts";

/** Met: a URL or a file without an end. */
export const MAX_SET_BYTES = 256 * 2 ** 10;
/** How often a file is read again, in ms. */
export const FILE_INTERVAL = 2_000;
/** How often a URL is asked again, in ms. */
export const URL_INTERVAL = 300_000;
/** How soon after a failure there is another attempt, in ms. */
export const RETRY_INTERVAL = 10_000;
/** How soon a URL is asked again for an unknown `kid`, in ms. Met: random ones in forged tokens. */
export const UNKNOWN_KID_INTERVAL = 30_000;
/** How long a URL may take to answer to the end, in ms. */
const FETCH_TIMEOUT = 5_000;
/** Between two looks at whether something is due, in ms. */
const LOOK_INTERVAL = 2_000;

/** Where keys come from: a JWK set (RFC 7517 §5). */
export type KeySource =
  | { readonly kind: "inline"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: string };

export interface SigningKeysOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
  /** Milliseconds that a URL may take to answer. @default 5_000 */
  readonly timeout?: number;
  /** Told in a sentence, without any key, what is wrong with the source. */
  readonly warn?: (message: string) => void;
  /**
   * Told the `kid`s of keys that have gone, or now stand for another key: what they have verified
   * so far is no longer good.
   */
  readonly onRemoved?: (kids: readonly string[]) => void;
}

/**
 * The source that the setting WEIR_JWKS names: a JWK set as text, its URL, or a file's path.
 *
 * @throws {Error} with a sentence for the operator, which does not repeat the setting.
 */
export function keySourceOf(setting: string): KeySource {
  const text = setting.trim();
  if (text.startsWith("{")) return { kind: "inline", text };
  if (/^https?:\/\//i.test(text)) return { kind: "url", url: parseUrl(text) };
  if (/^[^["]/.test(text)) return { kind: "file", path: text };
  throw new Error(`WEIR_JWKS must be {"keys": […]}, an https:// URL or a file's path.`);
}

function parseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw new Error("WEIR_JWKS starts like a URL, but is none.");
  if (url.username !== "" || url.password !== "") {
    throw new Error("WEIR_JWKS must not have a user or a password in its URL.");
  }
  const isLocal = /^(?:localhost|\[::1\]|127(?:\.\d+){3})$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal) {
    throw new Error("WEIR_JWKS must be an https:// URL: http:// is for this machine only.");
  }
  return url.href;
}

/**
 * The keys that tokens are verified by, kept fresh: a file is read again every 2 s, a URL asked
 * again every 5 minutes and for an unknown `kid`, both in the background. What can't be read or
 * used leaves the keys that are there.
 */
export class SigningKeys {
  readonly #source: KeySource;
  readonly #options: Required<SigningKeysOptions>;
  #keys: ReadonlyMap<string, VerificationKey> = new Map();
  /** What `#keys` were read from. */
  #text: string | undefined;
  /** When the latest attempt to read began, and how long after it the next is due (ms). */
  #readAt = -Infinity;
  #interval = 0;
  #reading: Promise<void> | undefined;
  /** What the latest attempt failed of: said once. */
  #fault: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #closing = new AbortController();

  private constructor(source: KeySource, options: SigningKeysOptions) {
    this.#source = source;
    this.#options = {
      now: () => performance.now(),
      fetch,
      timeout: FETCH_TIMEOUT,
      warn: () => {},
      onRemoved: () => {},
      ...options,
    };
  }

  /**
   * Reads the keys. A URL is not waited for: until it has answered, {@link find} waits or refuses.
   *
   * @throws {Error} with a sentence for the operator, if the text or the file can't be used.
   */
  static async open(source: KeySource, options: SigningKeysOptions = {}): Promise<SigningKeys> {
    const set = new SigningKeys(source, options);
    if (source.kind !== "url") await set.#read();
    if (source.kind !== "inline") {
      set.#timer = setInterval(() => set.look(), LOOK_INTERVAL);
      set.look();
    }
    return set;
  }

  /**
   * The key for a token with these header parameters. Without a `kid` it is the only one of the
   * algorithm.
   *
   * @throws {Problem} `token_invalid`, `keys_unavailable`
   */
  async find(algorithm: Algorithm, kid: string | undefined): Promise<VerificationKey> {
    const looking = this.look();
    if (this.#keys.size === 0) await looking;
    if (this.#keys.size === 0) {
      throw new Problem(
        "keys_unavailable",
        "Cannot verify the token: the server has not got the keys for it yet. Try again.",
      );
    }
    if (kid === undefined) return this.#only(algorithm);
    if (!this.#keys.has(kid)) await this.#lookForUnknown();
    const key = this.#keys.get(kid);
    if (key?.algorithm === algorithm) return key;
    const fault = key === undefined
      ? `no key is ${quote(kid)}`
      : `its key ${quote(kid)} is for ${key.algorithm}, not for ${algorithm}`;
    throw new Problem("token_invalid", `Cannot use the token: ${fault}.`);
  }

  /** Whether the key that was `kid` when it verified something is still one of these. */
  knows(kid: string, fingerprint: string): boolean {
    return this.#keys.get(kid)?.fingerprint === fingerprint;
  }

  /** As {@link knows}, also where another isolate has heard of the key before this one. */
  async findOut(kid: string, fingerprint: string): Promise<boolean> {
    if (!this.knows(kid, fingerprint)) await this.#lookForUnknown();
    return this.knows(kid, fingerprint);
  }

  /**
   * Reads the source again, if the latest attempt began `interval` ms ago. Resolves when what is
   * under way is done, well or not.
   */
  look(interval: number = this.#interval): Promise<void> {
    if (this.#reading !== undefined) return this.#reading;
    const isDue = this.#options.now() - this.#readAt >= interval;
    if (!isDue || this.#source.kind === "inline" || this.#closing.signal.aborted) {
      return Promise.resolve();
    }
    this.#reading = this.#refresh().finally(() => this.#reading = undefined);
    return this.#reading;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#reading;
  }

  /** For something that is in none of the keys so far. */
  #lookForUnknown(): Promise<void> {
    return this.look(Math.min(this.#interval, UNKNOWN_KID_INTERVAL));
  }

  #only(algorithm: Algorithm): VerificationKey {
    const keys = [...this.#keys.values()].filter((key) => key.algorithm === algorithm);
    const [key] = keys;
    if (key !== undefined && keys.length === 1) return key;
    const fault = key === undefined ? "no key is" : "several keys are";
    throw new Problem(
      "token_invalid",
      `Cannot use the token: it has no "kid", and ${fault} for ${algorithm}.`,
    );
  }

  async #refresh(): Promise<void> {
    try {
      await this.#read();
      this.#fault = undefined;
    } catch (cause) {
      if (this.#closing.signal.aborted) return;
      this.#interval = RETRY_INTERVAL;
      const fault = cause instanceof Error ? cause.message : "They failed without a reason.";
      if (fault !== this.#fault) this.#options.warn(fault);
      this.#fault = fault;
    }
  }

  /** @throws {Error} with a sentence for the operator. */
  async #read(): Promise<void> {
    this.#readAt = this.#options.now();
    try {
      const text = await this.#readText();
      if (text !== this.#text) {
        const { keys, warnings } = await parseKeys(text, this.#source.kind === "url");
        this.#text = text;
        this.#replace(keys);
        for (const warning of warnings) {
          this.#options.warn(`In ${PLACES[this.#source.kind]}, ${warning}.`);
        }
      }
    } catch (cause) {
      throw new Error(`Cannot use ${PLACES[this.#source.kind]}: ${messageOf(cause)}.`);
    }
    this.#interval = this.#source.kind === "url" ? URL_INTERVAL : FILE_INTERVAL;
  }

  async #readText(): Promise<string> {
    if (this.#source.kind === "inline") return this.#source.text;
    if (this.#source.kind === "file") return await readFile(this.#source.path);
    const { fetch, timeout } = this.#options;
    const ending = new AbortController();
    const timer = setTimeout(
      () => ending.abort(new Error(`it took more than ${timeout} ms to answer`)),
      timeout,
    );
    try {
      const signal = AbortSignal.any([ending.signal, this.#closing.signal]);
      return await readUrl(fetch, this.#source.url, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Keys that are the same as before stay the same objects. */
  #replace(keys: readonly VerificationKey[]): void {
    const before = this.#keys;
    this.#keys = new Map(keys.map((key) => {
      const old = before.get(key.kid);
      return [key.kid, old?.fingerprint === key.fingerprint ? old : key];
    }));
    const removed = [...before].filter(([kid, { fingerprint }]) => !this.knows(kid, fingerprint));
    if (removed.length > 0) this.#options.onRemoved(removed.map(([kid]) => kid));
  }
}

const PLACES: Readonly<Record<KeySource["kind"], string>> = {
  inline: "the keys in WEIR_JWKS",
  file: "the keys in the file that WEIR_JWKS names",
  url: "the keys at the URL that WEIR_JWKS names",
};

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
    `it answers with status ${response.status}${isRedirect ? ", and is not followed" : ""}`,
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

/** The message of what was thrown. `fetch` hides its own in the cause, with a URL in it. */
function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "unknown";
  if (!(cause instanceof TypeError)) return cause.message;
  const { message } = cause.cause instanceof Error ? cause.cause : cause;
  return `it cannot be reached (${message.replace(/ for url \(\S*\)/, "")})`;
}
