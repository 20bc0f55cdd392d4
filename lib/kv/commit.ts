import type { StoreTraits } from "./limits.ts";

interface UnderWay {
  commits: number;
  /** Reads that only push commits on. */
  readonly companions: Set<Promise<void>>;
}

const underWay = new WeakMap<Deno.Kv, UnderWay>();

/**
 * `atomic.commit()` without the stall of a lone request over KV Connect: above about 1 kB it waits
 * 44 ms for an acknowledgement (Nagle's algorithm against delayed ACK) unless something follows
 * it. So a small read follows one macrotask later; in the same tick it would make matters worse.
 */
export async function commitPromptly(
  kv: Deno.Kv,
  atomic: Deno.AtomicOperation,
  traits: StoreTraits,
): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
  if (traits.commitsInFlight === 1) return await atomic.commit();
  const state = underWay.get(kv) ?? { commits: 0, companions: new Set() };
  underWay.set(kv, state);
  state.commits++;
  try {
    const commit = atomic.commit();
    if (state.commits === 1) {
      state.companions.add(follow());
    }
    return await commit;
  } finally {
    state.commits--;
  }

  function follow(): Promise<void> {
    const companion = nextMacrotask()
      .then(() => kv.get(["-"]))
      .then(() => {}, () => {}) // of no use, and a failure is seen by the commit itself
      .finally(() => state.companions.delete(companion));
    return companion;
  }
}

/** Waits for what {@link commitPromptly} may still have under way, before the store is closed. */
export async function commitsFollowed(kv: Deno.Kv): Promise<void> {
  await Promise.all(underWay.get(kv)?.companions ?? []);
}

function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
