/**
 * Unreadable rows that one listing skips; the next one ends it. Guards against a store of which
 * nothing can be read: finding a row takes some hundred reads.
 */
const MAX_UNREADABLE_ROWS = 100;
/** The largest code point. */
const MAX_CODE_POINT = 0x10_ff_ff;
/** The code points from here on cannot stand alone in a string, up to {@link SURROGATES_END}. */
const SURROGATES_START = 0xd8_00;
const SURROGATES_END = 0xe0_00;

/** The type of one part of a key. Integers are not negative. */
export type KeyPart = "string" | "integer";

interface ReadableRowsOptions {
  /** What the keys of all rows begin with. */
  readonly prefix: Deno.KvKey;
  /** The types of the parts of a key after the prefix. */
  readonly parts: readonly KeyPart[];
  /** The first key. @default the first one with the prefix */
  readonly start?: Deno.KvKey;
  /** The key after the last one. @default the end of the prefix */
  readonly end?: Deno.KvKey;
  readonly batchSize: number;
  /** Receives the key of each row that is skipped, since its value cannot be decoded. */
  readonly onUnreadable: (key: Deno.KvKey, cause: unknown) => void;
}

/**
 * Lists rows as `kv.list` does, except that it skips those whose value cannot be decoded: `kv.list`
 * ends at the first one, and does not tell its key.
 */
export async function* readableRows<T>(
  kv: Deno.Kv,
  options: ReadableRowsOptions,
): AsyncGenerator<Deno.KvEntry<T>, void, void> {
  const { prefix, parts, onUnreadable, end = [...prefix, true] } = options;
  let { start = prefix, batchSize } = options;
  for (let skipped = 0;;) {
    try {
      for await (const entry of kv.list<T>({ start, end }, { batchSize })) {
        start = after(entry.key);
        yield entry;
      }
      return;
    } catch (cause) {
      if (!isUnreadable(cause) || skipped === MAX_UNREADABLE_ROWS) throw cause;
      if (batchSize > 1) {
        batchSize = 1; // the rows before the unreadable one, of the same batch
        continue;
      }
      const key = await findUnreadable(kv, prefix, parts, start);
      skipped++;
      onUnreadable(key, cause);
      start = after(key);
      batchSize = options.batchSize;
    }
  }
}

/** Returns whether an error of Deno KV means that the value of a row cannot be decoded. */
function isUnreadable(cause: unknown): boolean {
  return cause instanceof RangeError && /deserialize/.test(cause.message);
}

/** Returns the key just after `key`. */
function after(key: Deno.KvKey): Deno.KvKey {
  return [...key, 0];
}

/**
 * Finds the key of the first row from `start`, which is unreadable. It is the largest key before
 * which the range from `start` is empty, so each part of it is searched by halves.
 */
async function findUnreadable(
  kv: Deno.Kv,
  prefix: Deno.KvKey,
  parts: readonly KeyPart[],
  start: Deno.KvKey,
): Promise<Deno.KvKey> {
  const isEmptyBefore = async (end: Deno.KvKey): Promise<boolean> => {
    try {
      for await (const _ of kv.list({ start, end }, { limit: 1, batchSize: 1 })) return false;
      return true;
    } catch (cause) {
      if (isUnreadable(cause)) return false;
      // The store refuses an `end` before `start`.
      if (cause instanceof TypeError && /start key/i.test(cause.message)) return true;
      throw cause;
    }
  };
  let key = prefix;
  for (const part of parts) {
    const known = key;
    const value = part === "integer"
      ? await largest(0, Number.MAX_SAFE_INTEGER, (n) => isEmptyBefore([...known, n]))
      : await largestText((text) => isEmptyBefore([...known, text]));
    key = [...known, value ?? 0];
  }
  return key;
}

/** Returns the largest text that passes `test`, which all smaller ones pass. */
async function largestText(test: (text: string) => Promise<boolean>): Promise<string> {
  for (let text = "";;) {
    const before = text;
    const next = await largest(1, MAX_CODE_POINT, (point) => test(before + character(point)));
    if (next === undefined) return text;
    text += character(next);
  }
}

function character(point: number): string {
  const isSurrogate = point >= SURROGATES_START && point < SURROGATES_END;
  return String.fromCodePoint(isSurrogate ? SURROGATES_END : point);
}

/** Returns the largest integer of the range that passes `test`, which all smaller ones pass. */
async function largest(
  from: number,
  to: number,
  test: (n: number) => Promise<boolean>,
): Promise<number | undefined> {
  let low = from - 1;
  let high = to;
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    if (await test(middle)) low = middle;
    else high = middle - 1;
  }
  return low < from ? undefined : low;
}
