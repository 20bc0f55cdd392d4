/** `kv`, of which every use of a member is told by its name. */
export function watchedKv(kv: Deno.Kv, onUse: (name: string | symbol) => void): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      onUse(name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
