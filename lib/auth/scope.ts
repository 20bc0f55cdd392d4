import { z } from "zod";
import type { Tenant } from "../shared/channel.ts";
import { limitsSchema } from "./limits.ts";
import { MAX_PATTERNS, patternFault } from "./pattern.ts";

/** The rights to a channel. */
export type Action = "publish" | "subscribe" | "presence" | "manage";

const patterns = z.array(
  z.string().check((context) => {
    const message = patternFault(context.value);
    if (message !== undefined) {
      context.issues.push({ code: "custom", message, input: context.value });
    }
  }),
).max(MAX_PATTERNS).default([]);

/** A tenant's name. It must not contain `/`, which ends it in keys of the store. */
export const tenantSchema = z.string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "1–64 of A–Z a–z 0–9 . _ -, starting with a letter or digit",
  )
  .transform((name) => name as Tenant);

/** The rights of a credential: channel patterns for each action, and its own limits. */
export const scopeSchema = z.strictObject({
  publish: patterns,
  /** Read events. */
  subscribe: patterns,
  presence: patterns,
  /** Change and delete channels. */
  manage: patterns,
  /** Manage the tenant's keys and revocations. */
  admin: z.boolean().default(false),
  /** Read the metrics of the process. It counts in the tenant `default` only. */
  metrics: z.boolean().default(false),
  limits: limitsSchema.default({}),
});
export type Scope = z.infer<typeof scopeSchema>;

const POLICY = /^(publish|subscribe|presence):(\S+)$/;

/**
 * Parses the rights of anonymous clients, a setting like `subscribe:public/** publish:lobby`.
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
        "publish:, subscribe: or presence: followed by a pattern, such as subscribe:public/**",
      );
    }
    (allowed[action] ??= []).push(pattern);
  }
  const scope = scopeSchema.safeParse(allowed);
  if (scope.success) return scope.data;
  throw new Error(`at most ${MAX_PATTERNS} patterns for each right`);
}
