import { WeirError } from "../lib/client/client.ts";

/** Returns a sentence about what went wrong. */
export function reasonOf(cause: unknown): string {
  return cause instanceof WeirError ? cause.detail : String(cause);
}
