/** Returns `kv` with some of its methods replaced. */
export function overridingKv(
  kv: Deno.Kv,
  methods: Partial<Record<keyof Deno.Kv, unknown>>,
): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return methods[name as keyof Deno.Kv];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The keys that a commit sets and deletes. */
export interface CommitKeys {
  readonly set: readonly Deno.KvKey[];
  readonly deleted: readonly Deno.KvKey[];
}

/**
 * Returns `kv` whose commits fail with the message that `fault` returns, before or after they are
 * done, and wait for `gate` before they are sent.
 */
export function failingKv(
  kv: Deno.Kv,
  fault: (commit: CommitKeys) => string | undefined,
  gate: Promise<void> | ((commit: CommitKeys) => Promise<void>) = Promise.resolve(),
  when: "before" | "after" = "before",
): Deno.Kv {
  return overridingKv(kv, {
    atomic: () => {
      const atomic = kv.atomic();
      const set: Deno.KvKey[] = [];
      const deleted: Deno.KvKey[] = [];
      const wrapped: object = new Proxy(atomic, {
        get: (target, name) => {
          if (name === "commit") return commit;
          const method = Reflect.get(target, name, target);
          return (...args: unknown[]) => {
            if (name === "set") set.push(args[0] as Deno.KvKey);
            if (name === "delete") deleted.push(args[0] as Deno.KvKey);
            method.apply(target, args);
            return wrapped;
          };
        },
      });
      return wrapped;

      async function commit() {
        await (typeof gate === "function" ? gate({ set, deleted }) : gate);
        const message = fault({ set, deleted });
        const result = message === undefined || when === "after"
          ? await atomic.commit()
          : undefined;
        if (message?.includes("too large")) throw new TypeError(message);
        if (message !== undefined) throw new Error(message);
        return result;
      }
    },
  });
}
