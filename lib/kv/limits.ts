/** Limits of Deno KV itself, in bytes and counts (docs.deno.com, "Key-Value store"; measured). */
export const KV_LIMITS = {
  valueBytes: 65_536,
  /** Of all keys and values of one atomic commit. */
  atomicBytes: 819_200,
  /** Of the keys of its checks and mutations. */
  atomicKeyBytes: 81_920,
  atomicMutations: 1_000,
  getMany: 10,
  list: 500,
  watch: 10,
} as const;

/** How long a caller waits for a store that does not answer. */
export const STORE_TIMEOUT_MS = 5_000;

/** What differs between the stores behind Deno KV. */
export interface StoreTraits {
  /** Checks in one atomic commit: a channel of a commit needs one. */
  readonly maxChecks: number;
  /** Commits that are worth having under way at once. */
  readonly maxCommitsInFlight: number;
}

/** A SQLite file in this process: commits run one after the other anyway. */
export const EMBEDDED_TRAITS: StoreTraits = { maxChecks: 100, maxCommitsInFlight: 1 };

/** KV Connect: a round trip a commit, and ten checks in each. */
export const KV_CONNECT_TRAITS: StoreTraits = { maxChecks: 10, maxCommitsInFlight: 8 };
