import type { Member } from "../api.ts";
import type { WeirError } from "../core/weir_error.ts";

/** This client as a member. */
export interface Self<T = unknown> {
  /** @default the `sub` of the token */
  readonly member?: string | undefined;
  readonly data?: T | undefined;
}

export interface UsedPresence<T = unknown> {
  /** In the order in which they joined. */
  readonly members: readonly Member<T>[];
  /** Why this client is not a member, or why its last data was refused. */
  readonly error: WeirError | undefined;
}
