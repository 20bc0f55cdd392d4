import type { StoreTraits } from "./limits.ts";

const underWay = new WeakMap<Deno.Kv, { commits: number }>();

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
  const state = underWay.get(kv) ?? { commits: 0 };
  underWay.set(kv, state);
  state.commits++;
  try {
    const commit = atomic.commit();
    if (state.commits === 1) {
      // Its answer is of no use, and a failure is seen by the commit itself.
      setTimeout(() => void kv.get(["-"]).catch(() => {}), 0);
    }
    return await commit;
  } finally {
    state.commits--;
  }
}
