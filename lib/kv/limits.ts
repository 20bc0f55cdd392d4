/** Limits of Deno KV (docs.deno.com, "Key-Value store"; measured). */
export const KV_LIMITS = {
  valueBytes: 65_536,
  /** Keys and values of one atomic commit. */
  atomicBytes: 819_200,
  /** Keys of its checks and mutations. */
  atomicKeyBytes: 81_920,
  atomicMutations: 1_000,
  /** Keys of one `getMany()`. */
  getMany: 10,
  /** Rows of one batch of `list()`. */
  list: 500,
  /** Keys of one `watch()`. */
  watch: 10,
} as const;

/** How long a caller waits for a store that does not answer. */
export const STORE_TIMEOUT_MS = 5_000;

/** How the stores behind Deno KV differ. */
export interface StoreTraits {
  /** Whether several processes may use it at the same time. */
  readonly isShared: boolean;
  /** Checks in one atomic commit. Each of its channels needs one. */
  readonly maxChecks: number;
  /** Commits under way at once, beyond which more are no faster. */
  readonly maxCommitsInFlight: number;
}

/** A SQLite file in this process, which commits one after the other. */
export const EMBEDDED_TRAITS: StoreTraits = {
  isShared: false,
  maxChecks: 100,
  maxCommitsInFlight: 1,
};

/** KV Connect, where a commit takes a round trip and at most ten checks. */
export const KV_CONNECT_TRAITS: StoreTraits = {
  isShared: true,
  maxChecks: 10,
  maxCommitsInFlight: 8,
};
