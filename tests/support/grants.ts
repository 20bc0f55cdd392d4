import { Authority, type Grant } from "../../lib/auth/authority.ts";
import { scopeSchema } from "../../lib/auth/scope.ts";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";

/** Makes the grant of a token with default members, except `rights` and `changes`. */
export function grantOf(
  rights: Readonly<Record<string, unknown>> = { publish: ["**"], subscribe: ["**"] },
  changes: Partial<Grant> = {},
): Grant {
  return {
    tenant: DEFAULT_TENANT,
    kind: "token",
    subject: "ann",
    scope: scopeSchema.parse(rights),
    ...changes,
  };
}

export function authorityOf(
  rights?: Readonly<Record<string, unknown>>,
  changes?: Partial<Grant>,
): Authority {
  return new Authority(grantOf(rights, changes));
}
