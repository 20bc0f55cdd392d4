import { Problem, quote } from "../shared/problem.ts";
import { type Algorithm, parseKeys, type VerificationKey } from "./jwk_set.ts";
import { type KeySource, readFaultOf, readKeySource, SOURCE_NAMES } from "./key_source.ts";

/** How often a file is read again. */
export const FILE_INTERVAL_MS = 2_000;
/** How often a URL is fetched again. */
export const URL_INTERVAL_MS = 300_000;
/** When a failed attempt is repeated. */
export const RETRY_INTERVAL_MS = 10_000;
/**
 * When a URL may be fetched again because of an unknown `kid`. Guards against random `kid`s in
 * forged tokens.
 */
export const UNKNOWN_KID_INTERVAL_MS = 30_000;
/** How long a URL may take to answer completely. */
const FETCH_TIMEOUT_MS = 5_000;
/** How often Weir checks whether a read is due. */
const CHECK_INTERVAL_MS = 2_000;

export interface SigningKeysOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
  /** How long a URL may take to answer. @default 5_000 */
  readonly timeoutMs?: number;
  /** Receives a sentence, without any key, about what is wrong with the source. */
  readonly warn?: (message: string) => void;
  /**
   * Receives the `kid`s of keys that were removed or replaced by another key. Tokens that they
   * verified are no longer valid.
   */
  readonly onRemoved?: (kids: readonly string[]) => void;
}

/**
 * Keeps the keys that verify tokens up to date in the background: a file is read again every 2 s, a
 * URL every 5 minutes and for an unknown `kid`. If reading fails or a set cannot be used, the last
 * keys stay.
 */
export class SigningKeys {
  readonly #source: KeySource;
  readonly #options: Required<SigningKeysOptions>;
  #keys: ReadonlyMap<string, VerificationKey> = new Map();
  /** The text that `#keys` were parsed from. */
  #text: string | undefined;
  /** When the latest read began, and how long after it the next is due. */
  #readAt = -Infinity;
  #intervalMs = 0;
  #reading: Promise<void> | undefined;
  /** Why the latest read failed: reported once. */
  #fault: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #closing = new AbortController();

  private constructor(source: KeySource, options: SigningKeysOptions) {
    this.#source = source;
    this.#options = {
      now: () => performance.now(),
      fetch,
      timeoutMs: FETCH_TIMEOUT_MS,
      warn: () => {},
      onRemoved: () => {},
      ...options,
    };
  }

  /**
   * Reads the keys. Does not wait for a URL: until it has answered, {@link find} waits or refuses.
   *
   * @throws {Error} with a sentence for the operator if the text or the file cannot be used.
   */
  static async open(source: KeySource, options: SigningKeysOptions = {}): Promise<SigningKeys> {
    const set = new SigningKeys(source, options);
    if (source.kind !== "url") await set.#read();
    if (source.kind !== "inline") {
      set.#timer = setInterval(() => set.refresh(), CHECK_INTERVAL_MS);
      set.refresh();
    }
    return set;
  }

  /**
   * Returns the key for a token with these header parameters; without a `kid`, the only key of the
   * algorithm.
   *
   * @throws {Problem} `token_invalid`, `keys_unavailable`
   */
  async find(algorithm: Algorithm, kid: string | undefined): Promise<VerificationKey> {
    const refreshing = this.refresh();
    if (this.#keys.size === 0) await refreshing;
    if (this.#keys.size === 0) {
      throw new Problem(
        "keys_unavailable",
        "Cannot verify the token: the server has not loaded its keys yet. Try again.",
      );
    }
    if (kid === undefined) return this.#only(algorithm);
    if (!this.#keys.has(kid)) await this.#refreshForUnknown();
    const key = this.#keys.get(kid);
    if (key?.algorithm === algorithm) return key;
    const fault = key === undefined
      ? `no key has the "kid" ${quote(kid)}`
      : `its key ${quote(kid)} is for ${key.algorithm}, not for ${algorithm}`;
    throw new Problem("token_invalid", `Cannot use the token: ${fault}.`);
  }

  /** Returns whether a key that has verified a token is still one of these. */
  knows(kid: string, fingerprint: string): boolean {
    return this.#keys.get(kid)?.fingerprint === fingerprint;
  }

  /** As {@link knows}, but reads the source again if this isolate does not know the key yet. */
  async findOut(kid: string, fingerprint: string): Promise<boolean> {
    if (!this.knows(kid, fingerprint)) await this.#refreshForUnknown();
    return this.knows(kid, fingerprint);
  }

  /**
   * Reads the source again if the latest read began `intervalMs` ago. Resolves when the running
   * read has succeeded or failed.
   */
  refresh(intervalMs: number = this.#intervalMs): Promise<void> {
    if (this.#reading !== undefined) return this.#reading;
    const isDue = this.#options.now() - this.#readAt >= intervalMs;
    if (!isDue || this.#source.kind === "inline" || this.#closing.signal.aborted) {
      return Promise.resolve();
    }
    this.#reading = this.#tryRead().finally(() => this.#reading = undefined);
    return this.#reading;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#reading;
  }

  /** Reads the source again for a key that is unknown so far. */
  #refreshForUnknown(): Promise<void> {
    return this.refresh(Math.min(this.#intervalMs, UNKNOWN_KID_INTERVAL_MS));
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

  async #tryRead(): Promise<void> {
    try {
      await this.#read();
      this.#fault = undefined;
    } catch (cause) {
      if (this.#closing.signal.aborted) return;
      this.#intervalMs = RETRY_INTERVAL_MS;
      const fault = cause instanceof Error
        ? cause.message
        : "Reading the keys failed for an unknown reason.";
      if (fault !== this.#fault) this.#options.warn(fault);
      this.#fault = fault;
    }
  }

  /** @throws {Error} with a sentence for the operator. */
  async #read(): Promise<void> {
    this.#readAt = this.#options.now();
    try {
      const { fetch, timeoutMs } = this.#options;
      const text = await readKeySource(this.#source, {
        fetch,
        timeoutMs,
        signal: this.#closing.signal,
      });
      if (text !== this.#text) {
        const { keys, warnings } = await parseKeys(text, this.#source.kind === "url");
        this.#text = text;
        this.#replace(keys);
        for (const warning of warnings) {
          this.#options.warn(`In ${SOURCE_NAMES[this.#source.kind]}, ${warning}.`);
        }
      }
    } catch (cause) {
      throw new Error(`Cannot use ${SOURCE_NAMES[this.#source.kind]}: ${readFaultOf(cause)}.`);
    }
    this.#intervalMs = this.#source.kind === "url" ? URL_INTERVAL_MS : FILE_INTERVAL_MS;
  }

  /** Keeps the objects of keys that are the same as before. */
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
