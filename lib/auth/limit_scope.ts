import type { Requester } from "./caller.ts";
import type { LimitScope, LimitTable } from "./limit_settings.ts";
import type { LimitName } from "./limits.ts";

/** How error messages name what a limit is counted for. */
export const SCOPE_WORDS: Readonly<Record<LimitScope, string>> = {
  credential: "credential",
  address: "IP address",
  tenant: "tenant",
};

/** Returns the key under which `scope` counts the requester; undefined if it does not count it. */
export function scopeKeyOf({ authority, ip }: Requester, scope: LimitScope): string | undefined {
  switch (scope) {
    case "credential":
      // All anonymous callers share one credential: one of them would shut out the others.
      return authority?.grant.kind === "anonymous" ? undefined : authority?.credentialId;
    case "address":
      return ip === "" ? undefined : ip;
    case "tenant":
      return authority?.tenant;
  }
}

/** Returns the limit for a requester: its credential's own, if that has one, or the server's. */
export function limitOf(
  table: LimitTable,
  { authority }: Requester,
  { scope, name }: { readonly scope: LimitScope; readonly name: LimitName },
): number {
  const own = scope === "credential" ? authority?.grant.scope.limits[name] : undefined;
  return own ?? table[scope][name];
}
