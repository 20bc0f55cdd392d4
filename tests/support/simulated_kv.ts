import type { FakeClock } from "./clock.ts";

/** Delays and faults of a {@link SimulatedStore}, drawn from a seed. */
export interface SimulatedStoreOptions {
  readonly clock: FakeClock;
  /** Returns a number from 0 to 1. */
  readonly random: () => number;
  /** Each request and each answer takes 1 ms to this. */
  readonly maxDelayMs: number;
  /** Share of commits whose answer is lost, whether they have arrived or not. */
  readonly lostAnswers: number;
}

interface Row {
  readonly key: Deno.KvKey;
  readonly value: unknown;
  readonly versionstamp: string;
}

/** A store in memory for tests with a fake clock. It has what the log uses of `Deno.Kv`. */
export class SimulatedStore {
  readonly #options: SimulatedStoreOptions;
  #rows = new Map<string, Row>();
  #commits = 0;

  constructor(options: SimulatedStoreOptions) {
    this.#options = options;
  }

  /** Returns a handle of one isolate. */
  open(): Deno.Kv {
    const kv = {
      get: async (key: Deno.KvKey) => await this.#request(() => this.#get(key)),
      getMany: async (all: readonly Deno.KvKey[]) =>
        await this.#request(() => all.map((key) => this.#get(key))),
      list: (selector: { start?: Deno.KvKey; end?: Deno.KvKey; prefix?: Deno.KvKey }, options: {
        readonly limit?: number;
        readonly reverse?: boolean;
      } = {}) => this.#list(selector, options),
      atomic: () => this.#atomic(),
    };
    return kv as unknown as Deno.Kv; // all that the log uses
  }

  #get(key: Deno.KvKey) {
    return this.#rows.get(JSON.stringify(key)) ?? { key, value: null, versionstamp: null };
  }

  async *#list(
    { start, end, prefix }: { start?: Deno.KvKey; end?: Deno.KvKey; prefix?: Deno.KvKey },
    { limit = Infinity, reverse = false }: { readonly limit?: number; readonly reverse?: boolean },
  ): AsyncGenerator<Row> {
    const found = await this.#request(() => {
      const rows = [...this.#rows.values()].filter(({ key }) =>
        prefix === undefined
          ? (start === undefined || compare(key, start) >= 0) &&
            (end === undefined || compare(key, end) < 0)
          : key.length > prefix.length && prefix.every((part, i) => part === key[i])
      ).sort((a, b) => compare(a.key, b.key));
      return (reverse ? rows.toReversed() : rows).slice(0, limit);
    });
    yield* found;
  }

  #atomic(): unknown {
    const checks: Deno.AtomicCheck[] = [];
    const writes: (readonly [key: Deno.KvKey, value: unknown])[] = [];
    const atomic = {
      check: (...all: Deno.AtomicCheck[]) => (checks.push(...all), atomic),
      set: (key: Deno.KvKey, value: unknown) => (writes.push([key, value]), atomic),
      delete: (key: Deno.KvKey) => (writes.push([key, undefined]), atomic),
      sum: () => atomic, // nothing here reads sums
      commit: async () => {
        const isLost = this.#options.random() < this.#options.lostAnswers;
        if (isLost && this.#options.random() < 0.5) {
          await this.#delay();
          throw new TypeError("connection reset");
        }
        const result = await this.#request(() => this.#commit(checks, writes));
        if (isLost) throw new TypeError("connection reset");
        return result;
      },
    };
    return atomic;
  }

  #commit(
    checks: readonly Deno.AtomicCheck[],
    writes: readonly (readonly [key: Deno.KvKey, value: unknown])[],
  ): Deno.KvCommitResult | Deno.KvCommitError {
    if (checks.some(({ key, versionstamp }) => this.#get(key).versionstamp !== versionstamp)) {
      return { ok: false };
    }
    const versionstamp = String(++this.#commits).padStart(20, "0");
    for (const [key, value] of writes) {
      const name = JSON.stringify(key);
      if (value === undefined) this.#rows.delete(name);
      else this.#rows.set(name, { key, value: structuredClone(value), versionstamp });
    }
    return { ok: true, versionstamp };
  }

  /** Does `work` when the request has arrived, and resolves with the answer. */
  async #request<T>(work: () => T): Promise<T> {
    await this.#delay();
    const result = work();
    await this.#delay();
    return result;
  }

  #delay(): Promise<void> {
    const { clock, random, maxDelayMs } = this.#options;
    return new Promise((resolve) => {
      clock.setTimeout(() => resolve(), 1 + Math.floor(random() * maxDelayMs));
    });
  }
}

/** Orders keys of strings and numbers, as the store does. */
function compare(a: Deno.KvKey, b: Deno.KvKey): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]];
    if (x === y) continue;
    if (typeof x !== typeof y) return typeof x === "string" ? -1 : 1;
    return (x as string | number) < (y as string | number) ? -1 : 1;
  }
  return a.length - b.length;
}
