/** Wraps `kv` and calls `onUse` with the name of each member that is used. */
export function watchedKv(kv: Deno.Kv, onUse: (name: string | symbol) => void): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      onUse(name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
