import { z } from "zod";
import type { Tenant } from "../shared/channel.ts";
import { limitsSchema } from "./limits.ts";
import { MAX_PATTERNS, patternFault } from "./pattern.ts";

/** What can be done with a channel. */
export type Action = "publish" | "subscribe" | "presence" | "manage";

const patterns = z.array(
  z.string().check((context) => {
    const message = patternFault(context.value);
    if (message !== undefined) {
      context.issues.push({ code: "custom", message, input: context.value });
    }
  }),
).max(MAX_PATTERNS).default([]);

/** A tenant's name: it stands in every key of the store, before a `/`. */
export const tenantSchema = z.string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1–64 of A–Z a–z 0–9 . _ -, the first no sign")
  .transform((name) => name as Tenant);

/** What a credential may do: channel patterns for each action, and limits of its own. */
export const scopeSchema = z.strictObject({
  publish: patterns,
  /** Reading. */
  subscribe: patterns,
  presence: patterns,
  /** Settings and deletion of channels. */
  manage: patterns,
  /** Keys and revocations of the tenant. */
  admin: z.boolean().default(false),
  limits: limitsSchema.default({}),
});
export type Scope = z.infer<typeof scopeSchema>;

const POLICY = /^(publish|subscribe|presence):(\S+)$/;

/**
 * What anonymous clients may do, from a setting like `subscribe:public/** publish:lobby`.
 *
 * @throws {Error} whose message says what is allowed.
 */
export function parseAnonymous(text: string): Scope {
  const allowed: Record<string, string[]> = {};
  for (const part of text.split(/\s+/).filter((part) => part !== "")) {
    const [, action = "", pattern = ""] = POLICY.exec(part) ?? [];
    const fault = action === "" ? "" : patternFault(pattern);
    if (fault !== undefined || pattern.startsWith("$")) {
      throw new Error(
        "publish:, subscribe: or presence: and a pattern, such as subscribe:public/**",
      );
    }
    (allowed[action] ??= []).push(pattern);
  }
  const scope = scopeSchema.safeParse(allowed);
  if (scope.success) return scope.data;
  throw new Error(`at most ${MAX_PATTERNS} patterns for each right`);
}
