import assert from "node:assert/strict";

/** A store that must not be used. */
export const NO_STORE = new Proxy({} as Deno.Kv, {
  get: (_, name) => assert.fail(`the store was asked: ${String(name)}`),
});
